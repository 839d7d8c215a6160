"""The classical channel: it carries what units say to each other, unless somebody sits on it."""

from __future__ import annotations

import heapq
import itertools
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from tokaido.emulators.optics import Fibre
from tokaido.hal import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from tokaido.emulators.bench._lighting import Lighting
    from tokaido.emulators.bench._places import ReceiverPlace, TransmitterPlace, UnitPlaceOnBench
    from tokaido.hal import Clock


P = TypeVar("P")


class _Flying(NamedTuple):
    """A message on its way."""

    due_ns: int
    order: int
    sender: str
    taker: str
    message: bytes


class ClassicalChannel:
    """Carries messages between units. It goes another way than light: who hears whom is a matter of names.

    A message goes to the unit that the sender's link names. A sender without a named link speaks to the unit at the
    other end of its light, or else to the only unit of the other side.

    Args:
        units: By name.
        transmitters: By name.
        receivers: By name.
        lighting: Knows who is at the other end of the light.
        clock: Times how long carrying takes.
        delay_s: How long every message takes; None: as long as light takes through the fibres between the two, and
            where light comes no more, as long as it took at last.
    """

    def __init__(
        self,
        units: Mapping[str, UnitPlaceOnBench],
        transmitters: Mapping[str, TransmitterPlace],
        receivers: Mapping[str, ReceiverPlace],
        lighting: Lighting,
        *,
        clock: Clock,
        delay_s: float | None = 0.0,
    ) -> None:
        self.tamper: Callable[[str, bytes], Iterable[bytes]] | None = None
        """Who sits on the channel: takes the sender's name and a message, returns what arrives in its place."""
        self.isolated: set[str] = set()
        """Names of the units that nobody hears and that hear nobody."""
        self._units = units
        self._transmitters = transmitters
        self._receivers = receivers
        self._lighting = lighting
        self._clock = clock
        self._delay_s = delay_s
        self._flying: list[_Flying] = []
        self._unfinished_ns: int | None = None
        self._order = itertools.count()
        self._delays_ns: dict[tuple[str, str], int] = {}
        self._last_due_ns: dict[tuple[str, str], int] = {}

    def pump(self, from_ns: int, to_ns: int, wall_s: float | None) -> bool:
        """Carry messages through a stretch of emulated time; return whether it came to its end.

        A message goes out when the one it answers came in, or the last pulse that it tells of was over. One that is to
        arrive later than `to_ns` stays on its way.
        Work that was broken off goes on where it was, so that a machine that is behind makes no round trip longer.

        Args:
            from_ns: Emulated time at which it begins, unless an earlier stretch was not finished.
            to_ns: Emulated time at which it ends.
            wall_s: Time on the wall in s after which it is broken off; None: it is not.
        """
        start_ns = self._clock.monotonic_ns()
        now_ns = from_ns if self._unfinished_ns is None else self._unfinished_ns
        self._unfinished_ns = None
        while True:
            moved = False
            for place in self._units.values():
                moved |= self._send(place, now_ns)
            moved |= self._deliver(now_ns)
            for place in self._units.values():
                place.end.follow()
                moved |= place.end.work(now_ns)
            if not moved:
                next_ns = min(self._events(), default=None)
                if next_ns is None or next_ns > to_ns:
                    return True
                now_ns = next_ns
            elif wall_s is not None and self._clock.monotonic_ns() - start_ns > wall_s * NS_PER_S:
                self._unfinished_ns = now_ns
                return False

    def _events(self) -> Iterator[int]:
        """Tell when messages arrive, and when light was detected that an end does not know of yet."""
        if self._flying:
            yield self._flying[0].due_ns
        for place in self._units.values():
            if place.end.next_light_ns is not None:
                yield place.end.next_light_ns

    def _send(self, sender: UnitPlaceOnBench, now_ns: int) -> bool:
        if not sender.model.peer.speaks:  # as nearly always; the lock costs more
            return False
        with sender.shared.lock:
            messages = sender.model.peer.take()
            if not messages:
                return False
            peer = sender.model.links.in_force.peer if sender.model.links.in_force.named else None
        taker = self._other_end(sender) if peer is None else self._of_serial(peer)
        if taker is None:
            return True
        way = sender.name, taker.name
        due_ns = max(now_ns + self._delay_ns(sender, taker), self._last_due_ns.get(way, 0))  # none overtakes another
        self._last_due_ns[way] = due_ns
        for message in messages:
            if self.isolated & {*way}:
                break
            for arriving in (message,) if self.tamper is None else self.tamper(sender.name, message):
                heapq.heappush(self._flying, _Flying(due_ns, next(self._order), *way, arriving))
        return True

    def _deliver(self, now_ns: int) -> bool:
        moved = False
        while self._flying and self._flying[0].due_ns <= now_ns:
            _, _, sender, name, message = heapq.heappop(self._flying)
            moved = True
            taker = self._units.get(name)
            if taker is not None and not self.isolated & {sender, name}:
                with taker.shared.lock:
                    taker.model.peer.receive(message)
        return moved

    def _delay_ns(self, sender: UnitPlaceOnBench, taker: UnitPlaceOnBench) -> int:
        if self._delay_s is not None:
            return round(self._delay_s * NS_PER_S)
        transmitter, receiver = (sender, taker) if taker.name in self._receivers else (taker, sender)
        pair = transmitter.name, receiver.name
        source = self._transmitters.get(transmitter.name)
        path = None if source is None else source.quantum
        if path is not None and path.unit == receiver.name:
            self._delays_ns[pair] = round(Fibre(length_km=path.length_km, loss_db=0.0).delay_s * NS_PER_S)
        return self._delays_ns.get(pair, 0)

    def _of_serial(self, serial_number: str) -> UnitPlaceOnBench | None:
        found = (place for place in self._units.values() if place.model.serial_number == serial_number)
        return next(found, None)

    def _other_end(self, sender: UnitPlaceOnBench) -> UnitPlaceOnBench | None:
        if sender.name in self._receivers:
            source = self._lighting.source_of(self._receivers[sender.name])
            return source[0] if source is not None else _only(self._transmitters)
        light = self._transmitters[sender.name].quantum
        lit = None if light is None else self._receivers.get(light.unit)
        return lit or _only(self._receivers)


def _only(places: Mapping[str, P]) -> P | None:
    return next(iter(places.values())) if len(places) == 1 else None
