"""Gains, decoy bounds, asymptotic and finite key lengths against published points and independent calculations."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, Literal, cast

import pytest

from tokaido.emulators.optics import (
    BasisCounts,
    KeyLength,
    LinkParameters,
    asymptotic_rate,
    block_duration,
    decoy_bounds,
    expected_counts,
    expected_gains,
    finite_key_rate,
    first_key_time,
    gllp_rate,
    key_length,
    preset,
)


def t12(loss: float, settings: Literal["published", "short-block"] = "published", dead: float = 0.0) -> LinkParameters:
    return replace(preset("t12", settings=settings, channel_loss_db=loss), dead_time_s=dead)


# --- published points -----------------------------------------------------------------------------------------------


def test_t12_gains_at_50_km_are_the_published_ones() -> None:
    """They are per pulse sent: clicks lost to the dead time are missing in them. Third intensity: 3.05e-4."""
    expected = expected_gains(preset("t12", distance_km=50))
    assert [gain * expected.live for gain in expected.gains] == [
        pytest.approx(4.812e-3, rel=0.005),
        pytest.approx(7.54e-4, rel=0.03),
        pytest.approx(3.05e-4, rel=0.03),
    ]
    assert expected.error_rates_key[0] == pytest.approx(0.0426, abs=0.0015)
    assert expected.error_rates_check[0] == pytest.approx(0.0364, abs=0.0015)


@pytest.mark.parametrize(("km", "published", "within"), [(35, 2.20e6, 0.25), (50, 1.09e6, 0.25), (80, 0.12e6, 0.60)])
def test_t12_rates_come_near_the_published_ones(km: float, published: float, within: float) -> None:
    assert asymptotic_rate(t12(km * 0.2), keyed_bases="both") == pytest.approx(published, rel=within)


def test_field_link_rates() -> None:
    assert asymptotic_rate(t12(14.5)) == pytest.approx(312e3, rel=0.005)
    assert asymptotic_rate(t12(14.5, "short-block")) == pytest.approx(168.4e3, rel=0.005)
    assert asymptotic_rate(t12(14.5), keyed_bases="both") > asymptotic_rate(t12(14.5))
    assert 0.98 < asymptotic_rate(t12(14.5, dead=10e-9)) / asymptotic_rate(t12(14.5)) < 1


def test_gys_reaches_the_published_distance() -> None:
    """Ma 2005 with the GYS experiment: vacuum + weak decoy states end at 140.55 km (Y_n = Y0 + 1 - (1-eta)^n)."""

    def rate(km: float) -> float:
        eta, y0 = 10 ** (-0.21 * km / 10) * 0.045, 1.7e-6
        intensities = (0.48, 0.05, 0.0)
        light = [1 - math.exp(-eta * k) for k in intensities]
        gains = tuple(y0 + s for s in light)
        errors = tuple((y0 / 2 + 0.033 * s) / q for s, q in zip(light, gains, strict=True))
        bounds = decoy_bounds(cast(Any, gains), cast(Any, errors), intensities)
        return gllp_rate(gains[0], errors[0], bounds, sifting=0.5, f=1.22)

    assert rate(140.05) > 0 > rate(141.05)


# --- gains and bounds, worked independently -------------------------------------------------------------------------


def test_gains_without_afterpulses_are_those_of_two_threshold_detectors() -> None:
    params = replace(t12(12.0), afterpulse_probability=0.0)
    expected = expected_gains(params)
    p = params.dark_count_probability
    for k, gain, error in zip(params.intensities, expected.gains, expected.error_rates_key, strict=True):
        light = params.transmittance * k
        right = 1 - (1 - p) * math.exp(-light * (1 - params.misalignment_key))
        wrong = 1 - (1 - p) * math.exp(-light * params.misalignment_key)
        assert gain == pytest.approx(1 - (1 - right) * (1 - wrong), rel=1e-9)
        assert error * gain == pytest.approx(wrong - right * wrong / 2, rel=2e-5)


def test_afterpulses_are_a_background_common_to_all_intensities() -> None:
    params = t12(10.0)
    with_, without = expected_gains(params), expected_gains(replace(params, afterpulse_probability=0.0))
    extra = [a - b for a, b in zip(with_.gains, without.gains, strict=True)]
    assert extra == pytest.approx([0.0525 * with_.mean_gain] * 3, rel=0.02)
    assert with_.mean_gain == pytest.approx(sum(p * q for p, q in zip(params.probabilities, with_.gains, strict=True)))


def test_dead_time_takes_its_share_of_the_gates() -> None:
    expected = expected_gains(t12(5.0, dead=20e-9))
    assert expected.live == pytest.approx(1 / (1 + 20 * expected.mean_gain))
    assert expected.mean_gain < expected_gains(t12(5.0)).mean_gain


def test_decoy_bounds_hold_for_a_known_source() -> None:
    eta, dark, e = 0.01, 1e-5, 0.02
    intensities = (0.5, 0.1, 0.0)
    gains = [1 - (1 - dark) * math.exp(-eta * k) for k in intensities]
    errors = [(dark / 2 + e * (1 - math.exp(-eta * k))) / q for k, q in zip(intensities, gains, strict=True)]
    bounds = decoy_bounds(cast(Any, tuple(gains)), cast(Any, tuple(errors)), intensities)
    single, single_error = 1 - (1 - dark) * (1 - eta), (dark / 2 + e * eta) / (1 - (1 - dark) * (1 - eta))
    assert 0.95 * single < bounds.single_photon_yield <= single
    assert single_error <= bounds.single_photon_error < 1.2 * single_error
    assert bounds.vacuum_yield == pytest.approx(dark)


def test_without_single_photons_nothing_is_claimed() -> None:
    bounds = decoy_bounds((1e-2, 1e-5, 1e-5), (0.01, 0.5, 0.5), (0.5, 0.1, 0.001))
    assert bounds.single_photon_yield == 0.0
    assert bounds.single_photon_error == 0.5
    assert asymptotic_rate(t12(40.0)) == 0.0


# --- finite keys ----------------------------------------------------------------------------------------------------

KEY = BasisCounts((7_000_000, 950_000, 90_000), (300_000, 100_000, 44_000))
CHECK = BasisCounts((340_000, 46_000, 4_400), (12_000, 4_600, 2_100))
SOURCE = ((0.5, 0.13, 0.001), (0.6, 0.27, 0.13))


def straightforward_length(bound: str, leak: float, eps: float = 1e-10) -> float:
    """Lim 2014 written once more, from its equations, without sharing anything with the product."""
    (a, b, c), (pa, pb, pc) = SOURCE
    e = math.exp
    ell = math.log(21 / eps)

    def down(x: float, total: float) -> float:
        dev = math.sqrt(total * ell / 2) if bound == "hoeffding" else ell / 2 + math.sqrt(2 * x * ell + ell * ell / 4)
        return max(x - dev, 0)

    def up(x: float, total: float) -> float:
        return x + (math.sqrt(total * ell / 2) if bound == "hoeffding" else ell + math.sqrt(2 * x * ell + ell * ell))

    t0 = pa * e(-a) + pb * e(-b) + pc * e(-c)
    t1 = pa * a * e(-a) + pb * b * e(-b) + pc * c * e(-c)

    def s(counts: tuple[int, int, int]) -> tuple[float, float]:
        na, nb, nc = counts
        n = na + nb + nc
        s0 = max(t0 / (b - c) * (b * e(c) / pc * down(nc, n) - c * e(b) / pb * up(nb, n)), 0)
        inner = e(b) / pb * down(nb, n) - e(c) / pc * up(nc, n)
        inner -= (b * b - c * c) / (a * a) * (e(a) / pa * up(na, n) - s0 / t0)
        return s0, max(a * t1 / (a * (b - c) - (b * b - c * c)) * inner, 0)

    (s0, s1), (_, x1) = s(KEY.detections), s(CHECK.detections)
    m = sum(CHECK.errors)
    v1 = t1 / (b - c) * (e(b) / pb * up(CHECK.errors[1], m) - e(c) / pc * down(CHECK.errors[2], m))
    r = v1 / x1
    gamma = math.sqrt(
        (x1 + s1)
        * (1 - r)
        * r
        / (x1 * s1 * math.log(2))
        * math.log2((x1 + s1) / (x1 * s1 * (1 - r) * r) * (21 / eps) ** 2)
    )
    phi = r + gamma
    h = -phi * math.log2(phi) - (1 - phi) * math.log2(1 - phi)
    return s0 + s1 * (1 - h) - leak - 6 * math.log2(21 / eps) - math.log2(2 / 1e-15)


@pytest.mark.parametrize("bound", ["chernoff", "hoeffding"])
def test_key_length_is_the_formula_rounded_down(bound: Literal["chernoff", "hoeffding"]) -> None:
    result = key_length(KEY, CHECK, *SOURCE, leaked_bits=900_000, eps_sec=1e-10, eps_cor=1e-15, bound=bound)
    assert result.bits == math.floor(straightforward_length(bound, 900_000)) > 0
    assert (result.method, result.bound, result.reason) == ("lim2014", bound, "")
    assert result.eps == 1e-10 + 1e-15


def test_every_leaked_bit_costs_one() -> None:
    def bits(leaked: float) -> int:
        return key_length(KEY, CHECK, *SOURCE, leaked_bits=leaked, eps_sec=1e-10, eps_cor=1e-15).bits

    assert bits(900_000) - bits(900_001) == 1
    assert bits(900_000.01) <= bits(900_000)


def test_no_key_comes_with_its_reason() -> None:
    none = BasisCounts((0, 0, 0), (0, 0, 0))

    def result(key: BasisCounts, check: BasisCounts, leaked: float) -> KeyLength:
        return key_length(key, check, *SOURCE, leaked_bits=leaked, eps_sec=1e-10, eps_cor=1e-15)

    assert "key-basis" in result(none, none, 0).reason
    assert "check-basis" in result(KEY, none, 0).reason
    random = BasisCounts(CHECK.detections, (170_000, 23_000, 2_200))
    half = result(KEY, random, 500_000)
    assert half.phase_error == 0.5
    assert "phase error" in half.reason
    leaky = result(KEY, CHECK, 9e6)
    assert leaky.bits == 0
    assert "leak" in leaky.reason


def test_key_is_never_longer_than_the_sifted_bits_left() -> None:
    clean = BasisCounts(CHECK.detections, (0, 0, 0))
    swapped = BasisCounts((0, 8_000_000, 0), (0, 0, 0))  # what no honest source gives
    result = key_length(swapped, clean, *SOURCE, leaked_bits=0, eps_sec=1e-10, eps_cor=1e-15)
    assert result.vacuum_events + result.single_photon_events <= 8_000_000
    assert result.bits < 8_000_000


def test_impossible_counts_are_refused() -> None:
    wrong = BasisCounts((1, 1, 1), (2, 0, 0))
    with pytest.raises(ValueError, match="key-basis counts"):
        key_length(wrong, CHECK, *SOURCE, leaked_bits=0, eps_sec=1e-10, eps_cor=1e-15)
    with pytest.raises(ValueError, match="leaked_bits"):
        key_length(KEY, CHECK, *SOURCE, leaked_bits=-1, eps_sec=1e-10, eps_cor=1e-15)
    with pytest.raises(ValueError, match="eps_sec"):
        key_length(KEY, CHECK, *SOURCE, leaked_bits=0, eps_sec=0, eps_cor=1e-15)


def test_field_link_block_of_1e7_bits() -> None:
    """Worked out beforehand with dead time 0: 0.95 Mbit (Chernoff) or 0.33 Mbit (Hoeffding) from 10.7 s."""
    link = t12(14.5, "short-block")
    seconds = block_duration(link, 1e7)
    assert seconds == pytest.approx(10.67, abs=0.05)
    assert finite_key_rate(link, seconds * 1e9) * seconds == pytest.approx(0.95e6, rel=0.01)
    assert finite_key_rate(link, seconds * 1e9, "hoeffding") * seconds == pytest.approx(0.33e6, rel=0.02)


def test_expected_counts_add_up_to_the_live_gates() -> None:
    link = t12(14.5, "short-block", dead=10e-9)
    key, check = expected_counts(link, 1e9)
    expected = expected_gains(link)
    assert sum(key.detections) == pytest.approx(1e9 * expected.live * expected.mean_gain * 0.82**2)
    assert check.errors[0] / check.detections[0] == pytest.approx(expected.error_rates_check[0])


def test_published_settings_give_no_key_in_a_short_time() -> None:
    assert finite_key_rate(t12(14.5), 60e9) == 0.0
    published, short = first_key_time(t12(14.5)), first_key_time(t12(14.5, "short-block"))
    assert published is not None
    assert published > 19 * 60
    assert short is not None
    assert short < 5
    assert finite_key_rate(t12(14.5, "short-block"), short * 1e9) > 0
    assert finite_key_rate(t12(14.5, "short-block"), short * 0.99e9) == 0
    assert first_key_time(t12(30.0)) is None


def test_longer_blocks_approach_the_asymptotic_rate() -> None:
    link = t12(14.5, "short-block")
    rates = [finite_key_rate(link, n) for n in (1e10, 1e11, 1e12, 1e14)]
    assert rates == sorted(rates)
    # All intensities are keyed and vacuum is credited, so the limit lies above the signal-only rate.
    assert 0.9 < rates[-1] / asymptotic_rate(link) < 1.5


# --- NEC-style units: which spans make key with blocks of 1e6 sifted bits, as they are delivered --------------------


def block_key(name: str, loss: float, settings: Literal["published", "short-block"]) -> float:
    """Secret bits of a block of 1e6 key-basis bits when counts are as expected."""
    link = preset(name, settings=settings, channel_loss_db=loss)
    seconds = block_duration(link, 1e6)
    return finite_key_rate(link, seconds * link.clock_rate_hz) * seconds


@pytest.mark.parametrize("settings", ["published", "short-block"])
@pytest.mark.parametrize("loss", [10.0, 14.5, 18.0, 22.8, 25.0, 28.0])
def test_nanowires_make_key_of_a_short_block_from_10_to_28_db(
    loss: float, settings: Literal["published", "short-block"]
) -> None:
    assert block_key("nec-sspd", loss, settings) > 350e3


def test_photodiodes_make_key_of_a_short_block_up_to_22_db_and_none_at_24() -> None:
    keys = [block_key("nec-apd", loss, "short-block") for loss in (10.0, 14.5, 18.0, 20.0, 22.0, 24.0)]
    assert keys == sorted(keys, reverse=True)
    assert keys[3] > 90e3
    assert keys[4] > 35e3
    assert keys[5] == 0


def test_a_short_block_of_nanowires_is_what_the_line_was_planned_with() -> None:
    link = preset("nec-sspd", settings="short-block", channel_loss_db=28.6)
    assert block_duration(link, 1e6) == pytest.approx(11.6, rel=0.01)
    assert block_key("nec-sspd", 28.6, "short-block") == pytest.approx(357e3, rel=0.01)
    assert block_key("nec-sspd", 22.8, "short-block") == pytest.approx(367e3, rel=0.01)


def test_a_dead_time_of_1_us_holds_photodiodes_below_a_million_counts_a_second() -> None:
    rates = [
        expected.live * expected.mean_gain * 1.25e9
        for expected in (expected_gains(preset("nec-apd", channel_loss_db=loss)) for loss in (0.0, 10.0, 14.5))
    ]
    assert 0.9e6 < rates[0] < 1e6
    assert rates[2] == pytest.approx(0.46e6, rel=0.05)
