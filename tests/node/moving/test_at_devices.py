"""What a move between two sites does to units and switches, when a node dies after any order or a device fails."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

import pytest

import tokaido.hal as hal
from tokaido.node.moving import Stage, unpacked
from tokaido_testing.toy_link import Fault, Kind
from tokaido_testing.two_sites import TwoSites

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def sites(tmp_path: Path) -> TwoSites:
    return TwoSites(tmp_path)


def test_a_link_is_moved_and_moved_back(sites: TwoSites) -> None:
    for path in ("B", "A", "A"):
        assert sites.move(path).stage is Stage.FINISHED
        sites.check_on(path)


def test_the_units_are_dark_and_apart_before_a_switch_moves(sites: TwoSites) -> None:
    sites.move("B")
    orders = [f"{device} {what}" for device, what in sites.world.log]
    switches = [number for number, what in enumerate(orders) if "replace" in what]
    assert len(switches) == 2
    before = orders[: switches[0]]
    assert {"bob safe", "alice safe"} <= set(before)
    assert before.index("alice select RX-1 B 1") < before.index("bob select TX-1 A 1")
    assert orders[switches[1] + 1 :] == ["bob select TX-1 B 1"]


def orders_of_a_move(folder: Path) -> int:
    sites = TwoSites(folder)
    sites.move("B")
    return len(sites.world.log)


def test_whoever_dies_after_any_order_the_next_one_finishes(tmp_path: Path) -> None:
    died: set[str] = set()
    for number in range(orders_of_a_move(tmp_path)):
        folder = tmp_path / f"{number}"
        folder.mkdir()
        sites = TwoSites(folder)
        sites.world.dies_after = number
        record = sites.move("B")
        assert len(sites.deaths) == 1, number
        died.update(sites.deaths)
        sites.check_on("B" if record.stage is Stage.FINISHED else "A")
        if sites.deaths == ["near"]:
            assert record.stage is Stage.FINISHED, (number, record.why)
    assert died == {"near", "far"}


@pytest.mark.parametrize("device", ["alice", "west", "bob", "east"])
@pytest.mark.parametrize("kind", get_args(Kind))
def test_a_device_that_fails_at_any_call_leaves_the_link_whole(tmp_path: Path, device: str, kind: Kind) -> None:
    plain = TwoSites(tmp_path)
    plain.move("B")
    calls = plain.world.counts[device]
    assert calls > 4
    ended: set[Stage] = set()
    for index in range(calls):
        folder = tmp_path / f"{index}"
        folder.mkdir()
        sites = TwoSites(folder)
        sites.world.fault = Fault(device, index, kind)
        try:
            record = sites.move("B")
        except hal.TokaidoError:  # nothing was touched
            sites.world.fault = None
            assert sites.world.log == []
            continue
        sites.world.fault = None
        ended.add(record.stage)
        sites.check_on("B" if record.stage is Stage.FINISHED else "A")
    assert ended


def test_a_path_without_a_preshared_key_is_refused_at_either_end(sites: TwoSites) -> None:
    links = sites.world.units["bob"].links
    links.remove(("TX-1", "B"))
    record = sites.move("B")
    assert (record.stage, "no pre-shared key" in record.why) == (Stage.CANCELLED, True)
    assert not {device for device, _ in sites.world.log} & {"bob", "west", "east"}
    links.append(("TX-1", "B"))
    sites.world.units["alice"].links.remove(("RX-1", "B"))
    before = list(sites.world.log)
    with pytest.raises(hal.RefusedError, match="no pre-shared key"):
        sites.begin("B")
    assert sites.world.log == before


def test_a_follower_that_hears_no_more_goes_back_and_stays_dark_until_its_leader_comes(sites: TwoSites) -> None:
    sites.begin("B")
    run_to(sites, Stage.FINISHING)
    sites.site.release()
    sites.world.clock.wait(100)
    sites.follower.go_back()
    sites.follower_alone()
    assert unpacked(sites.notes["far"]).stage is Stage.BACK
    assert dict(sites.world.maps["east"]) == {3: 1, 6: 6}
    assert not sites.world.units["bob"].bright
    sites._live("near")
    record = sites.end()
    assert record.stage is Stage.CANCELLED
    sites.check_on("A")


def test_a_unit_that_heeds_a_higher_token_is_not_moved(sites: TwoSites) -> None:
    sites.world.units["bob"].fencing_token = 99
    record = sites.move("B")
    assert "heeds fencing token 99" in record.why
    assert "skip_to" in record.why
    sites.check_on("A")


def test_somebody_else_s_connection_in_the_way_is_left_alone(sites: TwoSites) -> None:
    sites.world.maps["east"] = {3: 1, 4: 2, 6: 6}
    assert "in the way of somebody else" in sites.move("B").why
    assert sites.world.maps["east"] == {3: 1, 4: 2, 6: 6}


def test_a_connection_that_somebody_made_meanwhile_is_left_alone_too(sites: TwoSites) -> None:
    sites.begin("B")
    run_to(sites, Stage.SWITCHING)
    sites.world.maps["east"] = {3: 1, 4: 2, 6: 6}
    record = sites.end()
    assert "in the way of somebody else" in record.why
    assert sites.world.maps["east"] == {3: 1, 4: 2, 6: 6}
    assert sites.world.maps["west"] == {1: 1, 5: 5}


def run_to(sites: TwoSites, stage: Stage) -> None:
    """Let the leader go on until it notes that stage."""
    assert sites.leader is not None
    while sites.leader.record.stage is not stage:
        action = sites.leader.next()
        assert action is not None
        sites.leader.took(sites._done(action))


def test_the_other_end_must_have_the_unit_that_the_file_names(sites: TwoSites) -> None:
    sites.world.units["alice"].serial_number = "TX-9"
    record = sites.move("B")
    assert record.stage is Stage.CANCELLED
    assert "leads to TX-1, and not to TX-9" in record.why
