"""What the faults of an emulated repeater do to it, in stepped time: each shows as it would at a real node."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

import tokaido.hal as hal
from tokaido.emulators import SteppedClock, launch

SETTLED_S = 90.0


@contextmanager
def at_work(**options: object) -> Iterator[tuple[hal.RepeaterNode, Any, SteppedClock]]:
    clock = SteppedClock()
    with (
        launch("repeater.node", clock=clock, seed=3, secrets="seeded", model_options=options) as emulator,
        hal.RepeaterNode.open("repeater.node", clock=clock, **emulator.resources) as node,
    ):
        clock.wait(SETTLED_S)
        assert node.serving()
        yield node, emulator, clock


def codes(node: hal.RepeaterNode) -> set[tuple[str, str]]:
    return {(alarm.code, alarm.of) for alarm in node.alarms()}


def test_a_lost_neighbour_is_silent_and_comes_back() -> None:
    with at_work() as (node, emulator, clock):
        emulator.add_fault("neighbour_lost")
        clock.wait(30.0)
        assert [one.up for one in node.neighbours] == [False, True]
        assert ("NEIGHBOUR_SILENT", "west") in codes(node)
        assert node.neighbours[0].silent > 10.0
        emulator.remove_fault("neighbour_lost")
        clock.wait(30.0)
        assert [one.up for one in node.neighbours] == [True, True]
        assert ("NEIGHBOUR_SILENT", "west") not in codes(node)


def test_an_empty_stock_serves_nobody_and_fills_again() -> None:
    with at_work() as (node, emulator, clock):
        emulator.add_fault("stock_empty")
        clock.wait(90.0)
        assert not node.serving()
        assert [pair.ready for pair in node.pairs] == [0, 0]
        assert codes(node) >= {("STOCK_LOW", "west"), ("STOCK_LOW", "east")}
        assert node.links[0].drawn == pytest.approx(node.links[0].spent + node.links[0].discarded, abs=8192 * 8)
        emulator.remove_fault("stock_empty")
        clock.wait(90.0)
        assert node.serving()
        assert ("STOCK_LOW", "west") not in codes(node)


def test_a_store_that_went_back_is_noticed_and_its_keys_are_burned() -> None:
    with at_work() as (node, emulator, clock):
        burned = node.pairs[0].burned
        emulator.add_fault("store_rolled_back")
        clock.wait(10.0)
        assert codes(node) >= {("STORE_ROLLBACK", "west"), ("STORE_ROLLBACK", "east")}
        assert all(alarm.latched for alarm in node.alarms() if alarm.code == "STORE_ROLLBACK")
        assert node.pairs[0].burned > burned
        clock.wait(SETTLED_S)
        assert node.serving()


def test_a_clock_that_is_off_is_told_as_it_is() -> None:
    with at_work() as (node, emulator, clock):
        right = node.utc
        assert right == pytest.approx(hal.SYSTEM_CLOCK.utc_ns() / hal.NS_PER_S + SETTLED_S, abs=60.0)
        emulator.add_fault("clock_off")
        assert node.utc == pytest.approx(right + 3600.0, abs=1.0)
        emulator.remove_fault("clock_off")
        clock.wait(1.0)
        assert node.utc == pytest.approx(right + 1.0, abs=1.0)


@pytest.mark.parametrize("fault", ["relay_alters", "relay_delays"])
@pytest.mark.thorough
def test_relays_that_are_altered_or_late_cost_key_and_no_secret(fault: str) -> None:
    with at_work(demand=4.0) as (node, emulator, clock):
        before = node.pairs[0].burned
        emulator.add_fault(fault)
        clock.wait(30.0)
        assert node.pairs[0].burned > before
        if fault == "relay_alters":
            assert any(code == "KEYS_DIFFER" for code, _ in codes(node))
        emulator.remove_fault(fault)
        clock.wait(SETTLED_S)
        assert node.serving()
        burned = node.pairs[0].burned
        clock.wait(20.0)
        assert node.pairs[0].burned == burned


@pytest.mark.parametrize("fault", ["relay_replays", "relay_loops"])
def test_relays_that_come_twice_or_back_bring_no_key_twice(fault: str) -> None:
    with at_work(demand=4.0) as (node, emulator, clock):
        emulator.add_fault(fault)
        relayed, received, burned = node.pairs[0].relayed, node.pairs[0].received, node.pairs[0].burned
        clock.wait(30.0)
        assert node.pairs[0].relayed > relayed
        assert node.pairs[0].burned == burned
        sites = emulator.model.node.sites
        assert sites.struck[fault] > 0
        far = sites.sites["west"].core.status().pairs["maibara"]
        assert far.counters["held"] == node.pairs[0].relayed
        assert node.pairs[0].received > received
        assert far.adds_up
        assert node.serving()


def test_a_drained_node_comes_up_again() -> None:
    with at_work() as (node, _, clock):
        node.drain("a new disk")
        assert node.state() is hal.RepeaterState.DRAINING
        assert not node.serving()
        clock.wait(SETTLED_S)
        assert node.state() is hal.RepeaterState.RELAYING
        assert node.serving()
