"""Reach and optimal settings."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from tokaido.emulators.optics import (
    LinkParameters,
    OneDecoyParameters,
    link_rate,
    maximum_distance_km,
    maximum_loss_db,
    optimal_intensity,
    optimised,
    preset,
    protocol_preset,
)


@pytest.mark.parametrize(("e", "f"), [(0.033, 1.22), (0.01, 1.0), (0.005, 1.1), (0.0, 1.0)])
def test_optimal_intensity_solves_its_equation(e: float, f: float) -> None:
    mu = optimal_intensity(e, f)
    h = -e * math.log2(e) - (1 - e) * math.log2(1 - e) if e else 0.0
    assert (1 - mu) * math.exp(-mu) == pytest.approx(f * h / (1 - h), abs=1e-9)


def test_optimal_intensity_is_near_the_best_of_the_whole_formula() -> None:
    gys = preset("gys", channel_loss_db=10.0)

    def rate(mu: float) -> float:
        return link_rate(replace(gys, intensities=(mu, 0.05, 0.0)), method="infinite-decoys", model="ma").secret_bps

    best = optimal_intensity(0.033, 1.22)
    assert rate(best) > max(rate(best - 0.03), rate(best + 0.03))


@pytest.mark.parametrize(
    ("e", "f", "words"), [(3.3, 1.22, "not percent"), (0.03, 0.9, "f = 0.9"), (0.2, 1.2, "no key")]
)
def test_optimal_intensity_refuses_nonsense(e: float, f: float, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        optimal_intensity(e, f)


def test_reach_is_where_the_key_ends() -> None:
    link = preset("nec-apd", settings="short-block", channel_loss_db=5.0)
    reach = maximum_loss_db(link)
    assert reach is not None
    assert 22 < reach < 24
    assert link_rate(replace(link, channel_loss_db=reach)).secret_bps > 0
    assert link_rate(replace(link, channel_loss_db=reach + 2e-4)).secret_bps == 0
    distance = maximum_distance_km(link, 0.2)
    assert distance == pytest.approx(reach / 0.2)
    asymptotic = maximum_loss_db(link, method="asymptotic")
    assert asymptotic is not None
    assert asymptotic > reach


@pytest.mark.thorough
def test_short_blocks_end_where_they_were_planned_to() -> None:
    """Worked independently: blocks of 1e6 sifted bits end at 19.5 dB with T12 detectors, if settings suit the loss."""
    t12 = replace(preset("t12", settings="short-block", channel_loss_db=19.0), block_sifted_bits=1e6)
    assert link_rate(t12).secret_bps == 0
    assert link_rate(optimised(t12)).secret_bps > 0
    with pytest.raises(ValueError, match=r"no settings of the source give key at 20\.5 dB"):
        optimised(replace(t12, channel_loss_db=20.5))


def test_reach_is_none_where_there_is_never_key() -> None:
    broken = replace(preset("t12", channel_loss_db=0.0), misalignment_key=0.2, misalignment_check=0.2)
    assert maximum_loss_db(broken) is None
    assert maximum_distance_km(broken, 0.2) is None
    with pytest.raises(ValueError, match=r"db_per_km = 0\.0"):
        maximum_distance_km(broken, 0.0)


def test_optimised_settings_are_better_and_still_possible() -> None:
    link = replace(preset("t12", settings="short-block", channel_loss_db=14.5), dead_time_s=0.0)
    best = optimised(link)
    assert isinstance(best, LinkParameters)
    block = link_rate(best)
    assert block.secret_bps > 1.3 * link_rate(link).secret_bps
    # Worked independently with settings optimised for 1e7 bits at 14.5 dB: 1884 kbit after 15 s.
    assert block.secret_bps * block.block_s == pytest.approx(1.884e6, rel=0.02)
    assert block.block_s == pytest.approx(15, rel=0.15)
    for changed in (
        replace(best, intensities=(best.intensities[0] * 1.05, *best.intensities[1:])),
        replace(best, key_basis_probability_transmitter=0.75, key_basis_probability_receiver=0.75),
    ):
        assert link_rate(changed).secret_bps < block.secret_bps


def test_what_is_kept_stays() -> None:
    link = preset("nec-sspd", settings="short-block", channel_loss_db=20.0)
    best = optimised(link, keep=("intensities", "probabilities"))
    assert (best.intensities, best.probabilities) == (link.intensities, link.probabilities)
    assert best.key_basis_probability_receiver != link.key_basis_probability_receiver
    with pytest.raises(ValueError, match="cannot keep 'fibre'"):
        optimised(link, keep=("fibre",))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


@pytest.mark.thorough
def test_one_decoy_settings_can_be_optimised_too() -> None:
    link = protocol_preset("boaron-2018", channel_loss_db=42.7)
    assert isinstance(link, OneDecoyParameters)
    best, kept = optimised(link), optimised(link, keep=("intensities",))
    assert link_rate(best).secret_bps >= link_rate(kept).secret_bps * 0.999
    # The preset's own shares and bias are the optimum for its intensities.
    assert kept.probabilities[0] == pytest.approx(link.probabilities[0], abs=0.03)
    assert kept.key_basis_probability_receiver == pytest.approx(link.key_basis_probability_receiver, abs=0.02)
