"""A link is moved whole or not at all, and no switch moves under light."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import tokaido.hal as hal
from tokaido_testing.moves import check_whole, move
from tokaido_testing.toy_link import PATHS, Fault, World

STEPS = ["check", "prepare", "fence", "switch", "verify", "light", "align", "start"]


@pytest.fixture(params=[(), ("east",)], ids=["all switches the transmitter's", "one switch at each end"])
def world(request: pytest.FixtureRequest) -> World:
    return World(receiver_switches=request.param)


@pytest.fixture
def book(tmp_path: Path, world: World) -> hal.LeaseBook:
    return hal.LeaseBook(tmp_path / "leases.sqlite", clock=world.clock)


# --- a good move ------------------------------------------------------------------------------------------------------


def test_the_order_of_a_good_move(world: World, book: hal.LeaseBook) -> None:
    steps: list[str] = []
    assert world.link().path() == "A"
    report = move(world, "B", book, on_step=steps.append)
    first, second = sorted(world.log[6:8])
    assert world.log[:6] == [
        ("alice", "stop"),
        ("bob", "stop"),
        ("alice", "safe"),
        ("bob", "safe"),
        ("alice", "select RX-1 B 1"),
        ("bob", "select TX-1 A 1"),
    ]
    assert (first, second) == (("east", "replace"), ("west", "replace"))
    assert world.log[8:] == [("bob", "select TX-1 B 1"), ("alice", "start"), ("bob", "start")]
    assert world.violations == []
    assert world.shown() == {
        "alice": ("RX-1", "B"),
        "bob": ("TX-1", "B"),
        "west": {1: 2, 5: 5},
        "east": {4: 1, 6: 6},
    }
    assert world.runs()
    assert world.link().path() == "B"
    assert (report.link, report.from_path, report.to_path, report.fencing_token) == ("field", "A", "B", 1)
    assert [step.name for step in report.steps] == steps == STEPS
    assert book.inspect("link.field") is None


def test_each_step_takes_the_time_of_the_station_s_clock(world: World, book: hal.LeaseBook) -> None:
    world.settle_s = 0.025
    report = move(world, "B", book)
    seconds = {step.name: step.seconds for step in report.steps}
    assert 0.025 <= seconds["switch"] <= 0.060  # both at once: a clock that all share goes on in both threads' waits
    assert 0.35 <= seconds["align"] <= 0.6
    assert report.seconds == pytest.approx(sum(seconds.values()))


def test_it_never_goes_back_by_itself_and_goes_back_by_order(world: World, book: hal.LeaseBook) -> None:
    world.whole = {"B"}
    move(world, "B", book)
    world.whole = {"A", "B"}
    world.clock.wait(10_000)
    assert world.link().path() == "B"
    assert move(world, "A", book).from_path == "B"
    assert world.link().path() == "A"
    assert world.runs()
    assert world.violations == []


def test_units_that_did_not_run_are_not_started_unless_it_is_said(world: World, book: hal.LeaseBook) -> None:
    for unit in world.units.values():
        unit.state = "STANDBY"
    report = move(world, "B", book)
    assert [step.name for step in report.steps] == STEPS[:-1]
    assert not world.runs()
    move(world, "A", book, start=True)
    assert world.runs()
    move(world, "B", book, start=False)
    assert not world.runs()
    assert world.violations == []


def test_units_are_drained_before_they_are_stopped(world: World, book: hal.LeaseBook) -> None:
    drained: list[tuple[str, int]] = []
    move(world, "B", book, drain=lambda unit: drained.append((unit.name, len(world.log))))
    assert drained == [("alice", 0), ("bob", 0)]


@pytest.mark.parametrize("state", ["WARMUP", "AUTH", "ALIGN", "REALIGN"])
def test_a_link_is_moved_out_of_states_in_which_it_waits(state: str, world: World, book: hal.LeaseBook) -> None:
    world.whole = {"B"}
    for unit in world.units.values():
        unit.state, unit.aligned, unit.bright = state, False, state in ("ALIGN", "REALIGN")
    if state == "WARMUP":
        with pytest.raises(hal.MoveError, match="step light failed: no clock light"):
            move(world, "B", book)
    else:
        move(world, "B", book)
        assert world.link().path() == "B"
    assert world.violations == []


def test_a_station_gives_the_link_of_its_file(world: World, tmp_path: Path) -> None:
    station = hal.Station(
        "otemachi",
        {},
        links={"field": hal.LinkEntry("field", "alice", "bob", PATHS, lease_file=tmp_path / "leases.sqlite")},
        clock=world.clock,
    )
    devices: dict[str, hal.Device] = {"alice": world.transmitter, "bob": world.receiver, **world.switches}
    station.devices.update({name: hal.DeviceEntry(name, "toy", {}) for name in devices})
    station._open.update(devices)
    link = station.link("field")
    assert (link.transmitter, link.receiver, dict(link.paths)) == (world.transmitter, world.receiver, PATHS)
    assert link.move("B").fencing_token == 1
    check_whole(world, "B")
    assert (tmp_path / "leases.sqlite").exists()


# --- what is refused before anything is touched -----------------------------------------------------------------------


def spoil_key(world: World) -> None:
    world.units["bob"].links.remove(("TX-1", "B"))


def spoil_state(world: World) -> None:
    world.units["alice"].state = "SECURITY_HOLD"


def spoil_output(world: World) -> None:
    world.maps["west"] = {1: 1, 7: 2}


def spoil_input(world: World) -> None:
    world.maps["east"] = {3: 1, 4: 8}


def spoil_fence(world: World) -> None:
    world.units["bob"].fencing_token = 9


@pytest.mark.parametrize(
    ("spoil", "error", "match"),
    [
        (spoil_key, hal.RefusedError, r"link with TX-1 over B; nothing was touched \[device bob"),
        (spoil_state, hal.StateError, r"SECURITY_HOLD; nothing was touched \[device alice"),
        (spoil_output, hal.RefusedError, r"input 7 to output 2; nothing was touched \[device west"),
        (spoil_input, hal.RefusedError, r"input 4 to output 8; nothing was touched \[device east"),
        (spoil_fence, hal.RefusedError, r"token 9, and this move has 1; nothing was touched \[device bob.*skip_to"),
    ],
)
def test_what_does_not_allow_it_is_found_before_anything_is_touched(
    spoil: Callable[[World], None], error: type[Exception], match: str, world: World, book: hal.LeaseBook
) -> None:
    spoil(world)
    with pytest.raises(error, match=match):
        move(world, "B", book)
    assert world.log == []
    assert book.inspect("link.field") is None


def test_a_path_or_a_lease_file_that_is_missing_is_told(world: World) -> None:
    with pytest.raises(hal.ConfigurationError, match=r"no path 'C'. It has A, B"):
        world.link().move("C")
    with pytest.raises(hal.ConfigurationError, match="lease_file"):
        world.link().move("B")
    assert world.counts.total() == 0


def test_ports_that_a_switch_does_not_have_are_refused(world: World, book: hal.LeaseBook) -> None:
    wide = {"A": PATHS["A"], "B": {"west": ((1, 9),), "east": ((4, 1),)}}
    with pytest.raises(hal.RefusedError, match="output 9 of a switch with 8 inputs"):
        world.link(wide).move("B", leases=book)
    assert world.log == []


def test_a_device_of_another_link_s_move_is_not_touched(world: World, book: hal.LeaseBook) -> None:
    book.acquire("device.west", "another link", 30)
    with pytest.raises(hal.LeaseHeldError, match="another link"):
        move(world, "B", book)
    assert world.counts.total() == 0


# --- what shows on the switches ---------------------------------------------------------------------------------------


def test_a_path_is_named_only_if_it_is_the_one(world: World) -> None:
    link = world.link()
    assert link.path() == "A"
    world.maps["west"] = {1: 2}
    assert link.path() is None  # half of each
    world.maps["east"] = {4: 1}
    assert link.path() == "B"
    world.maps["west"] = {}
    assert link.path() is None


# --- the loss of light ------------------------------------------------------------------------------------------------


def test_a_loss_is_noticed_by_its_alarm_or_by_a_stuck_receiver(world: World) -> None:
    link = world.link()
    with pytest.raises(hal.DeviceTimeoutError, match="did not lose its light"):
        link.wait_for_loss(1)
    world.whole = {"B"}
    loss = link.wait_for_loss(1)
    assert (loss.reason, loss.state, loss.alarms[0].code) == ("LOS", hal.UnitState.RUN, "LOS")
    world.units["bob"].state = "FAULT"
    assert link.wait_for_loss(1).reason == "FAULT"


def test_a_lost_reply_is_no_loss_of_light(world: World) -> None:
    world.fault = Fault("bob", 0, "timeout")
    with pytest.raises(hal.DeviceTimeoutError, match="did not lose its light"):
        world.link().wait_for_loss(1)
    world.fault = Fault("bob", world.counts["bob"] + 1, "dead")
    with pytest.raises(hal.NotConnectedError):
        world.link().wait_for_loss(10)
