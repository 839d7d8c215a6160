"""The device server: docs/protocols/device-server.md."""

from __future__ import annotations

import logging
import re
import threading
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Self

import msgspec

from tokaido.hal import (
    NS_PER_S,
    SYSTEM_CLOCK,
    Clock,
    ConfigurationError,
    Device,
    DeviceBusyError,
    RefusedError,
    Station,
    TokaidoError,
    load_driver,
)
from tokaido.hal.driver import LineDevice
from tokaido.hal.sharing import (
    PROTOCOL,
    Acquire,
    Describe,
    EndLease,
    Exchange,
    Hello,
    Holders,
    KeepLease,
    LeaseLink,
    Lines,
    Release,
    Reply,
    ServedDevice,
    Verdict,
    decode_ask,
    refusal,
)
from tokaido.hal.transports import CurveClient, load_curve_public, load_curve_secret
from tokaido.lab.sharing._counter import Counter
from tokaido.lab.sharing._guard import Guard
from tokaido.lab.sharing._holds import Client, Holds, Role
from tokaido.lab.sharing._jobs import Waiter
from tokaido.lab.sharing._link_leases import LinkLeases
from tokaido.lab.sharing._served_device import DeviceInUse

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path
    from types import TracebackType

    from tokaido.hal import DeviceEntry
    from tokaido.hal.sharing import AnyAsk

FRESH_S: Final = 0.1
"""How old a reply may be that is given to another client, by default."""
ID_BYTES: Final = 8
MOST_CONNECTIONS: Final = 1000

logger = logging.getLogger("tokaido.lab.sharing")


@dataclass(frozen=True, slots=True)
class Listed:
    """One client that may connect."""

    key_file: Path
    """Its public key."""
    role: Role


class DeviceServer:
    """Has the ports of a station's devices, and lets other programs use the devices.

    Each device is opened with the first exchange, and stays open. Closing the server changes nothing in them.

    Args:
        station: The devices. Its own `device` must not be used meanwhile.
        endpoint: Where to listen: `tcp://HOST:PORT`; port 0 takes a free one.
        server_key_file: The server's secret CURVE key.
        clients: Who may connect, by name.
        lease_file: Where holds and the count of fencing tokens are kept.
        fresh_s: How old a reply may be that is given to another client, in s.
        clock: Where time comes from.

    Raises:
        ConfigurationError: No device can be served, or a key file is wrong.
        NotConnectedError: The endpoint cannot be bound.
    """

    def __init__(
        self,
        station: Station,
        *,
        endpoint: str,
        server_key_file: Path,
        clients: Mapping[str, Listed],
        lease_file: Path,
        fresh_s: float = FRESH_S,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._station = station
        self._clock = clock
        self._kinds: dict[str, type[LineDevice]] = {}
        self._why_not: dict[str, str] = {}
        for name, entry in station.devices.items():
            self._sort(name, entry)
        if not self._kinds:
            reasons = tuple(f"{name}: {why}" for name, why in self._why_not.items())
            raise ConfigurationError(f"station {station.name} has no device that can be served", mistakes=reasons)
        listed = _listed(clients)
        self._guard = Guard(station.interlocks, self._reach, clock=clock)
        self._devices = {
            name: DeviceInUse(station.devices[name], kind, self._guard, fresh_s=fresh_s, clock=clock)
            for name, kind in self._kinds.items()
        }
        self._leases = LinkLeases(station.links, station.half_links, clock=clock)
        self._holds = Holds(lease_file, self._devices, clock=clock)
        self._clients: dict[bytes, Client] = {}
        """Who is behind each connection, and what it says of itself."""
        self._encode = msgspec.msgpack.Encoder().encode
        self._closing = False
        self._counter = Counter(endpoint, load_curve_secret(server_key_file), listed)
        self.endpoint = self._counter.endpoint
        """Where it listens."""
        self._thread = threading.Thread(target=self._live, name="device-server", daemon=True)

    def _sort(self, name: str, entry: DeviceEntry) -> None:
        try:
            kind = load_driver(entry.driver, Device)
        except ConfigurationError as error:
            self._why_not[name] = str(error)
            return
        if issubclass(kind, LineDevice) and "control" in entry.resources:
            self._kinds[name] = kind
        else:
            self._why_not[name] = f"{entry.driver} does not speak in lines over one control port"

    @contextmanager
    def _reach(self, name: str) -> Iterator[Device]:
        """Give a device for the interlocks to ask."""
        if name in self._devices:
            yield self._devices[name].opened()
        else:
            with self._station.visit(name) as device:
                yield device

    @property
    def why_not(self) -> Mapping[str, str]:
        """Devices of the station that are not served, and why."""
        return dict(self._why_not)

    def exchanges(self, device: str) -> int:
        """Return how many exchanges were made with a device."""
        return self._devices[device].exchanges

    def start(self) -> None:
        """Begin to serve, in threads of its own."""
        for device in self._devices.values():
            device.start()
        self._thread.start()

    def close(self) -> None:
        """End everything; changes nothing in the devices. May be called again."""
        if self._closing:
            return
        for device in self._devices.values():
            device.close()
        self._closing = True
        if self._thread.ident is None:
            self._counter.close()
        else:
            self._counter.wake()
            self._thread.join()
        self._holds.close()
        self._leases.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # --- the thread ---------------------------------------------------------------------------------------------------

    def _live(self) -> None:
        try:
            while not self._closing:
                message = self._counter.receive()
                if message is not None and len(message.frame) >= ID_BYTES:  # else nobody could be answered
                    self._take(*message)
        finally:
            self._counter.close()

    def _take(self, known: CurveClient, address: bytes, frame: bytes) -> None:
        identifier, body = frame[:ID_BYTES], frame[ID_BYTES:]
        client = self._clients.get(address)
        if client is None or client.name != known.name:
            client = self._remember(address, Client(known.name, Role(next(iter(known.roles)))))
        try:
            asked = decode_ask(body)
            if type(asked) is Exchange and asked.query and not asked.fencing_token:  # the most frequent one
                device = self._devices.get(asked.device)
                recent = None if device is None else device.recent(asked.text)
                if recent is not None:
                    self._counter.reply(address, identifier + recent)
                    return
            reply = self._answer(client, address, identifier, asked)
        except TokaidoError as error:
            reply = refusal(error)
        except Exception:
            logger.exception("a request of %s failed in the server", known.name)
            reply = refusal(TokaidoError("the server failed", remedy="Its log says more"))
        if reply is not None:
            self._counter.reply(address, identifier + self._encode(reply))

    def _remember(self, address: bytes, client: Client) -> Client:
        """Keep who is behind a connection."""
        if len(self._clients) >= MOST_CONNECTIONS:
            self._clients.clear()  # what they say of themselves is for people to read
        self._clients[address] = client
        return client

    def _answer(self, client: Client, address: bytes, identifier: bytes, asked: AnyAsk) -> Reply | None:
        """Return the reply, or None where it comes later."""
        match asked:
            case Exchange():
                return self._exchange(client, asked, address, identifier)
            case Lines():
                self._device(asked.device).listen(asked.after, self._later(address, identifier, asked.within_s))
                return None
            case Verdict():
                self._device(asked.device).judged(asked.exchange, right=asked.right)
                return Reply()
            case Hello():
                self._remember(address, replace(client, who=asked.who))
                return Reply(protocol=PROTOCOL, station=self._station.name, name=client.name, role=client.role.value)
            case Describe():
                return self._described()
            case Acquire():
                return self._acquire(client, asked)
            case Release():
                self._device(asked.device)
                self._holds.release(asked.device, client, asked.fencing_token)
                return Reply()
            case LeaseLink():
                Holds.allow(client)
                lease = self._leases.acquire(asked.link, client, asked.holder, asked.seconds)
                logger.info("link %s: leased by %s", asked.link, lease.holder)
                return Reply(fencing_token=lease.fencing_token, seconds=lease.seconds)
            case KeepLease():
                Holds.allow(client)
                token, renew = asked.fencing_token, asked.renew
                return Reply(seconds=self._leases.keep(asked.link, client, token, asked.seconds, renew=renew))
            case EndLease():
                self._leases.end(asked.link, client, asked.fencing_token)
                return Reply()
            case Holders():
                return Reply(holders=self._holds.all())

    def _later(self, address: bytes, identifier: bytes, within_s: float) -> Waiter:
        def answer(reply: Reply) -> None:
            self._counter.send(address, identifier + self._encode(reply))

        return Waiter(answer, self._clock.monotonic_ns() + round(within_s * NS_PER_S))

    def _device(self, name: str) -> DeviceInUse:
        device = self._devices.get(name)
        if device is None:
            why = self._why_not.get(name, f"the server has {', '.join(self._devices)}")
            raise ConfigurationError(f"{name[:80]!r} is not served: {why}", remedy="Ask for one that is")
        return device

    # --- exchanges ----------------------------------------------------------------------------------------------------

    def _exchange(self, client: Client, asked: Exchange, address: bytes, identifier: bytes) -> Reply | None:
        device = self._device(asked.device)
        asks, shares = device.sort(asked.text)
        if asked.query and asks:
            shared = shares and not self._holds.holds(asked.device, client, asked.fencing_token)
            if shared and (recent := device.recent(asked.text)) is not None:
                self._counter.reply(address, identifier + recent)
                return None
            room = device.ask(asked.text, self._later(address, identifier, asked.within_s), shared=shared)
        else:
            self._may_command(client, device, asked.text)
            self._holds.check(asked.device, client, asked.fencing_token)
            logger.info("%s: %s (%s) sends %s", asked.device, client.name, client.who, asked.text[:200])
            waiter = self._later(address, identifier, asked.within_s)
            force, remedy = self._force_of(client, asked.force)
            room = device.command(asked.text, waiter, repeatable=asked.query, force=force, remedy=remedy)
        if not room:
            raise DeviceBusyError(f"too many exchanges wait at {asked.device}", remedy="Ask less often")
        return None

    @staticmethod
    def _force_of(client: Client, why: str) -> tuple[str, str]:
        """Return why interlocks may be overruled, and what to tell who may not overrule them."""
        if not why.strip():
            return "", ""
        if client.role is Role.MAINTENANCE:
            return f"{client.name} ({client.who}): {' '.join(why.split())}", ""
        return "", f"To force it takes the role maintenance, and {client.name} is an {client.role.value}"

    @staticmethod
    def _may_command(client: Client, device: DeviceInUse, text: str) -> None:
        Holds.allow(client)
        words = tuple(device.kind.maintenance_commands)
        statements = [statement.lstrip(" :*").upper() for statement in re.split(r"[;\r\n]", text)]
        if client.role is not Role.MAINTENANCE and any(one.startswith(words) for one in statements):
            raise RefusedError(
                f"{text[:40]!r} takes the role maintenance, and {client.name} is an {client.role.value}",
                code="ROLE",
                remedy="Ask who runs the server",
            )

    def _acquire(self, client: Client, asked: Acquire) -> Reply:
        self._device(asked.device)
        before = self._holds.of(asked.device)
        hold = self._holds.acquire(asked.device, client, asked.why, asked.seconds, take_over=asked.take_over)
        if before is not None and (before.name, before.who) != (hold.name, hold.who):
            logger.warning(
                "%s: %s (%s) takes it over from %s (%s): %s",
                asked.device, hold.name, hold.who, before.name, before.who, hold.why,
            )  # fmt: skip
        return Reply(fencing_token=hold.lease.fencing_token, seconds=hold.lease.seconds)

    def _described(self) -> Reply:
        devices = [
            ServedDevice(
                name,
                entry.driver,
                entry.serial_number,
                entry.timeout,
                self._why_not.get(name, ""),
                {path: calibration.record() for path, calibration in entry.calibrations.items()},
            )
            for name, entry in self._station.devices.items()
        ]
        return Reply(
            station=self._station.name,
            devices=devices,
            interlocks=self._guard.told(),
            links=self._leases.told(),
            half_links=self._leases.told_of_halves(),
        )


def _listed(clients: Mapping[str, Listed]) -> list[CurveClient]:
    """Return who may connect, with name and role.

    Raises:
        ConfigurationError: With every mistake in the list.
    """
    found: dict[bytes, CurveClient] = {}
    mistakes: list[str] = []
    for name, listed in clients.items():
        try:
            public = load_curve_public(listed.key_file)
        except ConfigurationError as error:
            mistakes.append(f"clients.{name}: {error}")
            continue
        if public in found:
            mistakes.append(f"clients.{name}: has the key of {found[public].name}; each client has one of its own")
        found[public] = CurveClient(public, name, frozenset({listed.role.value}))
    if not clients:
        mistakes.append("clients: there is none; list at least one, with its key_file and role")
    if mistakes:
        raise ConfigurationError("the list of clients is wrong", mistakes=tuple(mistakes))
    return list(found.values())
