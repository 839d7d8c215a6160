"""How the published points are computed: each with the parameters of its experiment, as far as they are known."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from ._dps import dps_key_fraction
from ._finite_key import expected_counts
from ._link_rate import Method, link_rate
from ._one_decoy import OneDecoyParameters
from ._optimum import maximum_distance_km, maximum_loss_db, optimised
from ._presets import preset, preset_info, protocol_preset
from ._rates import expected_gains

if TYPE_CHECKING:
    from collections.abc import Callable


def t12_rate(km: float, name: str = "t12") -> Callable[[], float]:
    """Secret rate in bit/s over `km` of 0.2 dB/km."""
    return lambda: link_rate(preset(name, distance_km=km), method="lucamarini").secret_bps


def t12_rate_at(loss_db: float) -> float:
    """Return the secret rate in bit/s over `loss_db` dB."""
    return link_rate(preset("t12", channel_loss_db=loss_db), method="lucamarini").secret_bps


def t12_gain(intensity: int) -> Callable[[], float]:
    """Clicks per pulse sent at 50 km, as the paper counts them: those lost to the dead time are missing."""

    def compute() -> float:
        expected = expected_gains(preset("t12", distance_km=50))
        return expected.gains[intensity] * expected.live

    return compute


def t12_error(basis: int) -> Callable[[], float]:
    """Error rate of the signal at 50 km in percent."""

    def compute() -> float:
        expected = expected_gains(preset("t12", distance_km=50))
        return 100 * (expected.error_rates_key, expected.error_rates_check)[basis][0]

    return compute


def t12_counts(basis: int, intensity: int) -> Callable[[], float]:
    """Sifted counts of a session of 20 minutes at 50 km."""
    return lambda: expected_counts(preset("t12", distance_km=50), 1.2e12)[basis].detections[intensity]


def gys_distance(method: Method) -> Callable[[], float]:
    """Maximum distance in km with the approximations of Ma 2005."""

    def compute() -> float:
        link = preset("gys", distance_km=100)
        return maximum_distance_km(link, preset_info("gys").db_per_km, method=method, model="ma") or math.nan

    return compute


def boaron(loss_db: float, intensities: tuple[float, float], bits: float, *, qber: bool = False) -> Callable[[], float]:
    """Secret rate in bit/s with probabilities and basis bias optimised, or the error rate in percent."""

    def compute() -> float:
        link = protocol_preset("boaron-2018", channel_loss_db=loss_db)
        assert isinstance(link, OneDecoyParameters)
        link = replace(link, intensities=intensities, block_sifted_bits=bits)
        if qber:
            return 100 * link_rate(link).qber_z
        return link_rate(optimised(link, keep=("intensities",))).secret_bps

    return compute


def rate_of(name: str, loss_db: float) -> Callable[[], float]:
    """Secret rate in bit/s of a preset as it is."""
    return lambda: link_rate(protocol_preset(name, channel_loss_db=loss_db)).secret_bps


def qber_of(name: str, loss_db: float) -> Callable[[], float]:
    """Error rate of a preset in percent."""
    return lambda: 100 * link_rate(protocol_preset(name, channel_loss_db=loss_db)).qber_z


def tanaka(pick: str) -> Callable[[], float]:
    """One field of the rate at 97 km, error rates in percent."""

    def compute() -> float:
        value: float = getattr(link_rate(preset("nec-2008", distance_km=97)), pick)
        return value * (100 if pick.startswith("qber") else 1)

    return compute


def tanaka_sifted() -> float:
    """Sifted bits per s of signal pulses alone at 97 km: key is made of nothing else (Ma 2005 Eq. 1)."""
    link = preset("nec-2008", distance_km=97)
    return sum(basis.detections[0] for basis in expected_counts(link, 1.0)) * link.clock_rate_hz * link.duty


def dixon(km: float) -> Callable[[], float]:
    """Secret rate in bit/s; intensities and detector recalled, the rest as "t12-even" has it."""
    return lambda: (
        link_rate(
            replace(
                preset("t12-even", distance_km=km),
                clock_rate_hz=1.036e9,
                dead_time_s=1.93e-9,
                intensities=(0.55, 0.098, 7.6e-4),
                probabilities=(0.80, 0.16, 0.04),
                detector_efficiency=0.10,
                dark_count_probability=6.8e-6,
                afterpulse_probability=0.05,
            )
        ).secret_bps
    )


def shimizu() -> float:
    """Secret rate in bit/s from the published sifted and error rates; mu and f as in 2007."""
    return 11e3 * dps_key_fraction(0.2, 0.026, 1.16)


def li() -> float:
    """Nanowires at 2.5 GHz: everything but clock and distance is assumed."""
    link = replace(
        preset("nec-sspd", channel_loss_db=2.2),
        clock_rate_hz=2.5e9,
        detector_efficiency=0.78,
        dark_count_probability=100 / 2.5e9,
        receiver_loss_db=2.0,
        dead_time_s=0.0,
        misalignment_key=0.005,
        misalignment_check=0.005,
        probabilities=(0.90, 0.07, 0.03),
        key_basis_probability_transmitter=0.95,
        key_basis_probability_receiver=0.95,
    )
    return link_rate(link, method="lim").secret_bps


def cold_distance() -> float:
    """Maximum distance in km of the cold detectors in blocks of 20 minutes, general attacks."""
    link = preset("t12-cold", distance_km=100)
    return maximum_distance_km(link, preset_info("t12-cold").db_per_km) or math.nan


def dps_reach() -> float:
    """Largest channel loss in dB of the DPS link of 2007."""
    return maximum_loss_db(protocol_preset("dps-2007", channel_loss_db=0.0)) or math.nan
