"""Raman noise of data channels in the fibre of a quantum channel.

Light of a data channel scatters off the glass into every other wavelength, the quantum channel's too, and no filter
tells it from the signal: it is a background like dark counts. Formulas are those of Eraerds, Walenta, Legré, Gisin,
Zbinden, New J. Phys. 12 063027 (2010), section on spontaneous Raman scattering, and of Kumar, Qin, Alléaume, New J.
Phys. 17 043027 (2015), Eq. 6, whose worst cross-section of the C band fixes the scale. The dependence on wavelength is
the Raman response of silica, Hollenbeck, Cantrell, J. Opt. Soc. Am. B 19 2886 (2002), Table 1, times the
occupation of the phonons at room temperature.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from ._parameters import LinkParameters, require

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ._fibre import Fibre

_SPEED_OF_LIGHT: Final = 299_792_458.0
_PLANCK: Final = 6.62607015e-34
_KELVIN_PER_HZ: Final = _PLANCK / 1.380649e-23
_TEMPERATURE_K: Final = 295.0
_WORST_IN_C_BAND: Final = 3e-9
"""1/(km nm) for quantum light at 1531.12 nm, Kumar et al. 2015."""
_ITS_QUANTUM_NM: Final = 1531.12
_C_BAND_END_NM: Final = 1565.0

# Hollenbeck and Cantrell 2002, Table 1: position, amplitude, Gaussian and Lorentzian full widths, widths in 1/cm.
_POSITION: Final = (56.25, 100, 231.25, 362.5, 463, 497, 611.5, 691.67, 793.67, 835.5, 930, 1080, 1215)
_AMPLITUDE: Final = (1, 11.4, 36.67, 67.67, 74, 4.5, 6.8, 4.6, 4.2, 4.5, 2.7, 3.1, 3)
_GAUSSIAN: Final = (52.1, 110.42, 175, 162.5, 135.33, 24.5, 41.5, 155, 59.5, 64.3, 150, 91, 160)
_LORENTZIAN: Final = (17.37, 38.81, 58.33, 54.17, 45.11, 8.17, 13.83, 51.67, 19.83, 21.43, 50, 30.33, 53.33)


@dataclass(frozen=True, slots=True, kw_only=True)
class DataChannel:
    """One data channel that shares the fibre."""

    wavelength_nm: float
    launch_power_dbm: float
    """Into the fibre, at the end where it starts."""
    direction: Literal["forward", "backward"] = "forward"
    """"forward" starts where the quantum light does, "backward" at the quantum receiver."""
    cross_section: float | None = None
    """Of Raman scattering into the quantum channel in 1/(km nm). Default: `raman_cross_section`."""

    def __post_init__(self) -> None:
        _wavelength("wavelength_nm", self.wavelength_nm)
        power = self.launch_power_dbm
        require(math.isfinite(power), "launch_power_dbm", power, "give dBm; a channel that is off is left out")
        require(
            self.direction in ("forward", "backward"), "direction", self.direction, "choose 'forward' or 'backward'"
        )
        own = self.cross_section
        require(own is None or 0 <= own < math.inf, "cross_section", own, "give 1/(km nm), >= 0, or None")


def raman_cross_section(data_nm: float, quantum_nm: float) -> float:
    """Return the share of data light per km and nm of filter that scatters into the quantum channel, both ends' way.

    Scaled so that the worst data channel of the C band has 3e-9 for quantum light at 1531.12 nm (Kumar et al. 2015).
    Fibres differ by some 30 %; within 1 nm of the data channel its own sidebands and filters count for more than this.
    """
    _wavelength("data_nm", data_nm)
    _wavelength("quantum_nm", quantum_nm)
    return _WORST_IN_C_BAND * _spectrum(data_nm, quantum_nm) / _reference()


def raman_power_w(
    channel: DataChannel,
    fibre: Fibre,
    *,
    quantum_nm: float,
    filter_nm: float,
    data_db_per_km: float | None = None,
) -> float:
    """Return the Raman light, in W, that leaves the fibre for the quantum receiver within `filter_nm`.

    With cross-section b, launch power P, filter width w and equal loss a per km: P b w L e^(-aL) forward and
    P b w (1 - e^(-2aL)) / 2a backward (Eraerds et al. 2010, in terms of launch power; Kumar et al. 2015, Eq. 6). Where
    the data channel's loss `data_db_per_km` differs (default: the fibre's, without its extra loss), the same integrals
    over the place of scattering are (e^(-dL) - e^(-aL)) / (a - d) and (1 - e^(-(a+d)L)) / (a + d).
    """
    require(0 < filter_nm < math.inf, "filter_nm", filter_nm, "give the width of the filter in nm, > 0")
    if not fibre.length_km > 0:
        return 0.0
    length = fibre.length_km
    own_db = (fibre.total_loss_db - fibre.extra_loss_db) / length
    data_db = own_db if data_db_per_km is None else data_db_per_km
    require(0 <= data_db < math.inf, "data_db_per_km", data_db, "give the data channel's loss in dB/km, >= 0")
    a, d = own_db * math.log(10) / 10, data_db * math.log(10) / 10
    forward = channel.direction == "forward"
    path = math.exp(-d * length) * _reach(a - d, length) if forward else _reach(a + d, length)
    section = channel.cross_section
    if section is None:
        section = raman_cross_section(channel.wavelength_nm, quantum_nm)
    return 1e-3 * 10 ** (channel.launch_power_dbm / 10) * section * filter_nm * path


def with_raman_noise(
    params: LinkParameters,
    channels: Iterable[DataChannel],
    fibre: Fibre,
    *,
    quantum_nm: float = 1550.0,
    filter_nm: float = 0.2,
    data_db_per_km: float | None = None,
) -> LinkParameters:
    """Return the parameters with the Raman light of data channels among the dark counts.

    Photons per gate are P / (h nu) times the gate (`gate_width_ps`), receiver loss (which the filter is part of) and
    detector efficiency (Eraerds et al. 2010); half of them reach each detector, and they are as random as dark counts.
    Loss that `fibre` has extra lies before the receiver and weakens them as it does the signal. Arguments as of
    `raman_power_w`; `channels` are as many as are lit.
    """
    _wavelength("quantum_nm", quantum_nm)
    power = sum(
        raman_power_w(each, fibre, quantum_nm=quantum_nm, filter_nm=filter_nm, data_db_per_km=data_db_per_km)
        for each in channels
    )
    energy = _PLANCK * _SPEED_OF_LIGHT / (quantum_nm * 1e-9)
    loss_db = params.receiver_loss_db + fibre.extra_loss_db
    photons = power / energy * params.gate_width_ps * 1e-12 * 10 ** (-loss_db / 10) * params.detector_efficiency
    silent = (1 - params.dark_count_probability) * math.exp(-photons / 2)
    return replace(params, dark_count_probability=1 - silent if photons > 0 else params.dark_count_probability)


def _wavelength(name: str, value: float) -> None:
    require(1200 <= value <= 1700, name, value, "give nm between 1200 and 1700, where single-mode fibre is used")


def _reach(rate: float, length: float) -> float:
    """Return (1 - e^(-rate length)) / rate: the integral of e^(-rate z) from 0 to the length."""
    return length if abs(rate * length) < 1e-12 else -math.expm1(-rate * length) / rate


def _spectrum(data_nm: float, quantum_nm: float) -> float:
    """Return the Raman light per nm up to a factor: response, phonons, energy of a photon, Hz in a nm."""
    shift_hz = _SPEED_OF_LIGHT * 1e9 * (1 / data_nm - 1 / quantum_nm)
    distance = max(abs(shift_hz), 1e9)
    phonons = 1 / math.expm1(_KELVIN_PER_HZ * distance / _TEMPERATURE_K)
    if shift_hz > 0:
        phonons += 1  # Stokes: the quantum light has the longer wavelength
    return _response(distance) * phonons / quantum_nm**3


@lru_cache(maxsize=1)
def _reference() -> float:
    """Return the largest `_spectrum` that a data channel of the C band has at the wavelength of Kumar et al."""
    return max(_spectrum(nm, _ITS_QUANTUM_NM) for nm in np.linspace(_ITS_QUANTUM_NM + 0.5, _C_BAND_END_NM, 70).tolist())


@lru_cache(maxsize=4096)
def _response(shift_hz: float) -> float:
    """Return Im h(shift), h the response in time: sum of A exp(-l t) exp(-g^2 t^2 / 4) sin(2 pi c x t), t >= 0."""
    t = np.arange(4000) * 5e-16
    per_cm = 100 * _SPEED_OF_LIGHT * math.pi
    response = np.zeros_like(t)
    for x, amplitude, g, lorentz in zip(_POSITION, _AMPLITUDE, _GAUSSIAN, _LORENTZIAN, strict=True):
        decay = np.exp(-per_cm * lorentz * t - (per_cm * g * t) ** 2 / 4)
        response += amplitude * decay * np.sin(2 * per_cm * x * t)
    return float(np.sum(response * np.sin(2 * math.pi * shift_hz * t)))
