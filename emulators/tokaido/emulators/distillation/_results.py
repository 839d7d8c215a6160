"""What distillation gives: accepted, aborted and quarantined blocks, with their security ledger, and telemetry."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from tokaido.hal import TokaidoError

if TYPE_CHECKING:
    from tokaido.emulators.distillation._ledger import EpsilonLedger
    from tokaido.emulators.distillation._settings import LeakMode
    from tokaido.hal import KeyBlockFacts, KeyMaterial


class AbortReason(StrEnum):
    """Why a block, or a session, was given up."""

    QBER_TOO_HIGH = "qber-too-high"
    """More errors were corrected in the key basis than `qber_abort` allows."""
    NO_KEY = "no-key"
    """The finite-key bound leaves no key; a high phase error, as a key-basis eavesdropper causes, ends here."""
    TOO_SMALL = "too-small"
    """Less than a quarter of the sifted bits that were aimed at came of the block's pulses, and they give no key."""
    TOO_LARGE = "too-large"
    """More than four times the detections that were aimed at came of the block's pulses."""
    PLANNED_LATE = "planned-late"
    """The transmitter heard of the block after its first pulse was sent."""
    ANNOUNCED_EARLY = "announced-early"
    """Detections of the block were announced before its last pulse was sent."""
    DETECTOR_MISMATCH = "detector-mismatch"
    """The receiver's bits have more ones, or fewer, than detectors of the stated ratio make."""
    VERIFICATION_FAILED = "verification-failed"
    """A frame still differs after `max_extra_passes`."""
    AUTH_MISMATCH = "auth-mismatch"
    """An authentication tag is wrong: somebody altered a message."""
    AUTH_KEY_EXHAUSTED = "auth-key-exhausted"
    """Too few authentication pads are left for one block. Ends the session."""
    LEAK_MISMATCH = "leak-mismatch"
    """The two ends counted different numbers of disclosed bits."""
    COUNTS_MISMATCH = "counts-mismatch"
    """The two ends hold different detection counts, or different slots."""
    LENGTH_MISMATCH = "length-mismatch"
    """The two ends compute different key lengths from the same counts."""
    FFT_CHECK = "fft-check"
    """Privacy amplification showed a rounding error too large to trust."""
    MALFORMED_MESSAGE = "malformed-message"
    """A message could not be decoded, or a field of it is impossible."""
    OUT_OF_ORDER = "out-of-order"
    """A message was lost, repeated, moved or sent when nobody asked for it."""
    SETTINGS_MISMATCH = "settings-mismatch"
    """The two ends were set differently. Ends the session."""
    PEER_MOVED_ON = "peer-moved-on"
    """The peer opened the next block without ending this one."""
    TIMED_OUT = "timed-out"
    """The owner of this end waited too long."""
    STOPPED = "stopped"
    """The owner of this end stopped it, or the link was moved."""


class BlockAbortError(TokaidoError):
    """The open block must be given up. It never leaves a distiller, which turns it into an `AbortedBlock`."""

    def __init__(self, reason: AbortReason, what: str, *, session: bool = False) -> None:
        super().__init__(what)
        self.reason = reason
        self.session = session
        """Whether the whole session ends with it."""


@dataclass(frozen=True, slots=True)
class AcceptedBlock:
    """A key that both ends accepted, as far as this end can know, with what must stand beside its rate."""

    key: KeyMaterial
    """The key, less what went to the authentication pool."""
    facts: KeyBlockFacts
    """What goes with the key: number (aborted blocks count), security analysis and total failure probability."""
    first_slot: int
    """The first of its pulses, and"""
    pulses: int
    """how many they are: said before the first was sent."""
    n: int
    """Key-basis sifted bits of the block: what came of its pulses."""
    output_bits: int
    """Bits after privacy amplification, authentication included."""
    qber_key: float
    """Errors corrected / n."""
    qber_check: float
    """Error rate of the check basis, all intensities together."""
    phase_error: float
    """Upper bound on the phase error rate of the single-photon part."""
    leak_alice: int
    """Bits the transmitter disclosed: parities and verification tags, counted where they were serialised."""
    leak_bob: int
    """The same, counted where they were read. Equal, or the block is aborted."""
    leak_mode: LeakMode
    """How the receiver's questions are accounted for."""
    disclosed_bits: int
    """What privacy amplification took off for error correction: the leak, and more in mode `two_way`."""
    frames: int
    """Frames that the block was corrected in."""
    repairs: int
    """Verifications that failed, each of which an extra pass of two blocks followed. Its bits are in the leak."""
    efficiency: float
    """f = parities / (n h(QBER)); the verification tags are in the leak and not in f."""
    secure_against: str
    """What the analysis behind the length lets an eavesdropper do to the light, such as "general attacks"."""
    eps: EpsilonLedger
    """What the failure probability is made of."""
    eps_session: EpsilonLedger
    """Sum of the ledgers of this and all earlier accepted blocks of the session, whose keys fed the tags' pads."""

    @property
    def session(self) -> str:
        """Identifier of the session, the same at both ends."""
        return self.facts.session

    @property
    def number(self) -> int:
        """Number of the block within the session, from 0; aborted blocks count."""
        return self.facts.number


@dataclass(frozen=True, slots=True)
class AbortedBlock:
    """A block that gave no key. Its data were erased."""

    session: str
    number: int
    reason: AbortReason
    text: str
    by_peer: bool
    """Whether the other end gave it up."""


@dataclass(frozen=True, slots=True)
class QuarantinedBlock:
    """A block that one end may have accepted and the other did not. A key that was not released was erased.

    The transmitter reports one when its own accept went out and no valid accept came back. The receiver, whose accept
    is the last message, reports one if the transmitter says afterwards that it could not accept: then `released` is
    true, and the key of the `AcceptedBlock` of the same number must not be used.
    """

    session: str
    number: int
    bits: int
    reason: AbortReason
    text: str
    released: bool


BlockResult = AcceptedBlock | AbortedBlock | QuarantinedBlock


@dataclass(frozen=True, slots=True)
class DistillationStatistics:
    """Telemetry of one end. Rates and errors are fractions; nan where nothing was measured yet."""

    block: int
    """Number of the open block."""
    fill: float
    """Share of the open block's pulses that are over, 0 to 1."""
    sifted_bits: int
    """Key-basis bits sifted in this session: they come block by block."""
    expected_bits: float
    """Key-basis bits that the slots of this session promise before they are sifted: by the receiver's detections in
    either basis, or by what came of the slots of the last block, which is what the transmitter knows."""
    qber_key: float
    """Of the last corrected block."""
    qber_check: float
    """Of the open block, or of the last one while the new one is empty."""
    ones_share: float
    """Share of ones among the receiver's key-basis bits of the last block, of the two detectors where it is farthest
    from a half; nan at the transmitter, whose bits no detector decides."""
    checked_block: int
    """The last block whose check basis was compared: `checked_qber` and `ones_share` are its own; -1 before any."""
    checked_qber: float
    """Error rate of the check basis in that block."""
    corrected_block: int
    """The last block whose errors were corrected: `qber_key` is its own; -1 before any."""
    efficiency: float
    """f of the last accepted block."""
    leaked_bits: int
    """Disclosed in this session."""
    key_bits: int
    """Released in this session."""
    accepted: int
    aborted: int
    quarantined: int
    verification_failures: int
    """Verifications that failed, in blocks that were given up too."""
    repairs: int
    """Those that an extra pass put right, in accepted blocks."""
    qber_estimate: float
    """Error rate that the receiver expects of the next frame; nan at the transmitter, which needs none."""
    auth_bits_remaining: int
    eps_total: float
    """Sum of the totals of all accepted blocks of the session."""
