"""One key session at one unit, and what becomes of its blocks."""

from __future__ import annotations

import hashlib
import math
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from tokaido.hal._keys import KeyMaterial

Verdict = Literal[
    "accepted",
    "QBER_ABORT",
    "PHASE_ERROR_ABORT",
    "AUTH_MISMATCH",
    "QUARANTINE",
    "EC_FAIL",
    "NO_KEY",
    "dropped",
    "ended",
]


@dataclass(frozen=True, slots=True)
class BlockOutcome:
    """What this unit knows of one block when it is over: its alarm, or its key."""

    verdict: Verdict
    """"accepted", the alarm that it raises, "dropped" (a new block follows) or "ended" (the session is over)."""
    number: int = 0
    qber: float = math.nan
    """Error rate in the key basis; nan when it was not measured."""
    qber_check: float = math.nan
    efficiency: float = math.nan
    key: KeyMaterial | None = field(default=None, repr=False)
    method: str = ""
    bound: str = ""
    eps: float = 0.0


@dataclass(slots=True)
class Session:
    """A key session, and the distillation messages on their way.

    The two queues are all that a unit and the one who distils for it share: what came from the peer, and what goes to
    it. The open block lives in the distiller and dies with it.
    """

    token: str
    """What the transmitter called it when it asked for it; messages of another session are told by it."""
    began_ns: int
    block_bits: int
    intensities: tuple[float, float, float]
    probabilities: tuple[float, float, float]
    id: str | None = None
    """Session id, 16 hexadecimal digits, once both ends of the distillation have said hello."""
    inbox: deque[bytes] = field(default_factory=deque, repr=False)
    outbox: deque[bytes] = field(default_factory=deque, repr=False)
    block_began_ns: int = field(init=False)

    def __post_init__(self) -> None:
        self.block_began_ns = self.began_ns

    def name(self, distillation: str) -> None:
        """Take the id from that of the distillation, which its tags vouch for."""
        self.id = self.id or hashlib.sha256(distillation.encode()).hexdigest()[:16]


def shannon(error_rate: float) -> float:
    """Return the binary entropy of an error rate, in bit."""
    if not 0 < error_rate < 1:
        return 0.0
    return -error_rate * math.log2(error_rate) - (1 - error_rate) * math.log2(1 - error_rate)
