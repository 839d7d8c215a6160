"""What a replayed device answers, and to whom."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

import tokaido.hal as hal
from tokaido.emulators.transcripts import Script, Transcript, WireRecord
from tokaido.hal.transports import LineCodec, Resource, open_transport


def script(*said: tuple[str, str], order: str = "any") -> Script:
    records = []
    for number, (sent, received) in enumerate(said):
        records.append(WireRecord(float(number), "sent", sent.encode(), len(sent)))
        if received:
            records.append(WireRecord(number + 0.25, "received", received.encode(), len(received)))
    return Script(Transcript(records=tuple(records)), order="strict" if order == "strict" else "any")


def answers(device: Script, *sent: str) -> list[str]:
    return [b"".join(data for _, data in device.take(line.encode())).decode() for line in sent]


def test_a_question_that_comes_again_gets_the_next_answer_and_then_the_last() -> None:
    device = script(("S?\n", "1\n"), ("T?\n", "20\n"), ("S?\n", "2\n"))
    assert answers(device, "S?\n", "S?\n", "S?\n", "T?\n") == ["1\n", "2\n", "2\n", "20\n"]


def test_strict_order_answers_the_very_next_alone(caplog: pytest.LogCaptureFixture) -> None:
    device = script(("S?\n", "1\n"), ("T?\n", "20\n"), order="strict")
    with caplog.at_level(logging.WARNING, "tokaido.emulators.transcripts"):
        assert answers(device, "T?\n", "S?\n", "T?\n") == ["", "1\n", "20\n"]
    assert "T?" in caplog.text


def test_what_the_transcript_does_not_have_is_not_answered(caplog: pytest.LogCaptureFixture) -> None:
    device = script(("S?\n", "1\n"))
    with caplog.at_level(logging.WARNING, "tokaido.emulators.transcripts"):
        assert answers(device, "X?\n", "S?\n") == ["", "1\n"]
    assert "X?" in caplog.text


def test_a_line_may_come_in_pieces_and_two_at_once() -> None:
    device = script(("SOURCE?\r\n", "1\r\n"), ("T?\r\n", "20\r\n"))
    assert answers(device, "SOUR", "CE?\r", "\nT?\r\n") == ["", "", "1\r\n20\r\n"]


def test_a_question_that_begins_another_is_not_taken_for_it() -> None:
    device = script(("A", "short"), ("AB", "long"))
    assert answers(device, "AB") == ["long"]


def test_a_transport_that_is_opened_again_goes_on_where_it_was(tmp_path: Path) -> None:
    file = tmp_path / "t.toml"
    file.write_text(
        '[transcript]\nversion = 1\n[[wire]]\nat_s = 0\nsent = "A?\\n"\n'
        '[[wire]]\nat_s = 1\nsent = "A?\\n"\n[[wire]]\nat_s = 1\nreceived = "a\\n"\n'
        '[[wire]]\nat_s = 2\nsent = "B?\\n"\n[[wire]]\nat_s = 2\nreceived = "b\\n"\n',
        encoding="ascii",
    )
    with open_transport(Resource.parse(f"replay:{file}"), LineCodec(marker="A?"), timeout_s=0.2) as transport:
        with pytest.raises(hal.DeviceTimeoutError):
            transport.query("A?")
        assert transport.query("B?") == "b"
        assert transport.query("A?") == "a"


def test_answers_take_their_time_where_that_is_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "t.toml"
    file.write_text(
        '[transcript]\nversion = 1\n[[wire]]\nat_s = 0\nsent = "A?\\n"\n[[wire]]\nat_s = 600\nreceived = "a\\n"\n',
        encoding="ascii",
    )
    slow = open_transport(Resource.parse(f"replay:{file}?pace=recorded"), LineCodec(), timeout_s=0.05)
    with slow, pytest.raises(hal.DeviceTimeoutError):
        slow.query("A?")
    with open_transport(Resource.parse(f"replay:{file}"), LineCodec(), timeout_s=0.05) as transport:
        assert transport.query("A?") == "a"


def test_a_file_that_is_not_there_is_told_when_it_is_opened(tmp_path: Path) -> None:
    with pytest.raises(hal.ConfigurationError, match="cannot be read"):
        hal.OpticalSwitch.open("dicon.selector", control=f"replay:{tmp_path / 'absent.toml'}")
