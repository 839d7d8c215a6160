"""The classical channel: it carries what units say to each other, unless somebody sits on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokaido.emulators.bench._places import ReceiverPlace, TransmitterPlace
from tokaido.hal._clock import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from tokaido.emulators.bench._lighting import Lighting
    from tokaido.emulators.bench._places import UnitPlaceOnBench
    from tokaido.hal._clock import Clock


class ClassicalChannel:
    """Carries messages between units. It goes another way than light: who hears whom is a matter of names.

    A message goes to the unit that the sender's link names. A sender without a named link speaks to the unit at the
    other end of its light, or else to the only unit of the other side.

    Args:
        units: By name.
        lighting: Knows who is at the other end of the light.
        clock: Times how long carrying takes.
    """

    def __init__(self, units: Mapping[str, UnitPlaceOnBench], lighting: Lighting, clock: Clock) -> None:
        self.tamper: Callable[[str, bytes], Iterable[bytes]] | None = None
        """Who sits on the channel: takes the sender's name and a message, returns what arrives in its place."""
        self.isolated: set[str] = set()
        """Names of the units that nobody hears and that hear nobody."""
        self._units = units
        self._lighting = lighting
        self._clock = clock

    def pump(self, wall_s: float | None) -> bool:
        """Carry messages until nobody has more to say, or for `wall_s` s; return whether it came to that."""
        start_ns = self._clock.monotonic_ns()
        while True:
            moved = False
            for place in self._units.values():
                moved |= self._carry(place)
            for place in self._units.values():
                place.end.follow()
                moved |= place.end.work()
            if not moved:
                return True
            if wall_s is not None and self._clock.monotonic_ns() - start_ns > wall_s * NS_PER_S:
                return False

    def _carry(self, sender: UnitPlaceOnBench) -> bool:
        with sender.shared.lock:
            messages = sender.model.peer.take()
            peer = sender.model.links.in_force.peer if sender.model.links.in_force.named else None
        if not messages:
            return False
        taker = self._other_end(sender) if peer is None else self._of_serial(peer)
        for message in messages:
            if taker is None or self.isolated & {sender.name, taker.name}:
                break
            for arriving in (message,) if self.tamper is None else self.tamper(sender.name, message):
                with taker.shared.lock:
                    taker.model.peer.receive(arriving)
        return True

    def _of_serial(self, serial_number: str) -> UnitPlaceOnBench | None:
        found = (place for place in self._units.values() if place.model.serial_number == serial_number)
        return next(found, None)

    def _other_end(self, sender: UnitPlaceOnBench) -> UnitPlaceOnBench | None:
        if isinstance(sender, ReceiverPlace):
            source = self._lighting.source_of(sender)
            if source is not None:
                return source[0]
        elif sender.quantum is not None and isinstance(lit := self._units.get(sender.quantum.unit), ReceiverPlace):
            return lit
        other = TransmitterPlace if isinstance(sender, ReceiverPlace) else ReceiverPlace
        candidates = [place for place in self._units.values() if isinstance(place, other)]
        return candidates[0] if len(candidates) == 1 else None
