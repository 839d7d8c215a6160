"""What is fixed about one QKD link: source, fibre loss, receiver and the security settings. And presets for it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

PresetSettings = Literal["published", "short-block"]


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

    def __post_init__(self) -> None:
        _require(0 < self.clock_rate_hz < math.inf, "clock_rate_hz", self.clock_rate_hz, "give pulses per second, > 0")
        check_decoy_settings(self.intensities, self.probabilities)
        for name in ("key_basis_probability_transmitter", "key_basis_probability_receiver"):
            value = getattr(self, name)
            _require(0 < value < 1, name, value, "both bases are needed: give a probability between 0 and 1")
        for name in ("channel_loss_db", "receiver_loss_db", "dead_time_s"):
            value = getattr(self, name)
            _require(0 <= value < math.inf, name, value, "give a finite value >= 0")
        _require(0 < self.detector_efficiency <= 1, "detector_efficiency", self.detector_efficiency, "give a fraction")
        for name in ("dark_count_probability", "afterpulse_probability"):
            value = getattr(self, name)
            _require(0 <= value < 1, name, value, "give a probability >= 0 and below 1")
        for name in ("misalignment_key", "misalignment_check"):
            value = getattr(self, name)
            _require(0 <= value <= 0.5, name, value, "give a fraction between 0 and 0.5, not percent")
        f = self.error_correction_efficiency
        _require(1 <= f < math.inf, "error_correction_efficiency", f, "give leak over Shannon limit, >= 1")
        _require(0 < self.duty <= 1, "duty", self.duty, "give a fraction above 0 and up to 1")
        for name in ("eps_sec", "eps_cor"):
            value = getattr(self, name)
            _require(0 < value < 1, name, value, "give a failure probability between 0 and 1, such as 1e-10")
        for name in ("afterpulse_time_s", "gate_width_ps"):
            value = getattr(self, name)
            _require(0 < value < math.inf, name, value, "give a finite value > 0")

    @property
    def transmittance(self) -> float:
        """Chance that a photon leaving the transmitter is detected: eta = 10^(-loss/10) times detector efficiency."""
        return 10 ** (-(self.channel_loss_db + self.receiver_loss_db) / 10) * self.detector_efficiency

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
    _require(len(intensities) == 3 and all(map(math.isfinite, intensities)), "intensities", intensities, advice)
    signal, decoy, vacuum = intensities
    _require(decoy > vacuum >= 0 and signal > decoy + vacuum, "intensities", intensities, advice)
    advice = "give three probabilities between 0 and 1, in the order signal, decoy, vacuum, that add up to 1"
    _require(len(probabilities) == 3 and all(0 < p < 1 for p in probabilities), "probabilities", probabilities, advice)
    _require(abs(math.fsum(probabilities) - 1) < 1e-9, "probabilities", probabilities, advice)


def _require(fine: bool, name: str, value: object, advice: str) -> None:
    if not fine:
        raise ValueError(f"link parameter {name} = {value!r} is not possible: {advice}")


# --- presets --------------------------------------------------------------------------------------------------------


class _SourceSettings(NamedTuple):
    intensities: tuple[float, float, float]
    probabilities: tuple[float, float, float]
    key_basis: float  # both sides


class _Preset(NamedTuple):
    """What a system is built of, and the settings that there are for its source, by name."""

    sources: Mapping[str, _SourceSettings]
    clock_rate_hz: float
    receiver_loss_db: float
    detector_efficiency: float
    dark_count_probability: float
    afterpulse_probability: float
    dead_time_s: float
    misalignment_key: float
    misalignment_check: float
    afterpulse_time_s: float
    gate_width_ps: float


_T12_SOURCES: Final[dict[str, _SourceSettings]] = {
    # Lucamarini et al., Opt. Express 21 24550 (2013), arXiv:1310.0240: p_v = 2^-7, p_w = 2^-8, p_X = 1/16.
    # Made for sessions of 20 minutes; blocks of some seconds give no key with these.
    "published": _SourceSettings((0.425, 0.044, 0.001), (1 - 2**-7 - 2**-8, 2**-7, 2**-8), 15 / 16),
    # Optimised with the bounds of _finite_key.py for a key-basis block of 1e7 sifted bits at 14.5 dB (about 11 s).
    "short-block": _SourceSettings((0.50, 0.13, 0.001), (0.60, 0.27, 0.13), 0.82),
}
_NEC_SOURCES: Final[dict[str, _SourceSettings]] = {
    # Intensities of Tanaka et al., Opt. Express 16 11354 (2008): 0.4, 0.15 and none at all. What they were sent with
    # is not known to us; probabilities and basis bias are those of "short-block" (assumed).
    "published": _SourceSettings((0.40, 0.15, 0.0), (0.50, 0.40, 0.10), 0.78),
    # What the units are set to at delivery (docs/protocols/nec.md): optimised with the bounds of _finite_key.py for
    # a key-basis block of 1e6 sifted bits at 22.8 dB, nanowire detectors.
    "short-block": _SourceSettings((0.50, 0.20, 0.001), (0.50, 0.40, 0.10), 0.78),
}
_PRESETS: Final[dict[str, _Preset]] = {
    "t12": _Preset(
        sources=_T12_SOURCES,
        clock_rate_hz=1e9,  # arXiv:1310.0240
        receiver_loss_db=2.84,  # fitted to the signal gain 4.812e-3 published at 50 km
        detector_efficiency=0.205,  # arXiv:1310.0240, at -30 C
        dark_count_probability=2.1e-5,  # arXiv:1310.0240, per gate and detector
        afterpulse_probability=0.0525,  # arXiv:1310.0240
        # Self-differencing APDs recover within a few gates and count up to 100 Mcount/s (Yuan et al., APL 91 041114):
        # 1/R_max = 10 ns. It costs 1.4-1.7 % of the counts at 14.5 dB and about 4 % at 10 dB; published rates leave
        # it out, and the asymptotic key rate falls by less (0.5 %), as fewer counts mean fewer afterpulses.
        dead_time_s=10e-9,
        misalignment_key=0.0128,  # fitted to the published Z error rate of 4.26 % at 50 km
        misalignment_check=0.0062,  # fitted to the published X error rate of 3.64 % at 50 km
        afterpulse_time_s=50e-9,  # an estimate, see LinkParameters
        gate_width_ps=150.0,  # an estimate, see LinkParameters
    ),
    # One of up to eight sub-channels, two superconducting nanowires each.
    "nec-sspd": _Preset(
        sources=_NEC_SOURCES,
        clock_rate_hz=1.25e9,  # public; the experiment of 2008 ran at 625 MHz
        receiver_loss_db=3.0,  # assumed: planar lightwave circuit and demultiplexer
        detector_efficiency=0.5,  # assumed; published nanowire systems have 0.5 to 0.9
        dark_count_probability=100 / 1.25e9,  # assumed: 100 counts a second and detector
        afterpulse_probability=0.0,  # nanowires have none to speak of
        dead_time_s=40e-9,  # assumed: a kinetic inductance that recovers in some tens of ns
        misalignment_key=0.01,  # assumed
        misalignment_check=0.01,  # assumed
        afterpulse_time_s=50e-9,  # without a meaning here
        gate_width_ps=400.0,  # assumed: no gate, but a window of half a slot
    ),
    # The same with cooled avalanche photodiodes, as for spans up to some 80 km.
    "nec-apd": _Preset(
        sources=_NEC_SOURCES,
        clock_rate_hz=1.25e9,  # public
        receiver_loss_db=3.0,  # assumed: as above
        detector_efficiency=0.15,  # assumed
        dark_count_probability=3e-6,  # assumed, per gate and detector
        afterpulse_probability=0.03,  # assumed, of what is left after the dead time
        # Assumed: what keeps the afterpulses of a cooled detector at 3 %. It limits a receiver to 1e6 counts a
        # second, which it comes near to below some 15 dB; a shorter dead time would have more afterpulses.
        dead_time_s=1e-6,
        misalignment_key=0.01,  # assumed
        misalignment_check=0.01,  # assumed
        afterpulse_time_s=1e-6,  # assumed: traps are slower in the cold than those of "t12"
        gate_width_ps=150.0,  # an estimate, see LinkParameters
    ),
}


def preset(name: str, *, settings: PresetSettings = "published", channel_loss_db: float) -> LinkParameters:
    """Return the parameters of a system over `channel_loss_db` dB.

    `name`: "t12", the 1 GHz system of Lucamarini et al. 2013 with self-differencing InGaAs detectors; "nec-sspd" and
    "nec-apd", one sub-channel of a 1.25 GHz time-bin system with superconducting nanowires or cooled photodiodes.
    `settings`: "published" intensities and probabilities, or "short-block" ones that give key within seconds.
    """
    if name not in _PRESETS:
        raise ValueError(f"no link preset {name!r}: the presets are {', '.join(map(repr, _PRESETS))}")
    built = _PRESETS[name]
    if settings not in built.sources:
        choices = " or ".join(map(repr, built.sources))
        raise ValueError(f"preset {name!r} has no settings {settings!r}: choose {choices}")
    source = built.sources[settings]
    return LinkParameters(
        clock_rate_hz=built.clock_rate_hz,
        intensities=source.intensities,
        probabilities=source.probabilities,
        key_basis_probability_transmitter=source.key_basis,
        key_basis_probability_receiver=source.key_basis,
        channel_loss_db=channel_loss_db,
        receiver_loss_db=built.receiver_loss_db,
        detector_efficiency=built.detector_efficiency,
        dark_count_probability=built.dark_count_probability,
        afterpulse_probability=built.afterpulse_probability,
        dead_time_s=built.dead_time_s,
        misalignment_key=built.misalignment_key,
        misalignment_check=built.misalignment_check,
        error_correction_efficiency=1.10,  # assumed; what the emulated distillation reaches
        duty=1.0,
        eps_sec=1e-10,  # arXiv:1310.0240
        eps_cor=1e-15,
        afterpulse_time_s=built.afterpulse_time_s,
        gate_width_ps=built.gate_width_ps,
    )
