"""The books of one block and of one session: counts, transcript, leak, key length, epsilon ledger."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from tokaido.emulators.distillation._frames import VERIFICATION_BITS
from tokaido.emulators.distillation._ledger import EpsilonLedger
from tokaido.emulators.distillation._reconciliation import entropy
from tokaido.emulators.distillation._results import AcceptedBlock
from tokaido.emulators.distillation._settings import frame_bounds
from tokaido.hal import KeyBlockFacts
from tokaido.hal.authentication import forgery_bound

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from tokaido.emulators.distillation._settings import DistillationSettings
    from tokaido.emulators.optics import KeyLength
    from tokaido.hal import KeyMaterial

Triple = tuple[int, int, int]


def count_intensities(labels: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return int64[3], how many labels are signal, decoy and vacuum."""
    decoy, vacuum = np.count_nonzero(labels == 1), np.count_nonzero(labels == 2)
    return np.array((labels.size - decoy - vacuum, decoy, vacuum), np.int64)


def triple(counts: NDArray[np.int64]) -> Triple:
    """Return int64[3] as a tuple."""
    return int(counts[0]), int(counts[1]), int(counts[2])


@dataclass(slots=True)
class BlockCounts:
    """Sifted counts of the open block by intensity; both ends keep their own and compare."""

    key: NDArray[np.int64] = field(default_factory=lambda: np.zeros(3, np.int64))
    key_errors: NDArray[np.int64] = field(default_factory=lambda: np.zeros(3, np.int64))
    check: NDArray[np.int64] = field(default_factory=lambda: np.zeros(3, np.int64))
    check_errors: NDArray[np.int64] = field(default_factory=lambda: np.zeros(3, np.int64))

    @property
    def n(self) -> int:
        """Key-basis bits."""
        return int(self.key.sum())

    @property
    def check_total(self) -> int:
        """Check-basis detections."""
        return int(self.check.sum())

    @property
    def qber_check(self) -> float:
        """Error rate of the check basis, nan without detections."""
        return int(self.check_errors.sum()) / self.check_total if self.check_total else math.nan

    @property
    def qber_key(self) -> float:
        """Corrected errors / n."""
        return int(self.key_errors.sum()) / self.n if self.n else math.nan

    def add_sifted(
        self, key_labels: NDArray[np.uint8], check_labels: NDArray[np.uint8], check_errors: NDArray[np.bool_]
    ) -> None:
        """Count kept detections by their intensities, uint8 for each basis, and the bool errors of the check basis."""
        self.key += count_intensities(key_labels)
        self.check += count_intensities(check_labels)
        self.check_errors += count_intensities(check_labels[check_errors])

    def sifted_triples(self) -> tuple[Triple, Triple, Triple]:
        """Return key detections, check detections and check errors."""
        return triple(self.key), triple(self.check), triple(self.check_errors)


class Transcript:
    """Every message of a block, by direction, in order."""

    def __init__(self) -> None:
        self._messages: tuple[list[bytes], list[bytes]] = ([], [])
        self._joined = b""

    def add(self, direction: int, message: bytes) -> None:
        """Append a message of this direction."""
        self._messages[direction].append(message)
        self._joined = b""

    def parts(self, session: bytes, block: int, direction: int, hellos: tuple[bytes, bytes]) -> list[bytes]:
        """Return the byte strings that the tag of `direction` is taken over, joined.

        Every message stands behind its length and every list behind its count, so no two transcripts join alike.
        """
        head = b"tokaido distillation transcript|%b|%d|%d|" % (session, block, direction)
        if not self._joined:  # either direction is tagged over the same messages
            self._joined = b"".join(_framed(self._messages[0]) + _framed(self._messages[1]))
        return [head, *_framed(hellos), self._joined]


def _framed(messages: Sequence[bytes]) -> list[bytes]:
    pieces = [len(messages).to_bytes(8, "big")]
    for message in messages:
        pieces += (len(message).to_bytes(8, "big"), message)
    return pieces


@dataclass(slots=True)
class Totals:
    """What a session has come to."""

    sifted_bits: int = 0
    leaked_bits: int = 0
    key_bits: int = 0
    accepted: int = 0
    aborted: int = 0
    quarantined: int = 0
    verification_failures: int = 0
    repairs: int = 0
    qber_key: float = math.nan
    qber_check: float = math.nan
    ones_share: float = math.nan
    checked: int = -1
    """The block that `qber_check` and `ones_share` are of; -1: none."""
    corrected: int = -1
    """The block that `qber_key` is of; -1: none."""
    efficiency: float = math.nan
    eps: EpsilonLedger = field(default_factory=EpsilonLedger)

    def add(self, block: AcceptedBlock) -> None:
        """Enter an accepted block."""
        self.accepted += 1
        self.key_bits += block.key.bits
        self.repairs += block.repairs
        self.eps = block.eps_session
        self.qber_key, self.qber_check, self.efficiency = block.qber_key, block.qber_check, block.efficiency


@dataclass(slots=True)
class Leak:
    """What was disclosed about the key of the open block: counted where it is serialised, and where it is read."""

    parities: int = 0
    verifications: int = 0

    @property
    def bits(self) -> int:
        """Bits that the transmitter disclosed."""
        return self.parities + VERIFICATION_BITS * self.verifications

    def disclosed(self, settings: DistillationSettings) -> int:
        """Return the bits that privacy amplification must take off.

        In mode `two_way` the receiver's questions cost a bit for every parity: which half of an interval is asked for
        next says what the receiver's own parity was.
        """
        return self.bits + (self.parities if settings.leak_mode == "two_way" else 0)


def finite_key(settings: DistillationSettings, counts: BlockCounts, leaked_bits: int) -> KeyLength:
    """Return the finite-key length of the block (Lim et al. 2014) once `leaked_bits` were disclosed.

    It is charged for detectors of the stated ratio.
    """
    from tokaido.emulators.optics import BasisCounts, key_length  # noqa: PLC0415 - the optics are heavier than this

    return key_length(
        BasisCounts(triple(counts.key), triple(counts.key_errors)),
        BasisCounts(triple(counts.check), triple(counts.check_errors)),
        settings.intensities,
        settings.probabilities,
        leaked_bits=leaked_bits,
        eps_sec=settings.eps_sec,
        eps_cor=settings.eps_cor,
        bound=settings.bound,
        intensity_tolerance=settings.intensity_tolerance,
        detector_ratio=settings.detector_ratio,
    )


def block_ledger(
    settings: DistillationSettings, n: int, verifications: int, authenticated_bytes: tuple[int, int]
) -> EpsilonLedger:
    """Return the failure probabilities of a block of `n` bits with so many verification tags.

    Both ends send a tag over `authenticated_bytes[0]` bytes of transcript, and one over `authenticated_bytes[1]` bytes
    of acceptance.
    """
    longest = max(end - start for start, end in frame_bounds(settings, n))
    return EpsilonLedger.of_block(
        settings.eps_sec,
        detector_ratio=settings.detector_ratio,
        correctness=verifications * forgery_bound(-(-longest // 8)),
        authentication=sum(2 * forgery_bound(size) for size in authenticated_bytes),
    )


def accepted_block(
    settings: DistillationSettings,
    counts: BlockCounts,
    key: KeyMaterial,
    eps: EpsilonLedger,
    *,
    session: str,
    number: int,
    slots: tuple[int, int],
    output_bits: int,
    leak: Leak,
    leaks: tuple[int, int],
    eps_before: EpsilonLedger,
) -> AcceptedBlock:
    """Return the result of a block: its key and everything that must stand beside it.

    `slots` is the block's first slot and how many it has, `leak` what this end counted, `leaks` what the transmitter
    and the receiver say, `eps_before` the sum of the session so far.
    """
    disclosed = leak.disclosed(settings)
    length = finite_key(settings, counts, disclosed)
    ideal = counts.n * entropy(counts.qber_key)
    frames = len(frame_bounds(settings, counts.n))
    return AcceptedBlock(
        key=key,
        facts=KeyBlockFacts(
            session,
            number,
            key.bits,
            length.method,
            length.bound,
            eps.total,
            insecure=key.insecure,
            emulated=True,
        ),
        first_slot=slots[0],
        pulses=slots[1],
        n=counts.n,
        output_bits=output_bits,
        qber_key=counts.qber_key,
        qber_check=counts.qber_check,
        phase_error=length.phase_error,
        leak_alice=leaks[0],
        leak_bob=leaks[1],
        leak_mode=settings.leak_mode,
        disclosed_bits=disclosed,
        frames=frames,
        repairs=leak.verifications - frames,
        efficiency=leak.parities / ideal if ideal else math.nan,
        secure_against=length.secure_against,
        eps=eps,
        eps_session=eps_before + eps,
    )
