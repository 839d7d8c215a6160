"""What every optical switch promises: checked before a byte is sent, read back after, and never a guess."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

import tokaido.hal as hal
from tokaido.emulators import launch
from tokaido_testing.toy_switch import ToySwitch


@pytest.fixture
def switch() -> ToySwitch:
    return ToySwitch()


def test_a_pair_is_made_parted_and_replaced(switch: ToySwitch) -> None:
    switch.connect(1, 5)
    switch.connect(2, 6)
    assert switch.connections() == {1: 5, 2: 6}
    switch.disconnect(1, 3)
    assert switch.connections() == {2: 6}
    switch.replace({1: 6, 4: 1})
    assert switch.connections() == {1: 6, 4: 1}
    switch.disconnect_all()
    assert switch.connections() == {}


def test_light_is_rerouted_by_one_command_that_leaves_others_alone(switch: ToySwitch) -> None:
    switch.replace({1: 5, 2: 6, 4: 1})
    switch.reroute(disconnect=[1, 3], connect={2: 6, 3: 5})
    assert switch.connections() == {2: 6, 3: 5, 4: 1}
    switch.reroute(disconnect=[3], connect={})
    assert switch.connections() == {2: 6, 4: 1}
    switch.reroute(disconnect=[1], connect={2: 6})
    assert switch.told == ["replace {1: 5, 2: 6, 4: 1}", "replace {2: 6, 4: 1, 3: 5}", "replace {2: 6, 4: 1}"]


@pytest.mark.parametrize(
    ("part", "join", "error", "match"),
    [
        ([1], {3: 6}, hal.RefusedError, "output 6 is joined to input 2; nothing was sent"),
        ([1], {2: 5}, hal.RefusedError, "input 2 is joined to output 6; nothing was sent"),
        ([5], {}, hal.RangeError, "no input 5"),
        ([1], {3: 7}, hal.RangeError, "no output 7"),
        ([1], {3: 1, 4: 1}, hal.RangeError, "an output stands twice"),
    ],
)
def test_a_reroute_that_would_harm_others_is_refused_before_anything_is_sent(
    part: list[int], join: dict[int, int], error: type[Exception], match: str, switch: ToySwitch
) -> None:
    switch.replace({1: 5, 2: 6})
    with pytest.raises(error, match=match):
        switch.reroute(disconnect=part, connect=join)
    assert switch.connections() == {1: 5, 2: 6}
    assert len(switch.told) == 1


def test_a_reroute_is_read_back_and_heeds_what_a_switch_cannot(
    switch: ToySwitch, monkeypatch: pytest.MonkeyPatch
) -> None:
    switch.replace({1: 5})
    monkeypatch.setattr(ToySwitch, "capabilities", frozenset())
    with pytest.raises(hal.UnsupportedError, match="leave an input without an output"):
        switch.reroute(disconnect=[1], connect={2: 5})
    switch.reroute(disconnect=[1], connect={1: 6})
    switch.arrange(settles_after=1000)
    with pytest.raises(hal.DeviceError, match=r"was to be \{1: 5\} and is \{1: 6\}"):
        switch.reroute(disconnect=[1], connect={1: 5})


@pytest.mark.parametrize("driver", ["polatis.matrix", "dicon.selector", "thorlabs.osw"])
def test_every_switch_of_ours_can_be_rerouted(driver: str) -> None:
    with launch(driver, wire_end="emu") as box, hal.OpticalSwitch.open(driver, **box.resources) as switch:
        size = switch.size()
        if size.inputs == 1:
            switch.reroute(disconnect=[], connect={1: 1})
            switch.reroute(disconnect=[1], connect={1: 2})
            assert switch.connections() == {1: 2}
            return
        before = switch.connections()
        crossed = {1: 2, 2: 1} if before != {1: 2, 2: 1} else {1: 1, 2: 2}
        others = {3: 3, 4: 4} if size.inputs > 2 else {}
        switch.replace({1: crossed[2], 2: crossed[1], **others})
        switch.reroute(disconnect=[1, 2], connect=crossed)
        assert switch.connections() == {**crossed, **others}


def test_what_is_so_already_is_not_told_again(switch: ToySwitch) -> None:
    switch.connect(1, 5)
    switch.connect(1, 5)
    switch.disconnect(2)
    assert switch.told == ["add {1: 5}"]


@pytest.mark.parametrize(
    "act",
    [
        lambda switch: switch.connect(0, 1),
        lambda switch: switch.connect(5, 1),
        lambda switch: switch.connect(1, 7),
        lambda switch: switch.connect(True, 1),
        lambda switch: switch.disconnect(5),
        lambda switch: switch.replace({1: 0}),
        lambda switch: switch.replace({1: 2, 2: 2}),
    ],
)
def test_ports_that_do_not_exist_are_refused_before_anything_is_sent(
    switch: ToySwitch, act: Callable[[ToySwitch], None]
) -> None:
    with pytest.raises(hal.RangeError, match="othing was sent"):
        act(switch)
    assert switch.told == []


@pytest.mark.parametrize("on_conflict", ["error", "steal"])
def test_a_busy_port_is_refused_whatever_the_switch_would_do(on_conflict: str) -> None:
    switch = ToySwitch("error" if on_conflict == "error" else "steal")
    switch.connect(1, 5)
    with pytest.raises(hal.RefusedError, match="output 5 is joined to input 1; nothing was sent"):
        switch.connect(2, 5)
    with pytest.raises(hal.RefusedError, match="input 1 is joined to output 5; nothing was sent"):
        switch.connect(1, 6)
    assert switch.connections() == {1: 5}
    assert switch.told == ["add {1: 5}"]


@pytest.mark.parametrize("on_conflict", ["error", "steal"])
def test_another_client_that_comes_between_is_noticed_whatever_the_switch_does(on_conflict: str) -> None:
    switch = ToySwitch("error" if on_conflict == "error" else "steal")
    switch.arrange(other_client=lambda present: present.update({3: 5, 4: 1}))
    with pytest.raises(hal.DeviceError):
        switch.connect(1, 5)
    assert switch.connections() == ({3: 5, 4: 1} if on_conflict == "error" else {1: 5, 4: 1})


def test_a_change_may_show_late_but_not_after_the_settle_timeout(switch: ToySwitch) -> None:
    switch.arrange(settles_after=4)
    switch.connect(1, 5)
    switch.arrange(settles_after=1000)
    with pytest.raises(hal.DeviceError, match=r"was to be \{1: 5, 2: 6\} and is \{1: 5\} after 0\.0"):
        switch.connect(2, 6)


def test_a_lost_answer_after_a_command_is_asked_for_again(switch: ToySwitch) -> None:
    switch.arrange(loses=[hal.DeviceTimeoutError("no reply"), hal.ProtocolError("garbled")])
    switch.replace({1: 5})
    assert switch.told == ["replace {1: 5}"]


def test_a_command_whose_effect_cannot_be_read_has_an_unknown_outcome(switch: ToySwitch) -> None:
    switch.arrange(loses=[hal.DeviceTimeoutError("no reply")] * 1000)
    with pytest.raises(hal.OutcomeUnknownError, match="may or may not have been carried out"):
        switch.replace({1: 5})


def test_another_box_after_a_command_is_not_asked_twice(switch: ToySwitch) -> None:
    switch.arrange(loses=[hal.WrongDeviceError("another box"), hal.ProtocolError("never reached")])
    with pytest.raises(hal.WrongDeviceError):
        switch.replace({1: 5})


def test_what_a_switch_lacks_is_unsupported(switch: ToySwitch) -> None:
    for act in (
        switch.port_states,
        switch.port_powers,
        switch.boot_mode,
        lambda: switch.set_boot_mode(hal.BootMode.DARK),
        lambda: switch.set_port_enabled(hal.SwitchPort(hal.Side.INPUT, 1), False),
    ):
        with pytest.raises(hal.UnsupportedError, match="toy"):
            act()


def test_a_snapshot_holds_the_map(switch: ToySwitch) -> None:
    switch.replace({1: 5, 3: 2})
    record = json.loads(json.dumps(switch.snapshot()))
    assert record["connections"] == {
        "size": {"inputs": 4, "outputs": 6},
        "outputs_by_input": {"1": 5, "3": 2},
    }
    assert record["errors"] == []


def test_a_snapshot_of_a_switch_that_does_not_answer_says_so(switch: ToySwitch) -> None:
    switch.replace({1: 5})
    switch.arrange(loses=[hal.DeviceTimeoutError("no reply")])
    record = switch.snapshot()
    assert record["connections"]["outputs_by_input"] is None
    assert any("no reply" in error for error in record["errors"])
