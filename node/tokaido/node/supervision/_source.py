"""What the thread of a device asks and orders: the side of supervision that speaks to hal."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Final

from tokaido.hal import (
    NS_PER_S,
    SETUP,
    ConfigurationError,
    Device,
    KeyEnd,
    KeySource,
    LeaseBook,
    LeaseHeldError,
    NotConnectedError,
    OutcomeUnknownError,
    ProtocolError,
    Quality,
    StateError,
    TokaidoError,
    Unit,
    UnitState,
    UnsupportedError,
    WrongDeviceError,
)
from tokaido.node.supervision._inventory import Inventory
from tokaido.node.supervision._orders import (
    Align,
    ClearFault,
    Done,
    Failed,
    Outcome,
    PowerOn,
    SelectLink,
    Start,
    Stop,
    UnitOrder,
    UnitRead,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tokaido.hal import HalfLinkEntry, KeyBlock, KeyMaterial, Reading, Station
    from tokaido.node.core import Fetch

LEASE_S: Final = 30.0
"""How long the lease is taken for, under which one order is given."""
SWITCHES_EVERY_S: Final = 30.0
"""How often the switches are asked which path they join while the unit is not in a state of set-up."""


class Source:
    """One device of a station, as its thread sees it: opened when it is first needed, and by the thread alone.

    Args:
        station: The station.
        device: Name of the device in it.
        half_link: The half-link whose unit it is; None: a key source or another device.
        holder: Who holds leases, for people to read: the node.
        inventory: Says whether a box may be used; default: any.
    """

    def __init__(
        self,
        station: Station,
        device: str,
        half_link: HalfLinkEntry | None = None,
        *,
        holder: str = "node",
        inventory: Inventory | None = None,
    ) -> None:
        self.name = device
        self._station = station
        self._entry = half_link
        self._holder = holder
        self._inventory = inventory or Inventory()
        self._admitted: Device | None = None
        self._texts: dict[str, str] = {}
        self._path: str | None = None
        self._path_seen_ns: int | None = None

    @property
    def _device(self) -> Device:
        device = self._station.device(self.name, Device)
        if device is not self._admitted:
            self._admitted = None
            self._inventory.admit(self.name, device.identity())
            self._admitted = device
        return device

    # --- reading ------------------------------------------------------------------------------------------------------

    def read(self) -> UnitRead:
        """Read the device, opened if it is not open yet.

        Raises:
            TokaidoError: It cannot be read, or is another box that nobody has accepted.
        """
        try:
            return self._read()
        except WrongDeviceError:
            self._station.forget(self.name)  # the next look says which box it is
            raise

    def _read(self) -> UnitRead:
        clock = self._station.clock
        start_ns = clock.monotonic_ns()
        device = self._device
        if not isinstance(device, Unit):
            readings = device.telemetry()
            if not readings:
                device.identity()  # a device without values is asked whether it is there
            took_s = (clock.monotonic_ns() - start_ns) / NS_PER_S
            return UnitRead(None, answered_in_s=took_s, readings=readings)
        state, alarms, selection = device.state(), device.alarms(), device.link()
        keys = {(key.peer, key.path): key.remaining_bits for key in device.link_keys()}
        readings = device.telemetry()
        took_s = (clock.monotonic_ns() - start_ns) / NS_PER_S
        selected = selection.peer, selection.path
        wanted = self._wanted(state)
        link = wanted or selected
        loaded = link in keys or (link == selected and device.preshared_key_loaded())
        left = keys.get(link)
        return UnitRead(
            state,
            alarms,
            selected,
            wanted,
            preshared_key=loaded,
            authentication_bits=left if left is not None else _whole(readings["authentication_key_remaining"]),
            uptime_s=_number(readings["uptime"]),
            answered_in_s=took_s,
            readings=readings,
            texts=self._alarm_texts(device, {alarm.code for alarm in alarms}),
            preshared_keys=frozenset({*keys, *((link,) if loaded else ())}),
        )

    def _wanted(self, state: UnitState) -> tuple[str, str] | None:
        """Return the link that the unit should be set to: to its peer, over the path that the switches here join."""
        entry = self._entry
        if entry is None or not entry.peer or not entry.paths:
            return None
        now_ns, seen_ns = self._station.clock.monotonic_ns(), self._path_seen_ns
        if any(self._inventory.held(switch) for switch in entry.switches):
            self._path = self._path_seen_ns = None
        elif not entry.switches:
            self._path = next(iter(entry.paths)) if len(entry.paths) == 1 else None
        elif state in SETUP or seen_ns is None or now_ns - seen_ns >= SWITCHES_EVERY_S * NS_PER_S:
            try:
                self._path = self._station.half_link(entry.name).path()
            except TokaidoError:  # a switch that does not answer has a thread of its own, which tells
                self._path = None
            self._path_seen_ns = now_ns
        return None if self._path is None else (entry.peer, self._path)

    def _alarm_texts(self, unit: Unit, codes: set[str]) -> dict[str, str]:
        try:
            for event in unit.alarm_events():
                self._texts[event.code] = event.text
        except TokaidoError:  # texts are a help for people; the alarms themselves were read
            pass
        self._texts = {code: text for code, text in self._texts.items() if code in codes}
        return dict(self._texts)

    # --- keys ---------------------------------------------------------------------------------------------------------

    def key_blocks(self, most: int) -> Iterator[KeyBlock]:
        """Draw the blocks that are there.

        Raises:
            TokaidoError: They cannot be drawn.
        """
        device = self._device
        if isinstance(device, KeySource) and device.key_end is not KeyEnd.SLAVE:  # which fetches, and draws none
            yield from device.key_blocks(0.0, limit=most)

    def fetch(self, action: Fetch) -> KeyBlock:
        """Fetch the block that the neighbour holds.

        Raises:
            TokaidoError: It cannot be fetched.
        """
        device = self._device
        if not isinstance(device, KeySource):
            raise UnsupportedError(f"{self.name} gives no keys")
        return device.fetch_block(action.key_ids)

    # --- orders -------------------------------------------------------------------------------------------------------

    def carry_out(self, order: UnitOrder) -> Done | Failed:
        """Give an order under the lease of its end, and tell its outcome."""
        try:
            with self._leased() as token:
                self._give(order, token)
        except LeaseHeldError as error:
            return Failed(order, Outcome.TAKEN, f"{error.holder} holds the lease")
        except StateError as error:
            return Failed(order, Outcome.STATE, error.what)
        except OutcomeUnknownError as error:
            return Failed(order, Outcome.UNKNOWN, error.what)
        except (NotConnectedError, ConfigurationError) as error:
            return Failed(order, Outcome.NOT_SENT, error.what)
        except TokaidoError as error:
            return Failed(order, Outcome.REFUSED, error.what)
        return Done(order)

    @contextmanager
    def _leased(self) -> Iterator[int | None]:
        """Hold the lease of this end, if it has one, and give its fencing token."""
        with ExitStack() as held:
            token = None
            if self._entry is not None and self._entry.lease_file is not None:
                book = LeaseBook(self._entry.lease_file, clock=self._station.clock)
                held.callback(book.close)
                lease = held.enter_context(book.acquire(self._entry.lease_names, self._holder, LEASE_S))
                token = lease.fencing_token
            yield token

    def load_preshared_key(self, key: KeyMaterial, peer: str, path: str) -> tuple[str, str]:
        """Load a pre-shared key under the lease of this end, and ask the unit whether it has one for that link.

        Args:
            key: The same at both ends.
            peer: Serial number of the unit at the other end; empty together with `path`: of the link in force.
            path: Of the link.

        Returns:
            Peer and path of the link, as the unit names it.

        Raises:
            TokaidoError: It was not loaded; OutcomeUnknownError: nobody knows.
        """
        unit = self._device
        if not isinstance(unit, Unit):
            raise UnsupportedError(f"{self.name} takes no pre-shared key")
        with self._leased():
            unit.load_preshared_key(key, peer=peer, path=path)
        selected = unit.link()
        in_force = selected.peer, selected.path
        link = (peer, path) if peer or path else in_force
        held = any((one.peer, one.path) == link for one in unit.link_keys())
        if not held and not (link == in_force and unit.preshared_key_loaded()):
            raise ProtocolError(f"{self.name} took the pre-shared key, and says that it has none for this link")
        return link

    def _give(self, order: UnitOrder, fencing_token: int | None) -> None:
        unit = self._device
        if not isinstance(unit, Unit):
            raise UnsupportedError(f"{self.name} takes no orders")
        match order:
            case PowerOn():
                unit.power_on()
            case Start():
                unit.start()
            case Align():
                unit.align()
            case Stop():
                unit.stop()
            case SelectLink(peer=peer, path=path):
                unit.select_link(peer, path, fencing_token=fencing_token)
            case ClearFault():
                unit.clear_fault()


def _number(reading: Reading[object]) -> float | None:
    value = reading.value
    good = reading.quality is not Quality.BAD and isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(value) if good else None  # type: ignore[arg-type]


def _whole(reading: Reading[object]) -> int | None:
    number = _number(reading)
    return None if number is None else int(number)
