"""Raman noise of data channels: powers, directions, wavelengths, and what they do to a link."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from typing import Literal

import numpy as np
import pytest

from tokaido.emulators.optics import (
    DataChannel,
    Fibre,
    QuantumChannel,
    expected_gains,
    link_rate,
    preset,
    raman_cross_section,
    raman_power_w,
    with_raman_noise,
)

SPAN = Fibre(length_km=25, loss_db_per_km=0.2)
Direction = Literal["forward", "backward"]


def power(direction: Direction, fibre: Fibre = SPAN, *, data_db_per_km: float | None = None, dbm: float = 0.0) -> float:
    channel = DataChannel(wavelength_nm=1540, launch_power_dbm=dbm, direction=direction, cross_section=3e-9)
    return raman_power_w(channel, fibre, quantum_nm=1550, filter_nm=0.5, data_db_per_km=data_db_per_km)


@pytest.mark.parametrize(("direction", "published"), [("forward", 1.3e-3), ("backward", 1.6e-3)])
def test_noise_is_that_of_kumar_2015(direction: Direction, published: float) -> None:
    """0 dBm, 25 km, 3e-9/(km nm), 1531.12 nm, 0.5 dB after the fibre: excess noise in shot-noise units, Eq. 6."""
    wavelength = 1531.12e-9
    channel = DataChannel(wavelength_nm=1540, launch_power_dbm=0, direction=direction, cross_section=3e-9)
    watts_per_nm = raman_power_w(channel, SPAN, quantum_nm=1531.12, filter_nm=1)
    watts_per_hz = watts_per_nm * 1e9 * wavelength**2 / 299_792_458
    photons_per_mode = watts_per_hz / (6.62607015e-34 * 299_792_458 / wavelength) / 2  # one polarisation of two
    assert 2 * photons_per_mode * 10**-0.05 == pytest.approx(published, rel=0.03)


def test_powers_are_the_closed_forms_of_eraerds_2010() -> None:
    a, length = 0.2 * math.log(10) / 10, 25.0
    out = 1e-3 * math.exp(-a * length)  # what is left of the data light where it leaves the fibre
    assert power("forward") == pytest.approx(out * length * 3e-9 * 0.5)
    assert power("backward") == pytest.approx(out * math.sinh(a * length) / a * 3e-9 * 0.5)
    assert power("forward", dbm=-10) == pytest.approx(power("forward") / 10)


def test_forward_noise_has_a_longest_fibre_and_backward_noise_saturates() -> None:
    lengths = [1.0, 10.0, 21.7, 60.0, 150.0]
    forward = [power("forward", Fibre(length_km=km, loss_db_per_km=0.2)) for km in lengths]
    backward = [power("backward", Fibre(length_km=km, loss_db_per_km=0.2)) for km in lengths]
    assert max(forward) == forward[2]  # 1 / a
    assert backward == sorted(backward)
    assert backward[-1] == pytest.approx(1e-3 * 3e-9 * 0.5 / (2 * 0.2 * math.log(10) / 10), rel=1e-4)
    assert power("forward", Fibre(length_km=0, loss_db=0)) == 0


@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_unequal_losses_are_integrated_along_the_fibre(direction: Direction) -> None:
    z = (np.arange(100_000) + 0.5) / 100_000 * 25
    d, a = (db * math.log(10) / 10 for db in (0.35, 0.2))
    along = np.exp(-d * z - a * (25 - z)) if direction == "forward" else np.exp(-(d + a) * z)
    expected = 1e-3 * 3e-9 * 0.5 * 25 * float(np.mean(along))
    assert power(direction, data_db_per_km=0.35) == pytest.approx(expected, rel=1e-6)


def test_cross_section_follows_the_glass() -> None:
    worst = max(raman_cross_section(nm, 1531.12) for nm in np.linspace(1532, 1565, 100).tolist())
    assert worst == pytest.approx(3e-9, rel=0.01)
    assert 5e-9 < raman_cross_section(1450, 1550) < 1e-8  # Stokes peak, 13 THz below
    stokes, anti_stokes = raman_cross_section(1500, 1550), raman_cross_section(1550, 1500)
    assert stokes > 2 * anti_stokes  # phonons must be there to be absorbed
    shift = 299_792.458 * (1 / 1500 - 1 / 1550)  # THz
    boltzmann = math.exp(shift * 1e12 * 6.62607015e-34 / 1.380649e-23 / 295)
    assert stokes / anti_stokes == pytest.approx(boltzmann * (1500 / 1550) ** 3, rel=1e-9)
    assert raman_cross_section(1550, 1310) < 1e-3 * worst  # why quantum light goes to 1310 nm where data is at 1550


def test_noise_joins_the_dark_counts_of_a_link() -> None:
    link = preset("t12", distance_km=50)
    fibre = Fibre(length_km=50, loss_db_per_km=0.2)
    channels = [
        DataChannel(wavelength_nm=1540, launch_power_dbm=-20, direction=direction)
        for direction in ("forward", "backward")
    ]
    noisy = with_raman_noise(link, channels, fibre)
    assert replace(noisy, dark_count_probability=link.dark_count_probability) == link
    watts = sum(raman_power_w(each, fibre, quantum_nm=1550, filter_nm=0.2) for each in channels)
    photons = watts / (6.62607015e-34 * 299_792_458 / 1550e-9) * 150e-12 * 10**-0.28 * 0.205
    assert noisy.dark_count_probability - link.dark_count_probability == pytest.approx(photons / 2, rel=1e-3)
    before, after = link_rate(link), link_rate(noisy)
    assert before.qber_z < after.qber_z < before.qber_z + 0.003
    assert 0.9 * before.secret_bps < after.secret_bps < before.secret_bps
    assert link_rate(with_raman_noise(link, [replace(c, launch_power_dbm=0) for c in channels], fibre)).secret_bps == 0
    assert with_raman_noise(link, [], fibre) == link


def test_gate_filter_and_tap_take_their_share() -> None:
    link = preset("nec-sspd", channel_loss_db=10.0)
    channel = [DataChannel(wavelength_nm=1560, launch_power_dbm=-10)]

    def added(filter_nm: float = 0.2, gate_ps: float = 400.0, extra_db: float = 0.0) -> float:
        fibre = Fibre(length_km=50, loss_db_per_km=0.2, extra_loss_db=extra_db)
        gated = replace(link, gate_width_ps=gate_ps)
        noisy = with_raman_noise(gated, channel, fibre, filter_nm=filter_nm)
        return noisy.dark_count_probability - link.dark_count_probability

    assert added(filter_nm=0.4) == pytest.approx(2 * added(), rel=1e-3)
    assert added(gate_ps=100.0) == pytest.approx(added() / 4, rel=1e-3)
    assert added(extra_db=3.0) == pytest.approx(added() * 10**-0.3, rel=1e-3)


def test_emulated_detectors_see_it() -> None:
    fibre = Fibre(length_km=50, loss_db_per_km=0.2)
    link = preset("nec-sspd", settings="short-block", distance_km=50)
    noisy = with_raman_noise(link, [DataChannel(wavelength_nm=1540, launch_power_dbm=5)], fibre)
    counted = QuantumChannel(noisy, physics=np.random.default_rng(3), secret=random.Random(3).randbytes).count(10**9)
    expected = expected_gains(noisy)
    clicks = 1e9 * expected.live * expected.mean_gain
    assert abs(int(counted.detections.sum()) - clicks) < 5 * math.sqrt(clicks)
    assert expected.gains[2] > 3 * expected_gains(link).gains[2]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("wavelength_nm", 15.4),
        ("launch_power_dbm", math.inf),
        ("direction", "sideways"),
        ("cross_section", -1.0),
    ],
)
def test_impossible_channels_are_refused(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=rf"{name} = .* is not possible: \w+"):
        replace(DataChannel(wavelength_nm=1540, launch_power_dbm=0), **{name: value})  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def test_impossible_filters_are_refused() -> None:
    channel = DataChannel(wavelength_nm=1540, launch_power_dbm=0)
    with pytest.raises(ValueError, match="filter_nm"):
        raman_power_w(channel, SPAN, quantum_nm=1550, filter_nm=0)
    with pytest.raises(ValueError, match="data_db_per_km"):
        raman_power_w(channel, SPAN, quantum_nm=1550, filter_nm=0.2, data_db_per_km=-1)
    with pytest.raises(ValueError, match="quantum_nm"):
        with_raman_noise(preset("t12", distance_km=25), [channel], SPAN, quantum_nm=850)
