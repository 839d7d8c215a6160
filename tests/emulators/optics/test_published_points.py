"""Every published point beside what the model computes, and the page that shows them."""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tokaido.emulators.optics import PUBLISHED_POINTS, PublishedPoint, Tolerance, preset_info, presets, published_table

if TYPE_CHECKING:
    from collections.abc import Callable

PAGE = Path(__file__).parents[3] / "docs" / "explanation" / "published-points.md"


def name_of(point: PublishedPoint) -> str:
    where = f"{point.distance_km:g} km" if point.distance_km is not None else f"{point.loss_db or 0:g} dB"
    return f"{point.source.split(',')[0]}: {point.quantity} at {where}"


computed_of: Callable[[PublishedPoint], float] = cache(vars(PublishedPoint)["computed"].fget)
"""What the model gives, computed once for all tests."""


HELD = [point for point in PUBLISHED_POINTS if point.status in ("tested", "fitted")]


@pytest.mark.parametrize("point", HELD, ids=name_of)
def test_model_meets_published_point(point: PublishedPoint) -> None:
    computed = computed_of(point)
    print(
        f"{name_of(point)}: published {point.published:.5g}, computed {computed:.5g} {point.unit}, "
        f"ratio {computed / point.published:.3f}, tolerance {point.tolerance}, {point.status}"
    )
    assert point.tolerance is not None
    assert point.tolerance.holds(computed, point.published)


@pytest.mark.thorough
def test_points_that_are_not_held_say_so() -> None:
    for point in PUBLISHED_POINTS:
        if point not in HELD:
            print(f"{name_of(point)}: {point.published:.4g} / {computed_of(point):.4g} {point.unit}, {point.status}")
        assert (point.tolerance is None) == (point.status in ("context", "never")), name_of(point)
        assert point.compute is not None or point.status == "context", name_of(point)
        assert point.note


def test_points_stand_where_a_plot_can_find_them() -> None:
    assert {point.preset for point in PUBLISHED_POINTS} - {None} <= set(presets())
    for name, kilometres in (("t12", {35, 50, 80}), ("t12-even", {35, 65, 80}), ("boaron-2018", {251.7, 354.5})):
        drawn = [point for point in PUBLISHED_POINTS if point.preset == name and point.secret_bps is not None]
        assert kilometres <= {point.distance_km for point in drawn}
        assert all(point.secret_bps == point.published and point.unit == "bit/s" for point in drawn)


def test_what_is_known_never_to_fit_does_not() -> None:
    ratios = [computed_of(point) / point.published for point in PUBLISHED_POINTS if point.status == "never"]
    assert len(ratios) == 3
    assert all(ratio > 1.25 or ratio < 0.75 for ratio in ratios)  # else the page is out of date


def test_tolerances_hold_at_their_edges() -> None:
    assert Tolerance(0.5, "absolute").holds(10.5, 10)
    assert not Tolerance(0.5, "absolute").holds(10.6, 10)
    assert Tolerance(0.25, "relative").holds(1.25, 1)
    assert not Tolerance(0.25, "relative").holds(0.74, 1)
    assert Tolerance(2, "factor").holds(0.5, 1)
    assert not Tolerance(2, "factor").holds(2.1, 1)
    assert not Tolerance(2, "factor").holds(math.nan, 1)
    assert [str(Tolerance(0.25, kind)) for kind in ("absolute", "relative", "factor")] == [
        "±0.25",
        "±25%",
        "factor 0.25",
    ]


def test_page_shows_what_the_model_computes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PublishedPoint, "computed", property(computed_of))
    assert published_table() in PAGE.read_text(encoding="utf-8"), f"put this table into {PAGE}:\n{published_table()}"


def test_page_names_every_fitted_field() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for name in presets():
        for field, source in preset_info(name).fitted.items():
            assert f"| {name} | {field} | {source} |" in page
