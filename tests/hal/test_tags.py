"""Histograms and coincidences of tags, against what is counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

import tokaido.hal as hal
from tokaido.hal.tags import Tags


def tags(*pairs: tuple[int, int]) -> Tags:
    times, channels = zip(*pairs, strict=True)
    return Tags(np.array(times, np.uint64), np.array(channels, np.uint8), duration_ps=10**6)


SOME = tags((5, 2), (10, 1), (10, 2), (13, 2), (30, 1), (42, 2), (100, 2), (500, 3))


def test_a_stop_belongs_to_the_last_start_before_it() -> None:
    assert SOME.histogram(1, 2, bin_width_ps=1, bins=13).tolist() == [1, 0, 0, 1, *[0] * 8, 1]
    assert SOME.histogram(1, 2, bin_width_ps=50, bins=2).tolist() == [3, 1]
    assert SOME.histogram(4, 2, bin_width_ps=1, bins=1).tolist() == [0]
    assert SOME.histogram(1, 4, bin_width_ps=1, bins=2).tolist() == [0, 0]


@pytest.mark.parametrize(
    ("window", "delay", "expected"), [(1, 0, 1), (6, 0, 1), (24, 0, 2), (23, 0, 1), (1, 3, 1), (1, 12, 1), (200, 0, 2)]
)
def test_a_coincidence_lies_within_the_window_around_a_tag(window: int, delay: int, expected: int) -> None:
    assert SOME.coincidences(1, 2, window_ps=window, delay_ps=delay) == expected


def test_coincidences_need_both() -> None:
    assert SOME.coincidences(1, 4, window_ps=1000) == SOME.coincidences(4, 1, window_ps=1000) == 0
    assert SOME.coincidences(3, 2, window_ps=799) == 0
    assert SOME.coincidences(3, 2, window_ps=800) == 1


def test_times_channels_and_rates() -> None:
    assert len(SOME) == 8
    assert SOME.of(1).tolist() == [10, 30]
    assert SOME.rate(2) == 5 * 1e6
    assert SOME.structured()[["time", "channel"]].tolist()[-1] == (500, 3)
    assert "array" not in repr(SOME)


def test_what_is_no_histogram_and_no_window_is_refused() -> None:
    for width, bins in ((0, 1), (1, 0), (1, 1 << 25)):
        with pytest.raises(hal.RangeError):
            SOME.histogram(1, 2, bin_width_ps=width, bins=bins)
    with pytest.raises(hal.RangeError):
        SOME.coincidences(1, 2, window_ps=0)
