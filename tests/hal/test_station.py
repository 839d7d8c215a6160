"""A station file: every mistake at once, each with its line or key and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

import tokaido.hal as hal
from tokaido.drivers.toshiba import _console
from tokaido_testing.transcripts import ReplayPeer, load

GOOD = """
[station]
name = "otemachi"
on_exit = "keep"

[devices.alice]
driver = "toshiba.transmitter"
serial_number = "TKTX0001"
control = "serial:{port}?baudrate=115200"

[links.koganei]
transmitter = "alice"
"""

BAD = """[station]
name = 7
on_exit = "maybe"
colour = "red"

[devices.alice]
driver = "toshiba.transmiter"
control = "serial:/dev/ttyUSB0"

[devices.bob]
driver = "toshiba.receiver"
control = "serial:/dev/ttyUSB1?baudrate=fast&speed=9"
timeout = "long"
contrl = "serial:/dev/ttyUSB1"

[devices.carol]
driver = "toshiba.receiver"

[device.dave]
"""


def test_all_mistakes_are_reported_at_once_with_their_lines() -> None:
    with pytest.raises(hal.ConfigurationError) as caught:
        hal.Station.from_text(BAD, source="lab.toml")
    text = str(caught.value)
    for line, key, word in (
        (2, "station.name", "text in quotes"),
        (3, "station.on_exit", '"safe" or "keep"'),
        (4, "station.colour", "unknown key"),
        (7, "devices.alice.driver", "installed are"),
        (13, "devices.bob.timeout", "seconds"),
        (14, "devices.bob.contrl", "unknown key"),
        (16, "devices.carol", "control is missing"),
        (19, "device", "unknown key"),
    ):
        assert any(
            mistake.startswith((f"line {line}, {key}:", f"{key}:")) and word in mistake
            for mistake in caught.value.mistakes
        ), (line, key, word, text)
    assert "baudrate" in text
    assert "speed" in text


def test_what_is_no_toml_says_where() -> None:
    with pytest.raises(hal.ConfigurationError, match="line 2"):
        hal.Station.from_text("[station]\nname = \n")
    with pytest.raises(hal.ConfigurationError, match="cannot be read"):
        hal.Station.from_file("/nowhere/lab.toml")


def test_a_device_is_opened_on_first_use_as_its_role(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = load("toshiba/transmitter-off")["exchange"][:2]
    monkeypatch.setattr(_console, "first_id", lambda: 0x00A000)
    with ReplayPeer(steps) as peer:
        path = tmp_path / "lab.toml"
        path.write_text(GOOD.format(port=peer.port))
        with hal.Station.from_file(path) as station:
            assert (station.name, station.on_exit, list(station.links)) == ("otemachi", "keep", ["koganei"])
            with pytest.raises(hal.ConfigurationError, match="has no device 'bob'"):
                station.device("bob", hal.Receiver)
            assert peer.left_over == [step["send"] for step in steps]
            alice = station.device("alice", hal.Transmitter)
            assert alice.state() is hal.UnitState.OFF
            assert station.device("alice", hal.Unit) is alice
            with pytest.raises(hal.ConfigurationError, match="not a Receiver"):
                station.device("alice", hal.Receiver)
    assert peer.left_over == []


def test_opening_says_all_that_is_wrong_with_the_resources() -> None:
    with pytest.raises(hal.ConfigurationError) as caught:
        hal.Transmitter.open("toshiba.transmitter", controll="serial:/dev/ttyUSB0", keys="serial:/dev/ttyUSB1")
    assert len(caught.value.mistakes) == 3
    with pytest.raises(hal.ConfigurationError, match=r"there is no 'acme\.transmitter'"):
        hal.Transmitter.open("acme.transmitter", control="serial:/dev/ttyUSB0")
    with pytest.raises(hal.ConfigurationError, match="no Transmitter"):
        hal.Transmitter.open("toshiba.receiver", control="serial:/dev/ttyUSB0")


def test_drivers_are_listed_without_being_imported() -> None:
    names = [entry.name for entry in hal.drivers()]
    assert "toshiba.transmitter" in names
    assert all(entry.distribution for entry in hal.drivers())
