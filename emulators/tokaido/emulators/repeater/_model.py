"""A repeater node as its control endpoint shows it: docs/protocols/repeater.md, section 7, tells options and faults."""

from __future__ import annotations

import re
from collections import deque
from functools import lru_cache
from typing import TYPE_CHECKING, ClassVar, Final

from tokaido.emulators._model import DeviceModel, Message
from tokaido.emulators.repeater._node import EmulatedNode, Nature
from tokaido.hal import NS_PER_S, SYSTEM_CLOCK, ConfigurationError
from tokaido.hal.transports import CurveClient
from tokaido.node.endpoint import Role

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tokaido.emulators._secrets import Secrets
    from tokaido.node.operation import NodeStatus

ALL_ROLES: Final = ",".join(one.value for one in Role)
NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}")


class RepeaterModel(DeviceModel):
    """One node, with neighbours, links and applications around it.

    Args:
        serial_number: Name of the node.
        seed: Decides what is random and no secret, and the keys if secrets are "seeded".
        secrets: "os", or "seeded" for keys that are the same in every run and marked insecure.
        neighbours: Names of its neighbours, joined by commas.
        preset: What rate and QBER of its links are calculated from; see `tokaido.emulators.optics.presets`.
        distance_km: Length of each link.
        demand: Keys a second that applications take of each pair.
        stock: Keys of each pair that are to be ready.
        relaying: Whether it relays when it comes up.
        roles: What the client of the emulator may do, joined by commas.
        utc_s: Time of day when it comes up, in s since 1970-01-01 UTC; 0: the machine's.

    Raises:
        ConfigurationError: An option does not fit.
    """

    SERIAL_NUMBER: ClassVar[str] = "maibara"
    MESSAGE_PORTS = ("control",)
    wire_ends = ("zmq",)
    MAY_WAIT_S = 1.0
    FAULTS = (
        "neighbour_lost",
        "stock_empty",
        "store_rolled_back",
        "clock_off",
        "relay_alters",
        "relay_delays",
        "relay_replays",
        "relay_loops",
    )

    def __init__(
        self,
        serial_number: str | None = None,
        *,
        seed: int = 0,
        secrets: Secrets = "os",
        neighbours: str = "west,east",
        preset: str = "t12",
        distance_km: float = 50.0,
        demand: float = 0.5,
        stock: int = 64,
        relaying: bool = True,
        roles: str = ALL_ROLES,
        utc_s: float = 0.0,
    ) -> None:
        self.serial_number = self.SERIAL_NUMBER if serial_number is None else serial_number
        names = tuple(neighbours.split(","))
        _check(self.serial_number, names, demand, stock, roles)
        self.rate_bps, self.qber = link_rate_of(preset, distance_km)
        """What each link gives, by calculation."""
        self.provoked: set[str] = set()
        """Model faults that are present; see `FAULTS`."""
        self._nature = Nature(
            name=self.serial_number,
            neighbours=names,
            rate_bps=self.rate_bps,
            qber=self.qber,
            demand=demand,
            stock=stock,
            relaying=relaying,
            utc_ns=round(utc_s * NS_PER_S) or SYSTEM_CLOCK.utc_ns(),
            seed=seed,
            secrets=secrets,
        )
        self._node: EmulatedNode | None = None  # a box that only stands by costs nothing
        self._outbox: deque[Message] = deque()
        self._client = CurveClient(b"", "host", frozenset(roles.split(",")))

    @property
    def node(self) -> EmulatedNode:
        """The node at work; it comes up when it is first needed."""
        if self._node is None:
            self._node = EmulatedNode(self._nature, self.provoked)
            self._node.faults_changed()
        return self._node

    def status(self) -> NodeStatus:
        """Return all that may be known of the node."""
        return self.node.status()

    def truth(self, path: str) -> object:
        """Return what the driver must say at a path such as `links[0].qber`, for tests."""
        return self.node.truth(path)

    # --- ports --------------------------------------------------------------------------------------------------------

    def receive(self, port: str, data: bytes) -> None:
        """Refuse: it has no stream port."""
        raise KeyError(f"the port {port} takes no {len(data)} bytes")

    def take(self, port: str) -> bytes:
        """Refuse: it has no stream port."""
        raise KeyError(port)

    def receive_message(self, peer: bytes, client_key: str, frames: list[bytes]) -> None:
        """Answer one message of a client at the control endpoint."""
        if len(frames) != 1:
            return
        del client_key  # the wire end lets its one client in, and nobody else
        answer = self.node.hear(self._client, peer, frames[0])
        if answer is not None:
            self._outbox.append((peer, [answer]))

    def take_messages(self) -> list[Message]:
        """Return, once, the answers."""
        messages, self._outbox = list(self._outbox), deque()
        return messages

    def has_output(self, port: str) -> bool:
        """Return whether an answer waits to be sent."""
        return port in self.MESSAGE_PORTS and bool(self._outbox)

    # --- time ---------------------------------------------------------------------------------------------------------

    @property
    def now_ns(self) -> int:
        """Time in ns since the node came up."""
        return 0 if self._node is None else self._node.now_ns

    def advance(self, to_ns: int) -> None:
        """Let time pass until `to_ns`; raises ValueError for the past."""
        if to_ns < self.now_ns:
            raise ValueError(f"{to_ns} ns lies in the past of {self.now_ns} ns")
        self.node.advance(to_ns)

    def due_ns(self) -> int:
        """Return when it is next looked at: once a second, so that nothing piles up."""
        return (self.now_ns // NS_PER_S + 1) * NS_PER_S

    # --- faults -------------------------------------------------------------------------------------------------------

    def add_fault(self, fault: str) -> None:
        """Begin a model fault; `store_rolled_back` happens once."""
        if fault not in self.FAULTS:
            raise ConfigurationError(f"no fault is called {fault!r}", remedy=f"Choose one of: {', '.join(self.FAULTS)}")
        self.provoked.add(fault)
        self.node.faults_changed(fault)

    def forget_secrets(self) -> None:
        """Erase every key."""
        if self._node is not None:
            self._node.sites.wipe()


@lru_cache(maxsize=64)
def link_rate_of(preset: str, distance_km: float) -> tuple[float, float]:
    """Return the secret rate in bit/s and the QBER of a link, as `tokaido rate` calculates them.

    Raises:
        ConfigurationError: No preset has that name, or the link gives no key over that distance.
    """
    from tokaido.emulators import optics  # noqa: PLC0415 - numpy, when first needed

    try:
        params = optics.protocol_preset(preset, settings="published", channel_loss_db=None, distance_km=distance_km)
        rate = optics.link_rate(params)
    except (ValueError, LookupError) as error:
        raise ConfigurationError(
            f"no link can be calculated: {error}", remedy=f"Presets are {', '.join(optics.presets())}"
        ) from error
    if not rate.secret_bps > 0:
        raise ConfigurationError(f"{preset} gives no key over {distance_km:g} km", remedy="Give a shorter distance_km")
    return float(rate.secret_bps), float(rate.qber_z)


def _check(node: str, names: Sequence[str], demand: float, stock: int, roles: str) -> None:
    known = {role.value for role in Role}
    others = {*names, node}
    conditions = (
        (all(map(NAME.fullmatch, others)), "neighbours: names are 1 to 32 of A-Z a-z 0-9 . _ -, as the node's own is"),
        (len(others) == len(names) + 1, "neighbours: no two nodes have one name"),
        (0 <= demand <= 100, "demand: should be 0 to 100 keys a second"),
        (1 <= stock <= 4096, "stock: should be 1 to 4096 keys"),
        (set(roles.split(",")) <= known, f"roles: there are {', '.join(sorted(known))}"),
    )
    mistakes = tuple(mistake for right, mistake in conditions if not right)
    if mistakes:
        raise ConfigurationError("a repeater cannot be so", mistakes=mistakes)
