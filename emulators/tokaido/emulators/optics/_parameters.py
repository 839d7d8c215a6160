"""What is fixed about one QKD link: source, fibre loss, receiver and the security settings."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from ._mismatch import check_detector_ratio

RateMethod = Literal["lim", "lucamarini", "asymptotic", "infinite-decoys"]
KeyedBases = Literal["key", "both"]
"""Key is made of the key basis alone, or of each basis on its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkParameters:
    """Parameters of a decoy-state BB84 link with biased bases. Key basis Z, check basis X.

    Three-tuples are in the order signal, decoy, vacuum. Loss in dB, times in s unless the name says otherwise.
    """

    clock_rate_hz: float
    """Pulses per second, one detector gate a pulse."""
    intensities: tuple[float, float, float]
    """Mean photon numbers at the transmitter's output, mu > nu > w >= 0 and mu > nu + w."""
    probabilities: tuple[float, float, float]
    """How often each intensity is sent; they add up to 1."""
    key_basis_probability_transmitter: float
    key_basis_probability_receiver: float
    channel_loss_db: float
    """From the transmitter's output to the receiver's input."""
    receiver_loss_db: float
    detector_efficiency: float
    dark_count_probability: float
    """Per gate and per detector (there are two detectors)."""
    afterpulse_probability: float
    """Extra clicks per click, over all later gates."""
    dead_time_s: float
    """Both detectors are blind for this long after a click of either (physics: a side channel is closed by it)."""
    misalignment_key: float
    """e_Z: chance that light goes to the wrong detector in the key basis."""
    misalignment_check: float
    """e_X: the same in the check basis."""
    error_correction_efficiency: float
    """f: bits leaked over the Shannon limit n h(E), >= 1."""
    duty: float
    """Fraction of time spent on exchanging key, the rest being alignment."""
    eps_sec: float
    eps_cor: float
    afterpulse_time_s: float = 50e-9
    """Decay of the afterpulses that follow the dead time: a trap lifetime typical of InGaAs (an estimate)."""
    gate_width_ps: float = 150.0
    """Full width at half maximum of a gate's efficiency: 100-200 ps for fast gated InGaAs (an estimate)."""
    keyed_bases: KeyedBases = "key"
    """What asymptotic rates of `link_rate` count; Lim 2014 always keys one basis and Lucamarini 2013 both."""
    rate_method: RateMethod = "lim"
    """How `link_rate` finds the secret rate unless told: by the analysis that the system's figures were made with."""
    block_sifted_bits: float | None = None
    """Sifted bits of the key basis, all intensities, in one block; None where a block lasts `block_time_s`."""
    block_time_s: float = 1200.0
    """How long a block is collected unless it is counted in bits: 20 minutes, as in Lucamarini et al. 2013."""
    max_secret_bps: float = math.inf
    """Throughput of the unit's processing in bit/s of secret key; what the optics give beyond it is lost."""
    detector_ratio: float = 1.0
    """Smaller over larger efficiency of the two detectors, at least, in any mode of the light.

    Rates are charged for it; 1, for equal detectors, costs nothing. The emulated light takes no notice of it.
    """

    def __post_init__(self) -> None:
        require(0 < self.clock_rate_hz < math.inf, "clock_rate_hz", self.clock_rate_hz, "give pulses per second, > 0")
        check_decoy_settings(self.intensities, self.probabilities)
        for name in ("key_basis_probability_transmitter", "key_basis_probability_receiver"):
            value = getattr(self, name)
            require(0 < value < 1, name, value, "both bases are needed: give a probability between 0 and 1")
        for name in ("channel_loss_db", "receiver_loss_db", "dead_time_s"):
            value = getattr(self, name)
            require(0 <= value < math.inf, name, value, "give a finite value >= 0")
        require(0 < self.detector_efficiency <= 1, "detector_efficiency", self.detector_efficiency, "give a fraction")
        for name in ("dark_count_probability", "afterpulse_probability"):
            value = getattr(self, name)
            require(0 <= value < 1, name, value, "give a probability >= 0 and below 1")
        for name in ("misalignment_key", "misalignment_check"):
            value = getattr(self, name)
            require(0 <= value <= 0.5, name, value, "give a fraction between 0 and 0.5, not percent")
        f = self.error_correction_efficiency
        require(1 <= f < math.inf, "error_correction_efficiency", f, "give leak over Shannon limit, >= 1")
        require(0 < self.duty <= 1, "duty", self.duty, "give a fraction above 0 and up to 1")
        for name in ("eps_sec", "eps_cor"):
            value = getattr(self, name)
            require(0 < value < 1, name, value, "give a failure probability between 0 and 1, such as 1e-10")
        for name in ("afterpulse_time_s", "gate_width_ps", "block_time_s"):
            value = getattr(self, name)
            require(0 < value < math.inf, name, value, "give a finite value > 0")
        require(self.keyed_bases in ("key", "both"), "keyed_bases", self.keyed_bases, "choose 'key' or 'both'")
        methods = ("lim", "lucamarini", "asymptotic", "infinite-decoys")
        advice = f"choose one of {', '.join(map(repr, methods))}"
        require(self.rate_method in methods, "rate_method", self.rate_method, advice)
        bits = self.block_sifted_bits
        require(bits is None or 0 < bits < math.inf, "block_sifted_bits", bits, "give a finite number > 0, or None")
        require(self.max_secret_bps > 0, "max_secret_bps", self.max_secret_bps, "give bit/s > 0, or inf for no limit")
        check_detector_ratio(self.detector_ratio)

    @property
    def transmittance(self) -> float:
        """Chance that a photon leaving the transmitter is detected: eta = 10^(-loss/10) times detector efficiency."""
        return 10 ** (-(self.channel_loss_db + self.receiver_loss_db) / 10) * self.detector_efficiency

    @property
    def receiver_transmittance(self) -> float:
        """Chance that a photon arriving at the receiver is detected: that of a channel without loss."""
        return 10 ** (-self.receiver_loss_db / 10) * self.detector_efficiency

    @property
    def background_probability(self) -> float:
        """Y0 = 1 - (1 - p_dc)^2: chance per gate that a dark count clicks in one detector or the other."""
        return 1 - (1 - self.dark_count_probability) ** 2

    @property
    def dead_gates(self) -> int:
        """Gates lost after a click: the dead time in gates, a begun gate counting whole."""
        return math.ceil(self.dead_time_s * self.clock_rate_hz - 1e-6)


def check_decoy_settings(intensities: tuple[float, float, float], probabilities: tuple[float, float, float]) -> None:
    """Raise ValueError unless the decoy bounds hold for these intensities and probabilities.

    Lim et al. PRA 89 022307, text before Eq. 2: mu1 > mu2 + mu3 and mu2 > mu3 >= 0.
    """
    advice = "give three numbers, signal > decoy > vacuum >= 0 and signal > decoy + vacuum"
    require(len(intensities) == 3 and all(map(math.isfinite, intensities)), "intensities", intensities, advice)
    signal, decoy, vacuum = intensities
    require(decoy > vacuum >= 0 and signal > decoy + vacuum, "intensities", intensities, advice)
    advice = "give three probabilities between 0 and 1, in the order signal, decoy, vacuum, that add up to 1"
    require(len(probabilities) == 3 and all(0 < p < 1 for p in probabilities), "probabilities", probabilities, advice)
    require(abs(math.fsum(probabilities) - 1) < 1e-9, "probabilities", probabilities, advice)


def require(fine: bool, name: str, value: object, advice: str) -> None:
    """Raise ValueError about one link parameter unless it is fine."""
    if not fine:
        raise ValueError(f"link parameter {name} = {value!r} is not possible: {advice}")
