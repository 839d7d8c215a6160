"""Two stations whose half-links meet, emulated together within the program; and why some do not fit together."""

from __future__ import annotations

from pathlib import Path

import pytest

import tokaido.hal as hal
from tokaido.emulators import EmulatedStation, EmulatedStations, bench_from_station, join_stations
from tokaido.emulators.ends import in_process_names
from tokaido.emulators.testing import Leftovers

EXAMPLES = Path(__file__).parents[2] / "examples"
FILES = EXAMPLES / "otemachi.toml", EXAMPLES / "koganei.toml"


def token_of(end: hal.HalfLink) -> int:
    lease = end.lease()
    lease.release()
    return lease.fencing_token


def test_two_nodes_have_one_span_between_them_and_each_its_own_devices() -> None:
    left = Leftovers()
    with EmulatedStations.from_files(*FILES, seed=1) as both:
        otemachi, koganei = both
        assert [(station.name, list(station.devices)) for station in both] == [
            ("otemachi", ["alice", "switch"]),
            ("koganei", ["bob", "switch"]),
        ]
        here, there = otemachi.half_link("field"), koganei.half_link("field")
        assert here.switches["switch"].identity().serial_number == "002414"
        assert there.switches["switch"].identity().serial_number == "002415"
        for end in (here, there):
            end.switches["switch"].connect(*end.paths["A"]["switch"][0])
            end.unit.select_link(end.peer, "A")
        assert (here.path(), there.path()) == ("A", "A")
        for end in (here, there):
            end.unit.wait_for(hal.UnitState.STANDBY, timeout=300)
            end.unit.start()
        for end in (here, there):
            end.unit.wait_for(*hal.RUNNING, timeout=300)
            assert end.status(keys_left=False) is hal.LinkStatus.ACTIVE
        both.emulation.order("cut", "A")
        assert there.wait_for_loss(60).reason == "LOS"
        with pytest.raises(hal.DeviceTimeoutError, match="did not lose its peer"):
            here.wait_for_loss(5)
        for end in (here, there):
            assert token_of(end) == 1  # each site has a file of its own
    assert left.found() == []
    both.close()


def test_the_halves_of_a_path_are_put_together_with_switches_of_one_name_told_apart() -> None:
    joined = join_stations(*(hal.Station.from_file(file) for file in FILES))
    link = joined.station.links["field"]
    assert link.paths == {
        "A": {"otemachi-switch": ((1, 1),), "koganei-switch": ((1, 1),)},
        "B": {"otemachi-switch": ((1, 2),), "koganei-switch": ((2, 1),)},
    }
    assert link.receiver_switches == ("koganei-switch",)


def test_devices_reach_their_safe_state_before_what_emulates_them_is_gone(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="tokaido.hal.changes")
    with EmulatedStations.from_files(*FILES) as both:
        for station, unit in zip(both, ("alice", "bob"), strict=True):
            station.on_exit = "safe"
            station.device(unit, hal.Unit)
    told = {record.getMessage().partition(":")[0] for record in caplog.records}
    assert told >= {"alice", "bob"}, caplog.text


def test_a_pair_that_does_not_fit_leaves_nothing_open() -> None:
    with pytest.raises(hal.ConfigurationError, match="its other end is at koganei"):
        EmulatedStation.from_file(FILES[0])
    with pytest.raises(hal.ConfigurationError, match=r"station.name: 2 stations are called otemachi"):
        EmulatedStations.from_files(FILES[0], FILES[0])
    with pytest.raises(hal.ConfigurationError, match="no fibre 'C'"):
        EmulatedStations.from_files(*FILES, events={1: "cut C"})
    assert in_process_names() == []


def test_a_half_link_to_a_real_site_does_not_keep_the_rest_from_being_emulated() -> None:
    text = "[devices.a]\ndriver = 'toshiba.transmitter'\ncontrol = 'serial:/dev/nowhere'\nemulator.warm = true\n"
    text += "[links.field]\nunit = 'a'\nneighbour = 'koganei'\n"
    with EmulatedStation.from_text(text) as station:
        end = station.half_link("field")
        assert end.status(keys_left=False) is hal.LinkStatus.PENDING
        assert end.path() is None


# --- the same without switches, as text ------------------------------------------------------------------------------

SITE = """
[station]
name = "{name}"
[devices.unit]
driver = "toshiba.{kind}"
control = "serial:/dev/nowhere"
{device}
[links.field]
unit = "unit"
neighbour = "{neighbour}"
{link}
"""


def site(name: str, kind: str, neighbour: str, link: str = "", *, device: str = "", more: str = "") -> hal.Station:
    text = SITE.format(name=name, kind=kind, neighbour=neighbour, link=link, device=device) + more
    return hal.Station.from_text(text, base=Path("/etc"))


FIBRE = "emulator = { length_km = 10, loss_db = 3 }\n"


def test_one_end_says_what_lies_between_and_whom_it_expects_there() -> None:
    one = site("one", "receiver", "two", "peer = 'TKTX0042'\npaths.A = {}\n" + FIBRE)
    two = site("two", "transmitter", "one", "paths.A = {}\n")
    joined = join_stations(one, two)
    assert joined.names == {"one": {"unit": "one-unit"}, "two": {"unit": "two-unit"}}
    assert joined.station.links == {
        "field": hal.LinkEntry("field", "two-unit", "one-unit", {"A": {}}, emulator={"length_km": 10, "loss_db": 3})
    }
    with bench_from_station(joined.station, at_resources=False) as bench:
        assert bench.devices["two-unit"].serial_number == "TKTX0042"
        assert bench.fibres["field"].loss_db == 3
        assert bench.path("two-unit", "one-unit") is not None


def test_a_line_of_three_nodes_is_one_bench() -> None:
    middle = """
    [devices.rx]
    driver = "toshiba.receiver"
    control = "serial:/dev/nowhere"
    [links.next]
    unit = "rx"
    neighbour = "three"
    """
    one = site("one", "transmitter", "two", FIBRE)
    two = site("two", "receiver", "one", more=middle)
    three = hal.Station.from_text(
        SITE.format(name="three", kind="transmitter", neighbour="two", link=FIBRE, device="").replace("field", "next")
    )
    links = join_stations(one, two, three).station.links
    assert [(link.transmitter, link.receiver) for link in links.values()] == [
        ("one-unit", "two-unit"),
        ("three-unit", "rx"),
    ]


BENCH = "[bench]\njoins = []\n"


@pytest.mark.parametrize(
    ("one", "two", "said"),
    [
        (
            site("one", "transmitter", "two"),
            site("two", "receiver", "one"),
            ["one: links.field: neither end says what lies between them"],
        ),
        (
            site("one", "transmitter", "two", FIBRE),
            site("two", "receiver", "one", FIBRE),
            ["one: links.field.emulator: stands at two, too; keep one of them"],
        ),
        (
            site("one", "transmitter", "two", FIBRE),
            site("two", "transmitter", "one"),
            ["one: links.field.unit: unit and unit of two are not a transmitter and a receiver"],
        ),
        (
            site("one", "transmitter", "two", FIBRE),
            site("two", "receiver", "three"),
            ["one: links.field: leads to two, whose half-link field leads to three"],
        ),
        (
            site("one", "transmitter", "two", FIBRE + "paths.A = {}\n"),
            site("two", "receiver", "one", "paths.A = {}\npaths.B = {}\n"),
            ["one: links.field.paths: has A, and two has A and B; both ends name the same paths"],
        ),
        (
            site("one", "transmitter", "two", "lease_file = 'x'\n" + FIBRE),
            site("two", "receiver", "one", "lease_file = 'x'\n"),
            ["one: links.field.lease_file: is that of two, too"],
        ),
        (
            site("one", "transmitter", "two", "peer = 'TKRX0007'\n" + FIBRE),
            site("two", "receiver", "one", device="serial_number = 'TKRX0001'"),
            ["two: devices.unit.serial_number: is TKRX0001, and a neighbour's half-link expects the peer TKRX0007"],
        ),
        (
            site("one", "transmitter", "two", more=BENCH),
            site("two", "receiver", "one", more=BENCH),
            ["bench: one and two have one each"],
        ),
        (
            site("one", "transmitter", "three", FIBRE),
            site("two", "receiver", "one"),
            [
                "one: links.field: its other end is at three; emulate the station file of that name",
                "two: links.field: leads to one, whose half-link field leads to three",
            ],
        ),
        (
            site("one", "transmitter", "two", FIBRE),
            hal.Station("two", {}),
            ["one: links.field: two has no half-link field; it has none"],
        ),
    ],
)
def test_stations_that_do_not_fit_together_are_told_why(one: hal.Station, two: hal.Station, said: list[str]) -> None:
    with pytest.raises(hal.ConfigurationError, match="one and two cannot be emulated together") as caught:
        join_stations(one, two)
    assert len(caught.value.mistakes) == len(said), caught.value.mistakes
    for mistake, start in zip(caught.value.mistakes, said, strict=True):
        assert mistake.startswith(start)
