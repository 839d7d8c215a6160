"""One end of a link: what its own unit and switches tell, and what a station file says of it."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

import tokaido.hal as hal
from tokaido.hal import LinkStatus, UnitState
from tokaido_testing.toy_link import PATHS, Fault, World

HERE = {path: {"west": needs["west"]} for path, needs in PATHS.items()}
"""What the paths need of the transmitter's site."""


@pytest.fixture
def world() -> World:
    return World()


def half_of(world: World, entry: hal.HalfLinkEntry) -> hal.HalfLink:
    unit = {"alice": world.transmitter, "bob": world.receiver}[entry.unit]
    return hal.HalfLink(entry, unit, {name: world.switches[name] for name in entry.switches}, clock=world.clock)


@pytest.fixture
def here(world: World, tmp_path: Path) -> hal.HalfLink:
    entry = hal.HalfLinkEntry("field", "alice", "koganei", "RX-1", HERE, lease_file=tmp_path / "leases.sqlite")
    return half_of(world, entry)


@pytest.fixture
def there(world: World) -> hal.HalfLink:
    return half_of(world, hal.HalfLinkEntry("field", "bob", "otemachi", "TX-1", {"A": {}, "B": {}}))


def test_it_names_its_neighbour_and_the_path_that_its_own_switches_join(here: hal.HalfLink, world: World) -> None:
    assert (here.name, here.neighbour, here.peer, here.unit) == ("field", "koganei", "RX-1", world.transmitter)
    assert list(here.switches) == ["west"]
    assert here.pairs("west") == {(1, 1), (1, 2)}
    assert here.path() == "A"
    world.maps["east"] = {}
    assert here.path() == "A"  # that is the other end's
    world.maps["west"] = {1: 2}
    assert here.path() == "B"
    world.maps["west"] = {5: 5}
    assert here.path() is None
    assert repr(here) == "<HalfLink 'field': alice to koganei, paths A, B>"


def test_a_site_without_switches_cannot_tell_which_of_several_paths_is_joined(
    there: hal.HalfLink, world: World
) -> None:
    assert there.joined_paths() == ("A", "B")
    assert there.path() is None
    assert half_of(world, hal.HalfLinkEntry("field", "bob", "otemachi", paths={"A": {}})).path() == "A"
    assert half_of(world, hal.HalfLinkEntry("field", "bob", "otemachi")).path() is None


def test_a_whole_link_has_two_halves_the_transmitter_s_first(world: World) -> None:
    first, second = world.link().halves
    assert (first.unit, second.unit) == (world.transmitter, world.receiver)
    assert (list(first.switches), list(second.switches)) == (["west", "east"], [])
    assert (dict(first.paths), dict(second.paths)) == (PATHS, {"A": {}, "B": {}})
    world.receiver_switches = ("east",)
    first, second = world.link().halves
    assert (list(first.switches), list(second.switches)) == (["west"], ["east"])
    assert (first.path(), second.path(), first.neighbour) == ("A", "A", "")
    world.maps["east"] = {4: 1}
    assert (first.path(), second.path(), world.link().path()) == ("A", "B", None)


def test_the_status_from_one_end_is_that_of_the_link_as_far_as_its_unit_knows(here: hal.HalfLink, world: World) -> None:
    assert here.status(keys_left=False) is LinkStatus.ACTIVE
    world.units["bob"].state = "OFF"
    assert here.status(keys_left=False) is LinkStatus.ACTIVE  # it has not noticed
    world.units["alice"].state = "AUTH"
    assert here.status(keys_left=True) is LinkStatus.PASSIVE
    assert here.status(keys_left=False) is LinkStatus.PENDING  # it cannot know that the other one is off
    world.units["alice"].state = "FAULT"
    assert here.status(keys_left=False) is LinkStatus.OFF


def test_the_less_able_of_both_ends_answers_is_the_status_of_the_link() -> None:
    order = [LinkStatus.OFF, LinkStatus.PENDING, LinkStatus.PASSIVE, LinkStatus.ACTIVE]
    for transmitter, receiver, keys_left in itertools.product(UnitState, UnitState, (False, True)):
        seen = [LinkStatus.seen_from(unit, keys_left=keys_left) for unit in (transmitter, receiver)]
        whole = LinkStatus.of(transmitter, receiver, keys_left=keys_left)
        assert whole is min(seen, key=order.index), (transmitter, receiver, keys_left)


def test_a_receiver_tells_that_its_light_is_lost(there: hal.HalfLink, world: World) -> None:
    with pytest.raises(hal.DeviceTimeoutError, match="did not lose its light"):
        there.wait_for_loss(1)
    world.whole = set()
    loss = there.wait_for_loss(1)
    assert (loss.reason, loss.state) == ("LOS", UnitState.RUN)
    world.fault = Fault("bob", world.counts["bob"], "dead")
    with pytest.raises(hal.NotConnectedError):
        there.wait_for_loss(10)


def test_a_transmitter_tells_of_its_peer_s_silence_and_of_no_light(
    here: hal.HalfLink, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.whole = set()
    with pytest.raises(hal.DeviceTimeoutError, match="did not lose its peer"):
        here.wait_for_loss(1)
    silent = hal.Alarm("PEER_UNREACHABLE", hal.Severity.MAJOR, latched=False, age_s=0.5)
    monkeypatch.setattr(type(world.transmitter), "alarms", lambda self: (silent,))
    assert here.wait_for_loss(1).reason == "PEER_UNREACHABLE"
    monkeypatch.undo()
    world.units["alice"].state = "SECURITY_HOLD"
    assert here.wait_for_loss(1).reason == "SECURITY_HOLD"


def test_a_lease_holds_the_link_s_name_and_the_devices_of_this_end(
    here: hal.HalfLink, there: hal.HalfLink, tmp_path: Path
) -> None:
    lease = here.lease(holder="the node")
    assert lease.names == ("device.alice", "device.west", "link.field")
    with pytest.raises(hal.LeaseHeldError, match="held by the node"):
        here.lease()
    book = hal.LeaseBook(tmp_path / "others.sqlite")
    assert there.lease(leases=book).fencing_token == 1  # the other site counts for itself
    lease.release()
    again = here.lease()
    assert again.fencing_token == lease.fencing_token + 1
    again.release()
    with pytest.raises(hal.ConfigurationError, match=r"Give \[links.field\] a lease_file"):
        there.lease()


# --- the station file -------------------------------------------------------------------------------------------------

OTEMACHI = """
[station]
name = "otemachi"
[devices.alice]
driver = "toshiba.transmitter"
control = "serial:/dev/nowhere"
[devices.bob]
driver = "toshiba.receiver"
control = "serial:/dev/nowhere"
[devices.west]
driver = "polatis.matrix"
control = "serial:/dev/nowhere"
[links.field]
unit = "alice"
neighbour = "koganei"
peer = "TKRX0001"
lease_file = "leases.sqlite"
emulator = { length_km = 45 }
[links.field.paths]
A = { west = [[1, 1]] }
B = { west = [[1, 2]] }
[links.local]
transmitter = "alice"
receiver = "bob"
receiver_switches = ["west"]
paths.C = { west = [[3, 3]] }
"""


def test_a_table_with_unit_and_neighbour_is_one_end_of_a_link() -> None:
    station = hal.Station.from_text(OTEMACHI, base=Path("/etc/tokaido"))
    assert station.half_links == {
        "field": hal.HalfLinkEntry(
            "field",
            "alice",
            "koganei",
            "TKRX0001",
            HERE,
            lease_file=Path("/etc/tokaido/leases.sqlite"),
            emulator={"length_km": 45},
        )
    }
    assert list(station.links) == ["local"]
    assert station.links["local"].receiver_switches == ("west",)
    assert "links: local, field to koganei" in station._repr_html_()
    with pytest.raises(hal.ConfigurationError, match=r"one end of link field alone.*station.half_link\('field'\)"):
        station.link("field")
    with pytest.raises(hal.ConfigurationError, match=r"both ends of link local.*station.link\('local'\).*\.halves"):
        station.half_link("local")
    for ask in (station.link, station.half_link):
        with pytest.raises(hal.ConfigurationError, match=r"no link 'fild'. Did you mean field\? It has local, field"):
            ask("fild")


def test_a_station_gives_its_end_with_its_devices_at_hand(world: World) -> None:
    entry = hal.HalfLinkEntry("field", "alice", "koganei", paths=HERE)
    devices: dict[str, hal.Device] = {"alice": world.transmitter, **world.switches}
    entries = {name: hal.DeviceEntry(name, "toy", {}) for name in devices}
    station = hal.Station("otemachi", entries, half_links={"field": entry}, clock=world.clock)
    station._open.update(devices)
    half = station.half_link("field")
    assert (half.unit, dict(half.switches)) == (world.transmitter, {"west": world.switches["west"]})
    assert half.path() == "A"


BAD = """
[devices.alice]
driver = "toshiba.transmitter"
control = "serial:/dev/nowhere"
[devices.bob]
driver = "toshiba.receiver"
control = "serial:/dev/nowhere"
[devices.west]
driver = "polatis.matrix"
control = "serial:/dev/nowhere"
[links.mixed]
unit = "alice"
transmitter = "alice"
receiver = "bob"
[links.one]
unit = "west"
colour = "red"
peer = 7
receiver = 1
[links.two]
neighbour = "ko ganei"
peer = ""
paths = { A = 1, B = {} }
[links."to koganei"]
unit = "carol"
neighbour = "koganei"
lease_file = 1
[links.whole]
transmitter = "alice"
receiver = "bob"
receiver_switches = ["east"]
paths.A = {}
[links.listed]
transmitter = "alice"
receiver = "bob"
receiver_switches = "west"
"""


def test_all_mistakes_in_ends_of_links_are_told_at_once() -> None:
    with pytest.raises(hal.ConfigurationError) as caught:
        hal.Station.from_text(BAD)
    expected = [
        ("line 11, links.mixed:", "transmitter and receiver are of a whole link, unit of one end of one; name"),
        ("line 15, links.one:", "receiver are of a whole link, unit and peer of one end of one"),
        ("line 17, links.one.colour:", "known are transmitter, receiver, receiver_switches, unit, neighbour, peer, "),
        ("line 16, links.one.unit:", "west does not fill the role Unit"),
        ("line 18, links.one.peer:", "must be the serial number of the unit at the other end"),
        ("line 20, links.two:", "unit is missing; name a unit of the station"),
        ("line 21, links.two.neighbour:", 'must be the name of a node such as "koganei", which has 1 to 64 of'),
        ("line 22, links.two.peer:", "must be the serial number"),
        ("links.two.paths.A:", "such as west = [[1, 1]]; {} where this site has no switch on it"),
        ("links.to koganei:", "'to koganei' is not a name that has 1 to 64 of"),
        ("line 25, links.to koganei.unit:", "there is no device 'carol'"),
        ("line 27, links.to koganei.lease_file:", "must name a file"),
        ("links.whole.paths.A:", "must be a table of pairs by switch, such as west = [[1, 1]]"),
        ("line 31, links.whole.receiver_switches:", "no path leads over 'east'; they lead over none"),
        ("line 36, links.listed.receiver_switches:", 'must list switches of the paths, such as ["east"]'),
    ]
    found = list(caught.value.mistakes)
    for (start, words), mistake in zip(expected, found, strict=True):
        assert start in mistake, (start, found)
        assert words in mistake, (words, found)
