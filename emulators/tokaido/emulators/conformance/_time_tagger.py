"""What is asked of a time tagger: its tags are the pulses that its model sees, and what is missing is said."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, cast

import numpy as np
import pytest

import tokaido.hal as hal
from tokaido.emulators.conformance._contract import Contract
from tokaido.emulators.conformance._questions import Order, Question

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from tokaido.emulators.conformance._rig import Rig

DURATION_S = 0.1
PULSES = 500
PERIOD_PS = 1_000_000_000
"""Between two pulses of a channel: they go on for five acquisitions."""
DELAY_PS = 40_000_000
"""How much later the second channel has its pulses."""
TOO_FAST_PS = 50_000
"""Between two pulses: 20 million per second, more than any tagger of this role carries."""
TOO_MANY = 2_000_000
"""So many that they go on for ten acquisitions."""
SHORT_S = 0.01


class TimeTaggerContract(Contract):
    """Pulses are fed to the model, and the tagger must tell each of them.

    A model of a tagger takes pulses by `feed(channel, times_ps)`, an array of times of its own to come, and tells its
    `threshold_v` where that can be set.
    """

    def questions(self, rig: Rig) -> list[Question]:
        """Identity, and the threshold where there is one."""
        device = opened(rig)
        if hal.TaggerCapability.THRESHOLD not in device.capabilities:
            return super().questions(rig)
        threshold = Question("threshold", lambda: round(device.threshold, 3), lambda: threshold_of(rig))
        return [threshold, *super().questions(rig), threshold]

    def orders(self, rig: Rig) -> Iterator[Order]:
        """Thresholds, each other than the one before."""
        device = opened(rig)
        if hal.TaggerCapability.THRESHOLD not in device.capabilities:
            return
        for step in itertools.count(1):
            wanted = round(0.2 + (step * 0.07) % 1, 2)
            yield Order(
                f"threshold = {wanted}",
                lambda wanted=wanted: setattr(device, "threshold", wanted),  # type: ignore[misc]
                wanted,
                lambda: threshold_of(rig),
                once="",
            )

    def state(self, rig: Rig) -> object:
        """The threshold, where there is one."""
        has = hal.TaggerCapability.THRESHOLD in rig.device.capabilities
        return threshold_of(rig) if has else None

    def test_it_counts_each_channel(self, rig: Rig) -> None:
        """As many pulses are counted as come, at the channels that they come to, and none without any."""
        device = tagging(rig)
        rig.unhurry()
        assert device.count(DURATION_S) == (0,) * device.channels
        fed(rig, 1)
        fed(rig, device.channels, every=2)
        counts = device.count(DURATION_S)
        of_first = round(DURATION_S * 1e12 / PERIOD_PS)
        assert counts[0] == pytest.approx(of_first, abs=1)
        assert counts[-1] == pytest.approx(of_first / 2, abs=1)
        assert sum(counts[1:-1]) == 0

    def test_its_tags_are_the_pulses(self, rig: Rig) -> None:
        """Every pulse has its tag, in order, with the times between them to a few steps."""
        device = tagging(rig)
        rig.unhurry()
        first = fed(rig, 1)
        second = fed(rig, 2, delay_ps=DELAY_PS)
        tags = device.tags(DURATION_S)
        assert tags.times.dtype == np.uint64
        assert np.all(np.diff(tags.times.astype(np.int64)) >= 0)
        assert tags.duration_ps == round(DURATION_S * 1e12)
        assert (tags.lost, tags.overflowed) == (0, False)
        assert set(tags.channels.tolist()) == {1, 2}
        for channel, sent in ((1, first), (2, second)):
            got = tags.of(channel).astype(np.int64)
            assert got.size == pytest.approx(DURATION_S * 1e12 / PERIOD_PS, abs=1)
            gaps = np.diff(got) - np.diff(sent)[: got.size - 1]
            assert np.abs(gaps).max() <= 2 * device.resolution_ps + 2_000
        assert tags.rate(1) == pytest.approx(1e12 / PERIOD_PS, rel=0.02)
        structured = tags.structured()
        assert structured["time"].tolist() == tags.times.tolist()

    def test_delays_and_coincidences_come_from_its_tags(self, rig: Rig) -> None:
        """The second channel comes as late as it was sent, and coincides with the first when that is taken off."""
        device = tagging(rig)
        rig.unhurry()
        fed(rig, 1)
        fed(rig, 2, delay_ps=DELAY_PS)
        tags = device.tags(DURATION_S)
        width = DELAY_PS // 4
        histogram = tags.histogram(1, 2, bin_width_ps=width, bins=8)
        assert histogram[3:5].sum() == histogram.sum() >= tags.of(2).size - 1
        window = round(8 * device.resolution_ps) + 4_000
        assert tags.coincidences(1, 2, window_ps=window, delay_ps=DELAY_PS) >= tags.of(1).size - 1
        assert tags.coincidences(1, 2, window_ps=window) == 0

    def test_a_long_silence_hides_no_time(self, rig: Rig) -> None:
        """The time of a pulse is right after a second without one."""
        device = tagging(rig)
        rig.unhurry()
        moment_ps = 1_200_000_000_000
        rig.witness(lambda model: model.feed(1, [model.now_ns * 1000 + at for at in (10**9, 10**9 + moment_ps)]))
        times = device.tags(1.5).of(1).astype(np.int64)
        assert times.size == 2
        assert times[1] - times[0] == pytest.approx(moment_ps, abs=2 * device.resolution_ps + 2_000)

    def test_what_is_not_kept_is_counted(self, rig: Rig) -> None:
        """Of more tags than are wanted the first are kept, and the others counted."""
        device = tagging(rig)
        rig.unhurry()
        fed(rig, 1)
        tags = device.tags(DURATION_S, most=10)
        assert len(tags) == 10
        assert tags.overflowed
        assert tags.lost == pytest.approx(DURATION_S * 1e12 / PERIOD_PS - 10, abs=1)

    def test_too_many_pulses_are_said(self, rig: Rig) -> None:
        """Where not every pulse has a tag, the tags do not pass for whole; afterwards they are whole again."""
        device = tagging(rig)
        rig.unhurry()
        fed(rig, 1, number=TOO_MANY, period_ps=TOO_FAST_PS)
        got = rig.call(lambda: device.tags(SHORT_S), exchanges=10)
        sent = SHORT_S * 1e12 / TOO_FAST_PS
        assert isinstance(got, hal.TokaidoError) or got.overflowed or len(got) + got.lost >= sent - 1
        rig.clock.wait(TOO_MANY * TOO_FAST_PS * 1e-12)
        fed(rig, 2)
        assert not device.tags(DURATION_S).overflowed

    def test_a_stream_is_piece_by_piece(self, rig: Rig) -> None:
        """Each piece is as one acquisition, and the next follows."""
        rig.unhurry()
        fed(rig, 1)
        stream = tagging(rig).stream(DURATION_S / 2)
        for _ in range(3):
            assert len(next(stream)) == pytest.approx(DURATION_S / 2 * 1e12 / PERIOD_PS, abs=1)

    def test_a_duration_that_is_none_is_refused_before_anything_is_sent(self, rig: Rig) -> None:
        """Neither 0 s nor more than the longest, no number of tags below 1."""
        device = opened(rig)
        for call in (
            lambda: device.count(0.0),
            lambda: device.tags(1.01 * device.longest),
            lambda: device.tags(float("nan")),
            lambda: device.tags(DURATION_S, most=0),
            lambda: device.count(cast("float", "x")),
        ):
            with rig.listening() as written, pytest.raises((hal.RangeError, hal.ValueTypeError)):
                call()
            assert written == []

    def test_a_threshold_is_set_or_unsupported(self, rig: Rig) -> None:
        """The threshold reads back and is in force, where it is declared."""
        device = opened(rig)
        got = rig.call(lambda: device.threshold)
        if hal.TaggerCapability.THRESHOLD not in device.capabilities:
            assert isinstance(got, hal.UnsupportedError)
            return
        for wanted in (0.5, -0.4, 1.25):
            device.threshold = wanted
            assert device.threshold == pytest.approx(wanted, abs=0.01)
            assert threshold_of(rig) == pytest.approx(wanted, abs=0.01)

    def test_its_safe_state_is_the_one_it_is_in(self, rig: Rig) -> None:
        """It sends nothing: its safe state neither."""
        with rig.listening() as written:
            opened(rig).apply_safe_state()
        assert written == []


def tagging(rig: Rig) -> hal.TimeTagger:
    """Return the tagger; a way to it that carries lines alone, as a device server does, skips the test and says so."""
    device = opened(rig)
    if rig.plan.through is not None:
        try:
            device.tags(SHORT_S)
        except hal.UnsupportedError as error:
            pytest.skip(f"this way carries no tags: {error}")
    return device


def opened(rig: Rig) -> hal.TimeTagger:
    """Return the driver as the tagger that it is."""
    return cast("hal.TimeTagger", rig.device)


def fed(
    rig: Rig, channel: int, *, delay_ps: int = 0, every: int = 1, number: int = PULSES, period_ps: int = PERIOD_PS
) -> NDArray[np.int64]:
    """Feed pulses from half a period on, `every` so many periods, and return their times in ps after now."""
    times = np.arange(0, number, every, dtype=np.int64) * period_ps + period_ps // 2 + delay_ps
    rig.witness(lambda model: model.feed(channel, times + model.now_ns * 1000))
    return times


def threshold_of(rig: Rig) -> float:
    """Return the threshold of the model, in V."""
    return round(float(rig.witness(lambda model: model.threshold_v)), 3)
