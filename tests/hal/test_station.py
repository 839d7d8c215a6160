"""A station file: every mistake at once, each with its line or key and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

import tokaido.hal as hal
from tokaido_testing.transcripts import ReplayPeer, load

GOOD = """
[station]
name = "otemachi"
on_exit = "keep"

[devices.alice]
driver = "toshiba.transmitter"
serial_number = "TKTX0001"
control = "serial:{port}?baudrate=115200"

[devices.bob]
driver = "toshiba.receiver"
control = "serial:/dev/nowhere"

[devices.west]
driver = "polatis.matrix"
control = "serial:/dev/nowhere"

[devices.east]
driver = "polatis.matrix"
control = "serial:/dev/nowhere"

[links.koganei]
transmitter = "alice"
receiver = "bob"
lease_file = "leases.sqlite"

[links.koganei.paths.A]
west = [[1, 1]]
east = [[3, 1], [4, 2]]

[links.koganei.paths."B.2"]
west = [[1, 2]]
east = [[5, 1], [6, 2]]

[links.koganei.emulator]
length_km = 45

[bench]
fibres = {{ A = 45 }}
"""

BAD_LINKS = """[devices.alice]
driver = "toshiba.transmitter"
control = "serial:/dev/ttyUSB0"

[devices.bob]
driver = "toshiba.receiver"
control = "serial:/dev/ttyUSB1"

[devices.west]
driver = "polatis.matrix"
control = "serial:/dev/ttyUSB2"

[devices.east]
driver = "polatis.matrix"
control = "serial:/dev/ttyUSB3"

[links.one]
transmitter = "bob"
receiver = "carol"
lease_file = 7
length_km = 45
load_preshared_key = true
colour = "red"

[links.one.paths.A]
west = [[1, 1], [1, 2], [2, 2]]
east = [[0, 1]]

[links.one.paths."fibre B"]
west = [[1, 1, 1]]
bob = [[1, 1]]

[links.two]
transmitter = "alice"
receiver = "bob"
emulator = 1

[links.two.paths]
C = { west = [[1, 1], [2, 2]], east = [[1, 1]] }
D = { east = [[1, 1]], west = [[2, 2], [1, 1]] }
E = { west = [[1, true]], east = [] }
F = {}

[links.three]
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
        (7, "devices.alice.driver", "Did you mean toshiba.transmitter? Installed are"),
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


def test_a_device_is_opened_on_first_use_as_its_role(tmp_path: Path) -> None:
    steps = load("toshiba/transmitter-off")["exchange"][:2]
    with ReplayPeer(steps) as peer:
        path = tmp_path / "lab.toml"
        path.write_text(GOOD.format(port=peer.port))
        nonces = {3: bytes.fromhex("00A000"), 4: bytes(4)}
        with hal.Station.from_file(path, nonces=nonces.__getitem__) as station:
            assert (station.name, station.on_exit, list(station.links)) == ("otemachi", "keep", ["koganei"])
            with pytest.raises(hal.ConfigurationError, match="has no device 'carol'"):
                station.device("carol", hal.Receiver)
            assert peer.left_over == [step["send"] for step in steps]
            alice = station.device("alice", hal.Transmitter)
            assert alice.state() is hal.UnitState.OFF
            assert station.device("alice", hal.Unit) is alice
            with pytest.raises(hal.ConfigurationError, match="not a Receiver"):
                station.device("alice", hal.Receiver)
    assert peer.left_over == []


def test_links_and_the_bench_are_read() -> None:
    station = hal.Station.from_text(GOOD.format(port="/dev/nowhere"), base=Path("/etc/tokaido"))
    assert station.links == {
        "koganei": hal.LinkEntry(
            name="koganei",
            transmitter="alice",
            receiver="bob",
            paths={
                "A": {"west": ((1, 1),), "east": ((3, 1), (4, 2))},
                "B.2": {"west": ((1, 2),), "east": ((5, 1), (6, 2))},
            },
            lease_file=Path("/etc/tokaido/leases.sqlite"),
            emulator={"length_km": 45},
        )
    }
    assert station.bench == {"fibres": {"A": 45}}
    with pytest.raises(hal.ConfigurationError, match=r"no link 'field'\. It has koganei"):
        station.link("field")


def test_all_mistakes_in_links_are_reported_at_once_with_their_lines() -> None:
    with pytest.raises(hal.ConfigurationError) as caught:
        hal.Station.from_text(BAD_LINKS)
    mistakes = list(caught.value.mistakes)
    for start, word in (
        ("line 18, links.one.transmitter:", "bob does not fill the role Transmitter"),
        ("line 19, links.one.receiver:", "there is no device 'carol'"),
        ("line 20, links.one.lease_file:", "must name a file"),
        ("line 21, links.one.length_km:", "belongs to the emulator: [links.one.emulator]"),
        ("line 22, links.one.load_preshared_key:", "belongs to the emulator: [links.one.emulator]"),
        ("line 23, links.one.colour:", "unknown key"),
        ("line 26, links.one.paths.A.west:", "input 1 stands twice"),
        ("line 26, links.one.paths.A.west:", "output 2 stands twice"),
        ("line 27, links.one.paths.A.east:", "counted from 1"),
        ("line 29, links.one.paths.fibre B:", "is not a name of a path"),
        ("line 29, links.one.paths.fibre B:", "each path says what it needs of every switch"),
        ("line 30, links.one.paths.fibre B.west:", "must be a list of [input, output]"),
        ("line 31, links.one.paths.fibre B.bob:", "bob does not fill the role OpticalSwitch"),
        ("line 36, links.two.emulator:", "must be a table"),
        ("line 40, links.two.paths.D:", "the same pairs as path C"),
        ("line 41, links.two.paths.E.west:", "counted from 1"),
        ("line 41, links.two.paths.E.east:", "must be a list of [input, output]"),
        ("line 42, links.two.paths.F:", "must be a table of pairs by switch"),
        ("line 42, links.two.paths.F:", "names no switch"),
        ("line 44, links.three:", "transmitter is missing"),
        ("line 44, links.three:", "receiver is missing"),
    ):
        found = [mistake for mistake in mistakes if mistake.startswith(start) and word in mistake]
        assert found, (start, word, mistakes)
        mistakes.remove(found[0])
    assert mistakes == []


def test_opening_says_all_that_is_wrong_with_the_resources() -> None:
    with pytest.raises(hal.ConfigurationError) as caught:
        hal.Transmitter.open("toshiba.transmitter", controll="serial:/dev/ttyUSB0", keys="serial:/dev/ttyUSB1")
    assert len(caught.value.mistakes) == 3
    with pytest.raises(hal.ConfigurationError, match=r"there is no 'acme\.transmitter'"):
        hal.Transmitter.open("acme.transmitter", control="serial:/dev/ttyUSB0")
    with pytest.raises(hal.ConfigurationError, match="does not fill the role Transmitter"):
        hal.Transmitter.open("toshiba.receiver", control="serial:/dev/ttyUSB0")


def test_drivers_are_listed_without_being_imported() -> None:
    names = [entry.name for entry in hal.drivers()]
    assert "toshiba.transmitter" in names
    assert all(entry.distribution for entry in hal.drivers())


def test_the_station_file_of_the_how_to_is_right() -> None:
    page = Path(__file__).parents[2] / "docs" / "how-to" / "fail-over.md"
    text = page.read_text(encoding="utf-8").partition("```toml\n")[2].partition("```")[0]
    station = hal.Station.from_text(text, base=Path("/etc/tokaido"))
    assert list(station.links["field"].paths) == ["A", "B"]
    assert station.on_exit == "keep"
