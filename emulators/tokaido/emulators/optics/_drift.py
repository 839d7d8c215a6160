"""Slow drift of one link: interferometer phase, polarisation, delay, loss, the room; and the trims against it.

Sizes are those of fibres in the field; values marked as estimates have no published source. The loops against drift are
in _loops.py.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeVar

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

DriftKind = Literal["buried", "aerial", "calm"]
Numbers = TypeVar("Numbers", float, "NDArray[np.float64]")

DAY_S: Final = 86_400
_DAY_NS: Final = DAY_S * 10**9
WARMEST_S: Final = 15 * 3600.0
"""Time of day, in s, at which air and room are warmest: in the afternoon (an estimate). A drift begins at midnight."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftSettings:
    """How fast and how far a link drifts. Angles in rad, times in s. The default is a buried fibre."""

    phase_sigma_rad: float = math.radians(1.5)
    """What the phase servo itself adds, standard deviation (an estimate); see `phase_residual_rad`."""
    phase_time_s: float = 1.0
    """Time constant of the phase servo: 0.1-1 s loops (an estimate)."""
    phase_walk_rad: float = 0.5
    """Standard deviation of the free phase after one minute, 0.1-1 rad (an estimate); uncontrolled one-way systems
    run a few minutes: Yuan and Shields, Opt. Express 13 660 (2005)."""
    length_km: float = 45.0
    """Sasaki et al., Opt. Express 19 10387 (2011): the field link in Tokyo."""
    delay_ps_per_km_k: float = 33.0
    """Thermal change of the fibre's delay: index and length of silica together, about 7e-6 of 4.9 us/km per K."""
    temperature_swing_k: float = 0.05
    """Half of the daily swing of the fibre's temperature; what is buried half a metre deep (an estimate)."""
    surface_swing_k: float = 5.0
    """Half of the daily swing at the surface (an estimate). Damping is the lag: see `lag_s`."""
    polarisation_jump_rate_hz: float = 1 / 100
    """Buried fibre drifts over minutes to hours (Neumann et al., Nat. Commun. 13 6134 (2022))."""
    polarisation_jump_rad: float = 0.02
    """Standard deviation of one jump (an estimate): 0.12 rad an hour."""
    gust_rate_hz: float = 0.0
    """How often calm ends: gusts per second of calm. Wind does nothing to what is buried."""
    gust_length_s: float = 300.0
    """Mean length of a gusty time (an estimate)."""
    gust_jump_rate_hz: float = 0.0
    """Jumps of the polarisation per second of a gusty time."""
    loss_sigma_db: float = 0.15
    """Standard deviation of the loss about that of the beginning: 0.1-0.5 dB by season and connectors (an estimate)."""
    loss_time_s: float = 6 * 3600.0
    """Correlation time of the loss (an estimate)."""
    room_swing_k: float = 1.0
    """Half of the daily swing of the equipment's room (an estimate)."""
    detector_sigma_k: float = 0.02
    """What the temperature control of the detectors itself adds, standard deviation (an estimate)."""
    detector_time_s: float = 120.0
    """Correlation time of that (an estimate)."""

    def __post_init__(self) -> None:
        for name in self.__dataclass_fields__:
            value = getattr(self, name)
            if not 0 <= value < math.inf:
                raise ValueError(f"drift setting {name} = {value!r} is not possible: give a finite value >= 0")
        for name in ("phase_time_s", "gust_length_s", "loss_time_s", "detector_time_s"):
            if getattr(self, name) == 0:
                raise ValueError(f"drift setting {name} = 0 is not possible: give a time in s, > 0")

    @property
    def phase_residual_rad(self) -> float:
        """Standard deviation of the locked phase: the servo's own noise, and the walk that its bandwidth lets through.

        sqrt(sigma^2 + walk^2 tau / 120 s): an Ornstein-Uhlenbeck process driven by a walk of walk^2 / 60 s. With the
        defaults 3 degrees; 2-5 degrees are usual (an estimate).
        """
        return math.hypot(self.phase_sigma_rad, self.phase_walk_rad * math.sqrt(self.phase_time_s / 120))

    @property
    def lag_s(self) -> float:
        """How far the fibre's temperature lags behind the surface's, in s; 0 where it swings as far.

        In a half space that is heated periodically amplitude falls as exp(-x) while the phase lags by x: Carslaw and
        Jaeger, Conduction of Heat in Solids (1959), section 2.6.
        """
        if not 0 < self.temperature_swing_k < self.surface_swing_k:
            return 0.0
        return math.log(self.surface_swing_k / self.temperature_swing_k) * DAY_S / (2 * math.pi)

    # --- the laws, of one link as of many at once ---------------------------------------------------------------------

    def walked(self, normal: Numbers, dt_s: float) -> Numbers:
        """Return how far the free phase walks in `dt_s`, in rad (`normal` is standard normal)."""
        return normal * self.phase_walk_rad * math.sqrt(dt_s / 60)

    def jump_rate_hz(self, *, gusty: bool) -> float:
        """Return how often the polarisation jumps, in the wind or without."""
        return self.gust_jump_rate_hz if gusty else self.polarisation_jump_rate_hz

    def thermal_delay_ps(self, now_ns: int) -> float:
        """Return the delay at a time since midnight, against its daily mean."""
        return self.length_km * self.delay_ps_per_km_k * self.temperature_swing_k * _daily(now_ns, self.lag_s)

    def room_deviation_k(self, now_ns: int) -> float:
        """Return the room's temperature at a time since midnight, against its daily mean."""
        return self.room_swing_k * _daily(now_ns, 0.0)


_PRESETS: Final[dict[str, dict[str, float]]] = {
    "buried": {},  # the defaults, with their sources
    "aerial": {
        # Air temperature; a cable on poles follows it. 45 km and 5 K are 7.4 ns: 33 ps/km/K.
        "temperature_swing_k": 5.0,
        # An estimate. Aerial fibre can leave a usable window of 8 ms only (Opt. Express 28 5035 (2020)); that is out
        # of reach of the slow loops here. This is a cable with short aerial spans.
        "polarisation_jump_rate_hz": 1 / 20,
        # Stability follows the wind, with rare pauses in sustained strong wind: Shimizu et al., J. Lightwave Technol.
        # 32 141 (2014), a loop that is half aerial. How often and how strong: estimates.
        "gust_rate_hz": 1 / 1800,
        "gust_length_s": 300.0,
        "gust_jump_rate_hz": 2.0,
        "loss_sigma_db": 0.3,  # an estimate
    },
    "calm": {  # spools in a laboratory; all of these are estimates
        "phase_walk_rad": 0.1,
        "temperature_swing_k": 0.01,
        "polarisation_jump_rate_hz": 1 / 1000,
        "polarisation_jump_rad": 0.01,
        "loss_sigma_db": 0.02,
        "room_swing_k": 0.3,
    },
}


def drift_settings(kind: DriftKind, *, length_km: float = 45.0) -> DriftSettings:
    """Return how a link of a kind drifts: a "buried" fibre, an "aerial" one, or a "calm" one in a laboratory."""
    if kind not in _PRESETS:
        raise ValueError(f"no drift {kind!r}: choose {', '.join(map(repr, _PRESETS))}")
    return DriftSettings(length_km=length_km, **_PRESETS[kind])


class Drift:
    """Drift of one link, seeded. Statistics do not depend on the size of the steps that time advances in.

    The errors below are what the light meets, trims included; a unit only sees their effect on counts and error rates.
    """

    def __init__(self, rng: np.random.Generator, settings: DriftSettings | None = None, *, start_ns: int = 0) -> None:
        self.settings = settings if settings is not None else DriftSettings()
        self._rng = rng
        self._now_ns = start_ns
        self._phase = self._rng.normal(0.0, self.settings.phase_residual_rad)
        self._stretched = 0.0
        self._polarisation = 0.0
        self._delay_trim_ps = -self._thermal_delay_ps()  # installed and aligned at the start
        self._loss_db = 0.0  # measured at the start
        self._detector_k = 0.0
        self.gusty = False
        """Whether the wind blows now."""
        self._spell_s = self._draw_spell()

    @property
    def now_ns(self) -> int:
        """Time of the drift in ns, since a midnight."""
        return self._now_ns

    @property
    def phase_error_rad(self) -> float:
        """Phase between the two interferometers against the ideal, -pi to pi."""
        return math.remainder(self._phase, 2 * math.pi)

    @property
    def phase_stretch_rad(self) -> float:
        """How far the phase servo had to move its actuator since the last alignment of the phase."""
        return self._stretched

    @property
    def delay_offset_ps(self) -> float:
        """Arrival of the pulses against the middle of the gate."""
        return self._thermal_delay_ps() + self._delay_trim_ps

    @property
    def polarisation_error_rad(self) -> float:
        """Angle of the polarisation against the receiver's axis, -pi/2 to pi/2."""
        return math.remainder(self._polarisation, math.pi)

    @property
    def loss_db(self) -> float:
        """Loss over that of the beginning."""
        return self._loss_db

    @property
    def room_deviation_k(self) -> float:
        """Temperature of the equipment's room against its mean."""
        return self.settings.room_deviation_k(self._now_ns)

    @property
    def detector_noise_k(self) -> float:
        """What the temperature control of the detectors itself does to them."""
        return self._detector_k

    def advance(self, dt_s: float, *, phase_locked: bool) -> None:
        """Let `dt_s` seconds pass (kept as whole ns), with the phase servo locked or not.

        Locked, the phase is an Ornstein-Uhlenbeck process around 0 while the actuator takes the walk; free, a random
        walk. Delay and room follow the day; the polarisation jumps at Poissonian times, more often in gusts; loss and
        detector control are Ornstein-Uhlenbeck processes. Raises ValueError if `dt_s` < 0.
        """
        if not 0 <= dt_s < math.inf:
            raise ValueError(f"drift cannot advance by {dt_s!r} s: give a finite time >= 0")
        dt_ns = round(dt_s * 1e9)
        self._now_ns += dt_ns
        dt, s = dt_ns * 1e-9, self.settings
        walk, settling, loss, detector = self._rng.standard_normal(4).tolist()
        walked = s.walked(walk, dt)
        if phase_locked:
            self._phase = settled(self.phase_error_rad, settling, s.phase_residual_rad, dt / s.phase_time_s)
            self._stretched += walked
        else:
            self._phase += walked
        self._loss_db = settled(self._loss_db, loss, s.loss_sigma_db, dt / s.loss_time_s)
        self._detector_k = settled(self._detector_k, detector, s.detector_sigma_k, dt / s.detector_time_s)
        jumps = self._rng.poisson(self._expected_jumps(dt))
        if jumps:
            self._polarisation += self._rng.normal(0.0, s.polarisation_jump_rad * math.sqrt(jumps))

    def trim_phase(self, change_rad: float) -> None:
        """Turn the receiver's phase modulator or fibre stretcher by `change_rad`."""
        self._phase += change_rad

    def centre_phase(self) -> None:
        """Take the servo's actuator to the middle of its range, by whole turns: the phase stays as it is."""
        self._stretched = math.remainder(self._stretched, 2 * math.pi)

    def trim_delay(self, change_ps: float) -> None:
        """Move the pulses by `change_ps` against the gates."""
        self._delay_trim_ps += change_ps

    def trim_polarisation(self, change_rad: float) -> None:
        """Turn the polarisation controller by `change_rad`."""
        self._polarisation += change_rad

    def _expected_jumps(self, dt_s: float) -> float:
        """Pass through calm and gusty spells, and return how many jumps their rates make on average."""
        s, jumps = self.settings, 0.0
        while dt_s >= self._spell_s:
            jumps += self._spell_s * s.jump_rate_hz(gusty=self.gusty)
            dt_s -= self._spell_s
            self.gusty = not self.gusty
            self._spell_s = self._draw_spell()
        self._spell_s -= dt_s
        return jumps + dt_s * s.jump_rate_hz(gusty=self.gusty)

    def _draw_spell(self) -> float:
        return drawn_spell(self._rng, self.settings, gusty=self.gusty)

    def _thermal_delay_ps(self) -> float:
        return self.settings.thermal_delay_ps(self._now_ns)


def drawn_spell(rng: np.random.Generator, settings: DriftSettings, *, gusty: bool) -> float:
    """Return how long it stays calm or gusty, in s: a Markov chain in continuous time."""
    if gusty:
        return rng.exponential(settings.gust_length_s)
    rate_hz = settings.gust_rate_hz
    return rng.exponential(1 / rate_hz) if rate_hz else math.inf


def settled(value: Numbers, normal: Numbers, sigma: float, times: float) -> Numbers:
    """Return an Ornstein-Uhlenbeck process `times` correlation times later, exactly (`normal` is standard normal)."""
    kept = math.exp(-times)
    return value * kept + normal * sigma * math.sqrt(1 - kept**2)


def _daily(now_ns: int, lag_s: float) -> float:
    """Return -1 to 1 by the time of day, 1 where it is warmest."""
    day_s = now_ns % _DAY_NS * 1e-9
    return math.cos(2 * math.pi * (day_s - WARMEST_S - lag_s) / DAY_S)
