"""One key session at one unit, and what becomes of its blocks."""

from __future__ import annotations

import hashlib
import math
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from tokaido.hal import KeyBlockFacts, KeyMaterial

Verdict = Literal[
    "accepted",
    "QBER_ABORT",
    "PHASE_ERROR_ABORT",
    "DETECTOR_MISMATCH",
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
    ones: float = math.nan
    """Share of ones among the receiver's bits of the key basis, which its detectors decide; nan at a transmitter."""
    key: KeyMaterial | None = field(default=None, repr=False)
    facts: KeyBlockFacts | None = None
    """What distillation says of the key, and none without a key."""

    def __post_init__(self) -> None:
        if (self.key is None) != (self.facts is None):
            raise ValueError("a key and its facts come together")


@dataclass(frozen=True, slots=True)
class LastBlock:
    """What a unit tells of the block that ended last."""

    session: str
    number: int
    outcome: str
    """"KEY", "DROPPED", "ENDED", or the alarm that it raised."""
    bits: int
    """Bits of its key that are handed out; 0 without one."""
    ended_ns: int

    @classmethod
    def of(cls, session: Session, outcome: BlockOutcome, bits: int, now_ns: int) -> LastBlock:
        """Return what is told of a block of a session that has its name."""
        word = "KEY" if outcome.verdict == "accepted" else outcome.verdict.upper()
        return cls(session.id or "-", outcome.number, word, bits, now_ns)

    @property
    def text(self) -> str:
        """Session, number, outcome and bits, in one word of the wire."""
        return f"{self.session}/{self.number}/{self.outcome}/{self.bits}"


DETECTOR_RATIO: Final = 0.95
"""Smaller over larger efficiency of a receiver's two detectors, at least: what units state of it, and charge for."""
RATE_BLOCKS: Final = 8
"""Blocks that the secret rate is taken over: one alone may end in a hurry, after messages that had piled up."""


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
    ends: deque[tuple[int, int]] = field(default_factory=lambda: deque(maxlen=RATE_BLOCKS + 1))
    """When the last blocks ended and how many key bits each gave; before the first one, when the session began."""

    def __post_init__(self) -> None:
        self.begin(self.began_ns)

    def begin(self, now_ns: int) -> None:
        """Begin now: the peer has agreed."""
        self.began_ns = now_ns
        self.ends.clear()
        self.ends.append((now_ns, 0))

    def secret_key_rate(self, now_ns: int, bits: int) -> float:
        """Take note that a block ended with so many key bits, and return the rate over the last blocks, in bit/s."""
        self.ends.append((now_ns, bits))
        seconds = max((now_ns - self.ends[0][0]) / 1e9, 1e-3)
        return sum(bits for _, bits in list(self.ends)[1:]) / seconds

    def name(self, distillation: str) -> None:
        """Take the id from that of the distillation, which its tags vouch for."""
        self.id = self.id or hashlib.sha256(distillation.encode()).hexdigest()[:16]


def shannon(error_rate: float) -> float:
    """Return the binary entropy of an error rate, in bit."""
    if not 0 < error_rate < 1:
        return 0.0
    return -error_rate * math.log2(error_rate) - (1 - error_rate) * math.log2(1 - error_rate)
