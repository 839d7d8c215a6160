"""The emulated tagger against golden transcripts, and the words that it sends."""

from __future__ import annotations

import contextlib
import threading

import numpy as np
import pytest

import tokaido.hal as hal
from tokaido.emulators import launch
from tokaido.emulators.sfifteen import TaggerModel
from tokaido_testing.model_transcripts import for_models, replay
from tokaido_testing.transcripts import load

MS_NS = 1_000_000


def say(model: TaggerModel, line: str) -> str:
    model.receive("control", f"{line}\r\n".encode())
    return model.take("control").decode().strip()


def words(model: TaggerModel, ms: int, steps: int = 1) -> list[tuple[int, int]]:
    """Acquire for so long and return what was sent: the 27 bits of time, and the five others."""
    say(model, f"time {ms};timestamp;counts?")
    begun = model.now_ns
    sent = b""
    for step in range(1, steps + 1):
        model.advance(begun + ms * MS_NS * step // steps)
        sent += model.take("control")
    raw = np.frombuffer(sent, "<u4")
    return [(int(word) >> 5, int(word) & 0x1F) for word in raw]


@pytest.mark.parametrize("name", for_models("sfifteen", "sfifteen.tagger"))
def test_the_model_answers_as_the_transcript_says(name: str) -> None:
    transcript = load(name)
    replay(TaggerModel(**transcript["box"]), transcript, "serial")


@pytest.mark.parametrize("steps", [1, 3, 40])
def test_a_pulse_is_a_word_and_pulses_at_one_moment_are_one(steps: int) -> None:
    model = TaggerModel(jitter_ps=0.0)
    model.feed(1, [5_000, 3_000_001_000])
    model.feed(3, [3_000_000_000, 21_000_000_000])
    assert words(model, 20, steps) == [(2, 0b0001), (1_500_000, 0b0101)]
    assert words(model, 2) == [(500_000, 0b0100)]  # the times begin again


def test_silence_is_broken_before_the_clock_turns() -> None:
    half = 1 << 26
    assert words(TaggerModel(), 500) == [(half, 0x10), (0, 0x10), (half, 0x10)]
    assert words(TaggerModel(dummies=False), 500) == []
    model = TaggerModel(jitter_ps=0.0)
    model.feed(2, [200_000_000_000])
    assert words(model, 400, 7) == [(half, 0x10), (100_000_000, 0b0010), (100_000_000 + half - 2 * half, 0x10)]


def test_what_the_line_does_not_carry_is_lost_and_counted() -> None:
    model = TaggerModel(jitter_ps=0.0)
    model.feed(1, list(range(0, 4_000_000_000, 100_000)))  # 10000 a ms, for 4 ms
    assert len(words(model, 10)) == 4 * 4000
    assert model.lost == 4 * 6000


@pytest.mark.thorough
def test_a_host_that_does_not_read_loses_tags_and_no_memory() -> None:
    model = TaggerModel()
    say(model, "time 60000;timestamp;counts?")
    for second in range(3):
        model.feed(1, [second * 10**12 + at for at in range(0, 10**12, 400_000)])
        for ms in range(1, 101):
            model.advance(second * 10**9 + ms * 10 * MS_NS)
    assert len(model.take("control")) <= 1 << 24
    assert model.lost > 0


def test_jitter_moves_each_time() -> None:
    model = TaggerModel(jitter_ps=20_000.0)
    sent = np.arange(1, 2001, dtype=np.int64) * 1_000_000
    model.feed(1, sent.tolist())
    got = np.array([time for time, _ in words(model, 10)], np.int64) * 2_000
    assert (got - sent).std() == pytest.approx(20_000, rel=0.1)


def test_pulses_are_counted_while_it_counts_and_at_no_other_time() -> None:
    model = TaggerModel(jitter_ps=0.0)
    model.feed(4, [at * 1_000_000_000 for at in range(100)])
    model.advance(10 * MS_NS)
    say(model, "time 20;singles;counts?")
    model.advance(30 * MS_NS)
    assert model.take("control") == b"0 0 0 20\r\n"


@pytest.mark.parametrize("line", ["NEG -0.5", "POS 2.5"])
def test_a_threshold_that_no_pulse_passes_sees_none(line: str) -> None:
    model = TaggerModel()
    say(model, line)
    model.feed(1, [1000])
    assert words(model, 2) == []


def test_a_deaf_one_sees_nothing() -> None:
    model = TaggerModel()
    model.add_fault("deaf")
    model.feed(1, [1000])
    assert words(model, 2) == []


@pytest.mark.parametrize("options", [{"threshold": 5.0}, {"jitter_ps": -1.0}])
def test_an_option_that_does_not_fit_is_refused(options: dict[str, float]) -> None:
    with pytest.raises(hal.ConfigurationError):
        TaggerModel(**options)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def test_a_channel_takes_one_plug() -> None:
    model = TaggerModel()
    model.plug_in(1, lambda _: np.empty(0, np.int64))
    for channel in (1, 0, 5):
        with pytest.raises(hal.ConfigurationError):
            model.plug_in(channel, lambda _: np.empty(0, np.int64))


def test_a_line_that_is_lost_and_comes_back_gives_no_tags_of_before() -> None:
    with (
        launch("sfifteen.tagger", wire_end="pty") as emulator,
        hal.TimeTagger.open("sfifteen.tagger", timeout=2, **emulator.resources) as tagger,
    ):

        def pull() -> None:
            emulator.unplug()
            emulator.replug()

        hand = threading.Timer(0.1, pull)
        hand.start()
        with pytest.raises(hal.TransportError):
            tagger.tags(0.5)
        hand.join()
        with contextlib.suppress(hal.TransportError):
            _ = tagger.threshold
        assert tagger.threshold == 1.0
        assert len(tagger.tags(0.05)) == 0
