"""What the two ends of a distillation must agree on, and the limits beyond which a block is given up."""

from __future__ import annotations

import itertools
from typing import Annotated, Final, Literal

import msgspec

from tokaido.hal import ConfigurationError
from tokaido.hal.authentication import forgery_bound
from tokaido.hal.structs import learn

QBER_ABORT: Final = 0.11
"""Key-basis error rate above which one-way post-processing of BB84 gives no key (Shor & Preskill 2000)."""
FACTOR: Final = 4
"""A block has at most this many times the sifted bits that it is aimed at, and the pulses of the one before it."""
REPLENISH_STEP: Final = 256
"""Authentication key is cut in multiples of this many bits: one pad of 128 bits for each direction."""

LeakMode = Literal["one_way", "two_way"]
"""How the receiver's questions, which are a function of the error pattern W, are accounted for.

`one_way`: the eavesdropper is taken to know W, so only the answers disclose something. `two_way`: each question costs
as much as its answer, which the peer's parity would be (conservative). See arXiv:2307.00576 for the flaw of counting
one direction without saying this.
"""
_Triple = tuple[float, float, float]
_Share = Annotated[float, msgspec.Meta(gt=0, lt=1)]


class DistillationSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of one session. Both ends send theirs in a HELLO, and a difference ends the session, naming the field.

    Raises:
        ConfigurationError: A value is out of range; every mistake found is listed.
    """

    block_bits: int = 1_000_000
    """Key-basis sifted bits that a block is aimed at.

    A block is a number of pulses, which the receiver plans by its detections before it, so more or less comes of it,
    up to `FACTOR` times as many. The finite-key analysis takes what came.
    """
    frame_bits: int = 250_000
    """Key bits that error correction handles together; a block is cut into equal frames of about this length."""
    frames_in_flight: int = 4
    """Frames that are corrected side by side, so that a long way to the peer costs its round-trip time only once."""
    schedule: Literal["standard", "low_leak"] = "standard"
    """Block sizes of Cascade: `standard` takes fewer rounds, `low_leak` discloses less."""
    leak_mode: LeakMode = "one_way"
    """What error correction is taken to disclose besides the transmitter's bits (see `LeakMode`)."""
    bound: Literal["chernoff", "hoeffding"] = "chernoff"
    """Statistical bound of the finite-key analysis."""
    eps_sec: _Share = 1e-10
    """Secrecy failure probability of a block: parameter estimation and privacy amplification together."""
    eps_cor: _Share = 1e-15
    """Correctness failure probability of a block."""
    qber_abort: _Share = QBER_ABORT
    """Key-basis error rate above which a block is given up; never above `QBER_ABORT`."""
    detector_ratio: Annotated[float, msgspec.Meta(gt=0, le=1)] = 1.0
    """Smaller over larger efficiency of the receiver's two detectors, at least: what the key length is charged for.

    The receiver gives up a block whose share of ones says otherwise. 1: they are equal, and nothing is charged.
    """
    intensities: _Triple = (0.45, 0.20, 0.001)
    """Mean photon number of the signal, decoy and vacuum states, in photon/pulse."""
    probabilities: _Triple = (0.30, 0.55, 0.15)
    """Probability of each of them."""
    intensity_tolerance: Annotated[float, msgspec.Meta(ge=0, lt=1)] = 0.0
    """How far the light of a pulse may be off the intensities, as a fraction: the key length is the worst case."""
    max_extra_passes: int = 8
    """Passes added to a frame whose verification failed, one at a time, before the block is given up."""
    replenish_bits: int = 512
    """Bits cut from the head of each key for the authentication pool; a block spends 512. 0 turns it off."""

    def __post_init__(self) -> None:
        most = FACTOR * self.block_bits
        frames = max(1, round(most / max(self.frame_bits, 1)))
        longest = -(-most // frames) // 8 + 1 if most > 0 else 0
        checks = (
            (100 <= self.block_bits <= 1 << 30, "block_bits must be 100 to 2^30"),
            (100 <= self.frame_bits <= 1 << 24, "frame_bits must be 100 to 2^24"),
            (1 <= self.frames_in_flight <= 64, "frames_in_flight must be 1 to 64"),
            (self.qber_abort <= QBER_ABORT, f"qber_abort must not exceed {QBER_ABORT}"),
            (self.intensities[0] > self.intensities[1] > self.intensities[2] >= 0, "intensities must fall: s > d > v"),
            (self.intensities[0] > self.intensities[1] + self.intensities[2], "intensities must obey s > d + v"),
            (self.intensities[0] <= 100, "intensities must not exceed 100 photon/pulse"),
            (0 < self.detector_ratio <= 1, "detector_ratio must be above 0 and at most 1"),
            (min(self.probabilities) > 0, "probabilities must be positive"),
            (abs(sum(self.probabilities) - 1) < 1e-6, "probabilities must add up to 1"),
            (0 <= self.max_extra_passes <= 64, "max_extra_passes must be 0 to 64"),
            (0 <= self.replenish_bits <= 1 << 20, "replenish_bits must be 0 to 2^20"),
            (self.replenish_bits % REPLENISH_STEP == 0, f"replenish_bits must be a multiple of {REPLENISH_STEP}"),
            (
                frames * (self.max_extra_passes + 1) * forgery_bound(longest) <= self.eps_cor,
                "eps_cor is smaller than a 128-bit verification tag can promise",
            ),
        )
        mistakes = tuple(text for right, text in checks if not right)
        if mistakes:
            raise ConfigurationError("the distillation settings are wrong:", mistakes=mistakes)

    def differences(self, other: DistillationSettings) -> list[str]:
        """Return the fields that differ from another's, each as `name (ours, theirs)`."""
        return [
            f"{name} ({getattr(self, name)!r}, {getattr(other, name)!r})"
            for name in self.__struct_fields__
            if getattr(self, name) != getattr(other, name)
        ]


def frame_bounds(settings: DistillationSettings, n: int) -> list[tuple[int, int]]:
    """Return start and end of each frame of a block of `n` bits."""
    count = max(1, round(n / settings.frame_bits))
    cuts = [n * i // count for i in range(count + 1)]
    return list(itertools.pairwise(cuts))


learn(DistillationSettings)
