"""How fast the time of each span passes: as fast as it can until there is key, then slowly, so that a laptop can."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import tokaido.hal as hal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokaido.console._line.back_door import BackDoor
    from tokaido.console._line.watch import Seen

FAST: Final = 100.0
"""Emulated seconds a second of a span that makes no key: as fast as the machine can."""
CAP_BPS: Final = 150_000.0
"""Sifted bits a second of wall time that one span makes at most, once it has key."""
LOW_BITS: Final = 64 * 1024
"""Link key at both ends below which a span is fast."""


def capped(sifted_bps: float) -> float:
    """Return the speed at which a span that sifts so many bits an emulated second keeps the cap: real time at most."""
    return min(CAP_BPS / sifted_bps, 1.0) if sifted_bps > 0 else 1.0


@dataclass(slots=True)
class Pace:
    """Sets the speed of every span by what is seen of it.

    Attributes:
        doors: Back door of each span's emulation.
        sifted_bps: What each span sifts in an emulated second, of the key basis.
        hurry: Speeds of spans that a person wants faster; they overrule all else.
    """

    doors: Mapping[str, BackDoor]
    sifted_bps: Mapping[str, float]
    hurry: dict[str, float]
    _said: dict[str, float]

    @classmethod
    def of(cls, doors: Mapping[str, BackDoor], sifted_bps: Mapping[str, float]) -> Pace:
        """Return the pace of spans."""
        return cls(doors, sifted_bps, {}, dict.fromkeys(doors, FAST))

    def wanted(self, span: str, seen: Seen) -> float:
        """Return how fast a span's time is to pass."""
        if span in self.hurry:
            return self.hurry[span]
        if not seen.runs(span) or seen.stock_bits(span) < LOW_BITS:
            return FAST
        return capped(self.sifted_bps[span])

    def keep(self, seen: Seen) -> None:
        """Order what differs from what was ordered before."""
        for span, door in self.doors.items():
            wanted = self.wanted(span, seen)
            if wanted != self._said[span] and span in seen.speeds:
                try:
                    door.run_at(wanted)
                except hal.TokaidoError:
                    continue  # it is asked again at the next look
                self._said[span] = wanted
