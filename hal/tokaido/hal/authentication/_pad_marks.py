"""How far the one-time pads of a link were spent, and the error of a pool or ledger that must not be used."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tokaido.hal._errors import KeyMaterialError


class PadLedgerError(KeyMaterialError):
    """The ledger cannot be used, or another holder of the same pads has taken over: no pad may be spent."""


@dataclass(frozen=True, slots=True)
class PadMarks:
    """High-water marks of a pool. Pads below them may have been spent and are never spent again."""

    own: int = 0
    """Pads of the pre-shared key, in the direction from this end."""
    peer: int = 0
    """Pads of the pre-shared key, in the direction to this end. May lag, within the window that a peer may jump."""
    segment: int = 0
    """Number of replenished segments. Their key is gone with the process that held it; their numbers do not return."""

    def reach(self, others: PadMarks) -> bool:
        """Return whether none of them is below the same mark of `others`."""
        return self.own >= others.own and self.peer >= others.peer and self.segment >= others.segment


NO_MARKS: Final = PadMarks()
