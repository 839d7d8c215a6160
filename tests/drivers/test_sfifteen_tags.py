"""The words of a TDC1, written by hand from its page, and what the driver makes of them; no emulator."""

from __future__ import annotations

import struct
import threading
from typing import TYPE_CHECKING, Any

import pytest

import tokaido.hal as hal
from tokaido_testing.apt import HexPeer

if TYPE_CHECKING:
    from collections.abc import Callable

DUMMY = 0x10
TURN = 1 << 27
TAGS_20_MS = "INPKT;time 20;timestamp;mode?;counts?"


def line(text: str) -> str:
    return f"{text}\r\n".encode("ascii").hex()


def word(ticks: int, bits: int) -> bytes:
    return struct.pack("<I", ticks % TURN << 5 | bits)


def acquisition(words: bytes, *, sent: str = TAGS_20_MS, behind: str = "0") -> list[dict[str, Any]]:
    """Return the exchanges of one acquisition of tags."""
    return [
        {"send": line(sent), "reply": [line("3"), words.hex()]},
        {"send": line("singles;mode?"), "reply": [line(behind)]},
    ]


def opened(
    exchanges: list[dict[str, Any]], use: Callable[[hal.TimeTagger], None], *, timeout: float = 2.0
) -> list[str]:
    """Let a driver meet a box that answers so, and return what it sent that was not expected."""
    named = [{"send": line("*IDN?"), "reply": [line("S-Fifteen TDC1")]}]
    with (
        HexPeer(named + exchanges) as peer,
        hal.TimeTagger.open("sfifteen.tagger", control=f"serial:{peer.address}", timeout=timeout) as tagger,
    ):
        use(tagger)
        assert peer.left_over == []
        return peer.unexpected


def test_words_are_tags_in_ps_at_their_channels() -> None:
    words = word(5, 0b0001) + word(6, 0b1010) + word(2_000_000, DUMMY) + word(9_999_999, 0b0100)

    def use(tagger: hal.TimeTagger) -> None:
        tags = tagger.tags(0.02)
        assert tags.times.tolist() == [10_000, 12_000, 12_000, 19_999_998_000]
        assert tags.channels.tolist() == [1, 2, 4, 3]
        assert (tags.duration_ps, tags.lost, tags.overflowed) == (20_000_000_000, 0, False)
        assert tags.structured().tolist()[1] == (12_000, 2)

    assert opened(acquisition(words), use) == []


def test_a_turn_of_the_clock_is_counted_with_and_without_events() -> None:
    sent = "INPKT;time 410;timestamp;mode?;counts?"
    words = word(TURN // 2, DUMMY) + word(TURN, DUMMY) + word(TURN + 7, 1) + word(TURN + TURN // 2 - 10, DUMMY)

    def use(tagger: hal.TimeTagger) -> None:
        tagger.transport.timeout_s = 5
        assert tagger.tags(0.41).times.tolist() == [2_000 * (TURN + 7)]

    assert opened(acquisition(words, sent=sent), use) == []


def test_no_event_is_no_tag() -> None:
    def use(tagger: hal.TimeTagger) -> None:
        assert len(tagger.tags(0.02)) == 0

    assert opened(acquisition(b""), use) == []


def test_of_more_tags_than_are_kept_the_rest_is_counted() -> None:
    words = b"".join(word(1000 * i, 0b0011) for i in range(1, 11))

    def use(tagger: hal.TimeTagger) -> None:
        tags = tagger.tags(0.02, most=5)
        assert tags.times.tolist() == [2_000_000, 2_000_000, 4_000_000, 4_000_000]  # a fifth would be half a moment
        assert (tags.lost, tags.overflowed) == (16, True)

    assert opened(acquisition(words), use) == []


@pytest.mark.parametrize(("in_a_ms", "crowded"), [(3_000, False), (3_700, True)])
def test_as_many_words_as_the_line_carries_are_said(in_a_ms: int, crowded: bool) -> None:
    words = b"".join(word(500_000 + 100 * i, 1) for i in range(in_a_ms))

    def use(tagger: hal.TimeTagger) -> None:
        tags = tagger.tags(0.02)
        assert len(tags) == in_a_ms
        assert (tags.overflowed, tags.lost) == (crowded, 0)

    assert opened(acquisition(words), use) == []


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(b"".join(word(1_000_000 - 1000 * i, 1) for i in range(40)), id="one turn after the other"),
        pytest.param(word(10_000_010, 1), id="later than the end"),
        pytest.param(word(500, 1) + word(100, 1), id="back in time"),
    ],
)
def test_words_that_fall_apart_are_no_tags(words: bytes) -> None:
    def use(tagger: hal.TimeTagger) -> None:
        with pytest.raises(hal.ProtocolError):
            tagger.tags(0.02)

    assert opened(acquisition(words), use) == []


@pytest.mark.parametrize("missing", [1, 2, 3])
def test_a_word_that_is_not_whole_is_said(missing: int) -> None:
    words = b"".join(word(1000 * i, 1) for i in range(1, 40))[missing:]

    def use(tagger: hal.TimeTagger) -> None:
        with pytest.raises(hal.ProtocolError, match=f"{4 - missing} bytes are left of a word"):
            tagger.tags(0.02)

    assert opened(acquisition(words)[:1], use) == []


def test_a_silence_that_no_word_measures_is_no_time() -> None:
    sent = "INPKT;time 600;timestamp;mode?;counts?"

    def use(tagger: hal.TimeTagger) -> None:
        with pytest.raises(hal.ProtocolError, match=r"1 words came, whose times end at 0\.000 s of 0\.6 s"):
            tagger.tags(0.6)

    assert opened(acquisition(word(7, 1), sent=sent), use) == []


def test_another_mode_than_that_of_tags_is_said() -> None:
    def use(tagger: hal.TimeTagger) -> None:
        with pytest.raises(hal.ProtocolError, match="'3' was to come before the tags"):
            tagger.tags(0.02)

    assert opened([{"send": line(TAGS_20_MS), "reply": [line("0")]}], use) == []


def test_a_thread_that_comes_meanwhile_is_told() -> None:
    said: list[hal.TokaidoError] = []

    def use(tagger: hal.TimeTagger) -> None:
        def ask() -> None:
            try:
                tagger.count(0.01)
            except hal.TokaidoError as error:
                said.append(error)

        other = threading.Timer(0.1, ask)
        other.start()
        tagger.tags(0.5)
        other.join()
        assert isinstance(said[0], hal.DeviceBusyError)

    sent = "INPKT;time 500;timestamp;mode?;counts?"
    words = word(TURN // 2, DUMMY) + word(TURN, DUMMY) + word(TURN + TURN // 2, DUMMY)
    assert opened(acquisition(words, sent=sent), use, timeout=0.2) == []


def test_another_box_is_refused() -> None:
    named = [{"send": line("*IDN?"), "reply": [line("S-Fifteen SPD")]}]
    with HexPeer(named) as peer, pytest.raises(hal.WrongDeviceError, match="names no TDC1"):
        hal.TimeTagger.open("sfifteen.tagger", control=f"serial:{peer.address}", timeout=1)
