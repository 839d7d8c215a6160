"""The key channel of a unit, without its sockets: verbs, draws, subscriptions."""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, ClassVar, Protocol

from tokaido.emulators.units._digest import digest_of_preshared_key
from tokaido.emulators.units._links import parse_link
from tokaido.emulators.units._readings import Refusal
from tokaido.emulators.units._states import OTHER_PSK_STATES, PSK_STATES, where
from tokaido.hal import KeyBlockFacts

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokaido.emulators._model import Message
    from tokaido.emulators.units._alarms import AlarmChange
    from tokaido.emulators.units._keyformat import Header, KeyFormat
    from tokaido.emulators.units._keystore import KeyStore, Name
    from tokaido.emulators.units._links import UnitLink, UnitLinks
    from tokaido.emulators.units._states import State
    from tokaido.hal import KeyBlockInfo

HOLD_NS = 10_000_000_000
SUBSCRIPTION_S = 30
LOOK_NS = 1_000_000_000
"""How often the oldest block that waits is compared with its digest."""
MAX_QUEUED = 1000
_MS = 1_000_000

Host = tuple[str, str]
"""Client key and the name that a program gave itself: two programs under one key are two hosts."""


class KeyedUnit(Protocol):
    """What the key channel needs of the unit behind it."""

    PSK_BYTES: ClassVar[int]
    serial_number: str
    store: KeyStore
    links: UnitLinks

    @property
    def now_ns(self) -> int:
        """Time in ns."""
        ...

    @property
    def state(self) -> State:
        """State of the unit."""
        ...

    @property
    def session_id(self) -> str | None:
        """Session id, if there is a session."""
        ...

    def identity(self) -> dict[str, str]:
        """Vendor, model, serial number and firmware."""
        ...

    def raise_alarm(self, code: str) -> None:
        """Raise an alarm, and enter the state that it leads to."""
        ...

    def load_psk(self, key: bytes, link: UnitLink | None = None) -> None:
        """Take the pre-shared key of a link, by default of the one in force; may raise `Refusal`."""
        ...

    def telemetry(self) -> dict[str, float | str | None]:
        """Return the values of the telemetry stream."""
        ...

    def telemetry_ages(self) -> dict[str, float]:
        """Return how old those of them are that were not measured just now, in s."""
        ...


@dataclass(frozen=True, slots=True)
class _Moment:
    """A time that comes when either of two clocks says so."""

    own_ns: int
    host_ns: int


@dataclass(slots=True)
class _Draw:
    peer: bytes
    host: Host
    request: bytes
    count: int
    until: _Moment


@dataclass(slots=True)
class _Subscription:
    interval_ns: int
    next_ns: int
    ends_ns: int
    seq: int = 0


class KeyServer:
    """Requests in, replies and events out.

    Args:
        device: The unit.
        form: How messages are written.
    """

    def __init__(self, device: KeyedUnit, form: KeyFormat) -> None:
        self._device = device
        self._form = form
        self._out: deque[Message] = deque()
        self._draws: list[_Draw] = []
        self._holder: Host | None = None
        self._held_until = _Moment(0, 0)
        self._host_ns = 0
        self._subscriptions: dict[bytes, _Subscription] = {}
        self._verbs: dict[str, Callable[[_Request], Header | None]] = {
            "hello": self._hello,
            "status": self._status,
            "load_psk": self._load_psk,
            "draw": self._draw,
            "ack": self._ack,
            "commit": self._commit,
            "subscribe": self._subscribe,
            "unsubscribe": self._unsubscribe,
        }

    def receive(self, peer: bytes, client_key: str, frames: list[bytes]) -> None:
        """Take one message. Without a usable id there is nothing to answer, and nothing is."""
        request_id = self._form.request_id(frames)
        if request_id is None:
            return
        try:
            request = _Request(peer, client_key, request_id, *self._form.decode(frames))
            verb = request.header["verb"]
            if verb not in self._verbs:
                raise Refusal("UNKNOWN", f"there is no verb {verb[:40]!r}")
            if verb != "hello":
                self._check_serial_number(request.header)
            if request.payload and verb != "load_psk":
                raise Refusal("MALFORMED", f"{verb} takes no payload")
            members = self._verbs[verb](request)
        except Refusal as refusal:
            self._reply(peer, request_id, {"ok": False, "code": refusal.name, "text": refusal.text})
            return
        if members is not None:
            self._reply(peer, request_id, {"ok": True, **members})

    def take(self) -> list[Message]:
        """Return, once, what is to be sent."""
        messages = list(self._out)
        self._out.clear()
        return messages

    @property
    def has_output(self) -> bool:
        """Whether there is something to send."""
        return bool(self._out)

    def due_ns(self) -> int | None:
        """Return when a draw is to be answered or a subscriber told something, in the unit's time; None if never."""
        due_ns = [draw.until.own_ns for draw in self._draws]
        due_ns += [min(subscription.next_ns, subscription.ends_ns) for subscription in self._subscriptions.values()]
        return min(due_ns, default=None)

    def host_due_ns(self) -> int | None:
        """Return when a draw is to be answered, in the hosts' time; None if none waits."""
        return min((draw.until.host_ns for draw in self._draws), default=None)

    def note_host_time(self, now_ns: int) -> None:
        """Take note of the hosts' time, and answer the draws whose time has come in it."""
        self._host_ns = now_ns
        if any(self._come(draw.until) for draw in self._draws):
            self.serve_draws()

    def tick(self) -> None:
        """Answer the draws whose time has come, and send the telemetry that is due."""
        now_ns = self._device.now_ns
        if now_ns % LOOK_NS == 0:
            self._lock_away_altered(1)
        if self._draws:
            self.serve_draws()
        told: Header | None = None  # the same for all subscribers
        for peer, subscription in list(self._subscriptions.items()):
            if now_ns >= subscription.ends_ns:
                del self._subscriptions[peer]
            elif now_ns >= subscription.next_ns:
                subscription.next_ns += subscription.interval_ns
                told = told or {
                    "event": "telemetry",
                    "uptime_ms": now_ns // _MS,
                    "state": str(self._device.state),
                    "values": self._device.telemetry(),
                    "ages": self._device.telemetry_ages(),
                }
                self._event(peer, subscription, told)

    def tell_alarm(self, change: AlarmChange) -> None:
        """Send an alarm change to every subscriber."""
        members = {
            "event": "alarm",
            "change": change.change,
            "code": change.kind.code,
            "severity": change.kind.severity,
            "text": change.kind.text,
        }
        for peer, subscription in self._subscriptions.items():
            self._event(peer, subscription, members)

    def serve_draws(self) -> None:
        """Answer the draws that wait, if there are blocks or their time is over."""
        for draw in list(self._draws):
            self._lock_away_altered(draw.count)
            if self._device.store.waiting or self._come(draw.until):
                self._draws.remove(draw)
                self._hold(draw.host)
                self._offer(draw)

    def _lock_away_altered(self, count: int) -> None:
        """Keep from hosts what lost its digest, so that the blocks behind it come forward."""
        while altered := self._device.store.altered(count):
            for name in altered:
                self._device.store.lock_away(name)
            self._device.raise_alarm("QUARANTINE")

    # --- verbs ------------------------------------------------------------------------------------------------------

    def _hello(self, request: _Request) -> Header:
        protocol = self._form.PROTOCOL
        if request.text("protocol") != protocol:
            raise Refusal("RANGE", f"this unit speaks {protocol}")
        return {"protocol": protocol, **self._device.identity(), "emulated": True}

    def _status(self, _: _Request) -> Header:
        store = self._device.store
        return {
            "state": str(self._device.state),
            "session": self._device.session_id,
            "waiting": store.waiting,
            "committed": store.committed,
        }

    def _load_psk(self, request: _Request) -> Header:
        if len(request.payload) != 1:
            raise Refusal("MALFORMED", "load_psk takes one payload frame")
        link = request.link
        states = PSK_STATES if link in (None, self._device.links.in_force) else OTHER_PSK_STATES
        if self._device.state not in states:
            raise Refusal("STATE", f"{self._device.state}: load_psk is allowed in {where(states)}")
        size = self._device.PSK_BYTES
        if len(request.payload[0]) != size:
            raise Refusal("PSK_SIZE", f"the pre-shared key has {size} bytes, not {len(request.payload[0])}")
        peer, path = link or ("", "")
        own = digest_of_preshared_key(self._device.serial_number, peer, path, request.payload[0])
        if request.digest not in ("", own):
            raise Refusal("ALTERED", "the digest is not that of the key")
        self._device.load_psk(request.payload[0], link)
        return {"loaded": size}

    def _draw(self, request: _Request) -> None:
        count = request.integer("max", 1, 16)
        wait_ms = request.integer("wait_ms", 0, 30_000)
        self._check_holder(request.host)
        self._hold(request.host)
        self._draws.append(_Draw(request.peer, request.host, request.id, count, self._in(wait_ms * _MS)))
        self.serve_draws()

    def _ack(self, request: _Request) -> Header:
        name = self._named(request)
        state = self._device.store.ack(name)
        if state is None:
            raise Refusal("NO_BLOCK", f"there is no block {name[0]}/{name[1]}")
        self._hold(request.host)
        return {"session": name[0], "number": name[1], "state": state}

    def _commit(self, request: _Request) -> Header:
        name = self._named(request)
        state = self._device.store.commit(name)
        if state is None:
            raise Refusal("NO_BLOCK", f"there is no block {name[0]}/{name[1]}")
        if state == "not acked":
            raise Refusal("NOT_ACKED", f"block {name[0]}/{name[1]} was not acknowledged")
        self._hold(request.host)
        return {"session": name[0], "number": name[1], "state": state}

    def _named(self, request: _Request) -> Name:
        """Return the block that the holder of the unit speaks of; one that is altered is not."""
        name = request.text("session"), request.integer("number", 0)
        self._check_holder(request.host)
        own = self._device.store.digest(name)
        if own and request.digest not in ("", own):
            raise Refusal("ALTERED", f"the digest is not that of block {name[0]}/{name[1]}")
        return name

    def _subscribe(self, request: _Request) -> Header:
        interval_ns = request.integer("interval_ms", 100, 60_000) * _MS
        now_ns = self._device.now_ns
        before = self._subscriptions.get(request.peer)
        self._subscriptions[request.peer] = _Subscription(
            interval_ns, now_ns + interval_ns, now_ns + SUBSCRIPTION_S * 1000 * _MS, before.seq if before else 0
        )
        return {"lease_s": SUBSCRIPTION_S}

    def _unsubscribe(self, request: _Request) -> Header:
        self._subscriptions.pop(request.peer, None)
        return {}

    # --- one host at a time -----------------------------------------------------------------------------------------

    def _check_holder(self, host: Host) -> None:
        waits = any(draw.host == self._holder for draw in self._draws)
        held = waits or not self._come(self._held_until)
        if held and self._holder != host:
            raise Refusal("BUSY", "another host draws from this unit")

    def _hold(self, host: Host) -> None:
        self._holder = host
        self._held_until = self._in(HOLD_NS)

    # --- two clocks: on a bench that works hard, emulated time falls behind that of the hosts ------------------------

    def _in(self, ns: int) -> _Moment:
        return _Moment(self._device.now_ns + ns, self._host_ns + ns)

    def _come(self, moment: _Moment) -> bool:
        return self._device.now_ns >= moment.own_ns or self._host_ns >= moment.host_ns

    # --- what goes out ----------------------------------------------------------------------------------------------

    def _offer(self, draw: _Draw) -> None:
        blocks = self._device.store.offers(draw.count)
        listed = [{**_public(block.info), "digest": block.digest} for block in blocks]
        payload = [bytes(block.key.reveal()) for block in blocks]
        self._reply(draw.peer, draw.request, {"ok": True, "blocks": listed}, payload)

    def _reply(self, peer: bytes, request: bytes, members: Header, payload: list[bytes] | None = None) -> None:
        self._out.append((peer, self._form.encode(request, self._signed(members), payload or [])))

    def _event(self, peer: bytes, subscription: _Subscription, members: Header) -> None:
        subscription.seq += 1
        if len(self._out) < MAX_QUEUED:
            self._out.append((peer, self._form.encode(None, self._signed({**members, "seq": subscription.seq}))))

    def _signed(self, members: Header) -> Header:
        return {**members, "serial_number": self._device.serial_number}

    def _check_serial_number(self, header: Header) -> None:
        given = header.get("serial_number")
        if not isinstance(given, str):
            raise Refusal("MALFORMED", "the header lacks serial_number")
        if given != self._device.serial_number:
            raise Refusal("WRONG_UNIT", f"this is {self._device.serial_number}")


@dataclass(slots=True)
class _Request:
    peer: bytes
    client_key: str
    id: bytes
    header: Header
    payload: list[bytes]

    @property
    def host(self) -> Host:
        name = self.text("host")
        if not re.fullmatch("[0-9a-f]{16}", name):
            raise Refusal("MALFORMED", "host is 16 lower-case hexadecimal digits")
        return self.client_key, name

    @property
    def link(self) -> UnitLink | None:
        """The link that is named, or None if none is."""
        if "peer" not in self.header and "path" not in self.header:
            return None
        return parse_link(self.text("peer"), self.text("path"))

    @property
    def digest(self) -> str:
        """What the request says it speaks of, or an empty text if it does not say."""
        return self.text("digest") if "digest" in self.header else ""

    def text(self, member: str) -> str:
        value = self.header.get(member)
        if not isinstance(value, str):
            raise Refusal("MALFORMED", f"{member} must be a string")
        return value

    def integer(self, member: str, low: int, high: int | None = None) -> int:
        value = self.header.get(member)
        if not isinstance(value, int) or isinstance(value, bool):
            raise Refusal("MALFORMED", f"{member} must be an integer")
        if value < low or (high is not None and value > high):
            raise Refusal("RANGE", f"{member} lies in {low} to {'any' if high is None else high}")
        return value


def _public(info: KeyBlockInfo) -> Header:
    facts = {fact.name: getattr(info, fact.name) for fact in fields(KeyBlockFacts)}
    return {**facts, "peer": info.peer or "-", "path": info.path or "-"}
