"""Slow drift of one fibre and its receiver: interferometer phase, delay, polarisation; and the trims against it.

Sizes are those of fibres in the field; what is marked as an estimate has no published source.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

_DAY_NS = 86_400 * 10**9


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftSettings:
    """How fast and how far a link drifts. Angles in rad, times in s."""

    phase_sigma_rad: float = math.radians(3.0)
    """Residual of the locked phase servo, standard deviation: 2-5 degrees (an estimate)."""
    phase_time_s: float = 1.0
    """Correlation time of that residual, about that of the servo: 0.1-1 s loops (an estimate)."""
    phase_walk_rad: float = 0.5
    """Standard deviation of the free phase after one minute, 0.1-1 rad (an estimate); uncontrolled one-way systems
    run a few minutes: Yuan and Shields, Opt. Express 13 660 (2005)."""
    length_km: float = 45.0
    delay_ps_per_km_k: float = 33.0
    """Thermal change of the fibre's delay."""
    temperature_swing_k: float = 0.05
    """Half of the daily swing of the fibre's temperature; buried fibre damps it (an estimate)."""
    polarisation_jump_rate_hz: float = 1 / 600
    """Buried fibre drifts over minutes to hours (Neumann et al. 2022); aerial fibre is far faster."""
    polarisation_jump_rad: float = 0.05
    """Standard deviation of one jump (an estimate)."""

    def __post_init__(self) -> None:
        for name in self.__dataclass_fields__:
            value = getattr(self, name)
            if not 0 <= value < math.inf:
                raise ValueError(f"drift setting {name} = {value!r} is not possible: give a finite value >= 0")
        if self.phase_time_s == 0:
            raise ValueError("drift setting phase_time_s = 0 is not possible: give the servo's time in s, > 0")


class Drift:
    """Drift of one link, seeded. Statistics do not depend on the size of the steps that time advances in.

    The errors below are what the light meets, trims included; a unit only sees their effect on counts and error rates.
    """

    def __init__(self, rng: np.random.Generator, settings: DriftSettings | None = None, *, start_ns: int = 0) -> None:
        self.settings = settings if settings is not None else DriftSettings()
        self._rng = rng
        self._now_ns = start_ns
        self._phase = self._rng.normal(0.0, self.settings.phase_sigma_rad)
        self._polarisation = 0.0
        self._delay_trim_ps = 0.0
        self._daily_phase = self._rng.uniform(0.0, 2 * math.pi)
        self._delay_trim_ps = -self._thermal_delay_ps()  # installed and aligned at the start

    @property
    def now_ns(self) -> int:
        """Time of the drift in ns."""
        return self._now_ns

    @property
    def phase_error_rad(self) -> float:
        """Phase between the two interferometers against the ideal, -pi to pi."""
        return math.remainder(self._phase, 2 * math.pi)

    @property
    def delay_offset_ps(self) -> float:
        """Arrival of the pulses against the middle of the gate."""
        return self._thermal_delay_ps() + self._delay_trim_ps

    @property
    def polarisation_error_rad(self) -> float:
        """Angle of the polarisation against the receiver's axis, -pi/2 to pi/2."""
        return math.remainder(self._polarisation, math.pi)

    def advance(self, dt_s: float, *, phase_locked: bool) -> None:
        """Let `dt_s` seconds pass (kept as whole ns), with the phase servo locked or not.

        Locked, the phase is an Ornstein-Uhlenbeck process around 0; free, a random walk. The delay follows the day; the
        polarisation jumps at Poissonian times. Raises ValueError if `dt_s` < 0.
        """
        if not 0 <= dt_s < math.inf:
            raise ValueError(f"drift cannot advance by {dt_s!r} s: give a finite time >= 0")
        dt_ns = round(dt_s * 1e9)
        self._now_ns += dt_ns
        dt, s = dt_ns * 1e-9, self.settings
        if phase_locked:
            kept = math.exp(-dt / s.phase_time_s)
            noise = s.phase_sigma_rad * math.sqrt(1 - kept**2)
            self._phase = self.phase_error_rad * kept + self._rng.normal(0.0, noise)
        else:
            self._phase += self._rng.normal(0.0, s.phase_walk_rad * math.sqrt(dt / 60))
        jumps = self._rng.poisson(s.polarisation_jump_rate_hz * dt)
        if jumps:
            self._polarisation += self._rng.normal(0.0, s.polarisation_jump_rad * math.sqrt(jumps))

    def trim_phase(self, change_rad: float) -> None:
        """Turn the receiver's phase modulator or fibre stretcher by `change_rad`."""
        self._phase += change_rad

    def trim_delay(self, change_ps: float) -> None:
        """Move the pulses by `change_ps` against the gates."""
        self._delay_trim_ps += change_ps

    def trim_polarisation(self, change_rad: float) -> None:
        """Turn the polarisation controller by `change_rad`."""
        self._polarisation += change_rad

    def _thermal_delay_ps(self) -> float:
        s = self.settings
        swing = s.length_km * s.delay_ps_per_km_k * s.temperature_swing_k
        return swing * math.sin(2 * math.pi * (self._now_ns % _DAY_NS) / _DAY_NS + self._daily_phase)
