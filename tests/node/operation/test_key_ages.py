"""Since when a unit has its pre-shared keys, over restarts, and when one of them is too old."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tokaido.emulators import QkdLink
from tokaido.hal import KeyMaterial, Severity
from tokaido.node.core import Clear, Raise
from tokaido.node.node_file import control_socket
from tokaido.node.operation import ControlClient, ExpiryWatch, KeyAges, PresharedSettings
from tokaido.node.operation.metrics import openmetrics
from tokaido.node.store import PresharedKeyRow, SqliteStore, wrapping_key_from_file
from tokaido.node.supervision import UnitRead
from tokaido_testing.node_files import ALONE, HEAD, living, make_site, until
from tokaido_testing.toy_clock import ToyClock

if TYPE_CHECKING:
    from pathlib import Path

DAY_S = 86_400.0
A, B = ("TKRX0001", "A"), ("TKRX0001", "B")


def read(*held: tuple[str, str]) -> UnitRead:
    return UnitRead(None, preshared_keys=frozenset(held))


class Watched:
    """The ages of a node's keys, at a day that a test says."""

    def __init__(self) -> None:
        self.clock = ToyClock()
        self.kept: list[PresharedKeyRow] = []
        self.dropped: list[tuple[str, str, str]] = []
        self.told: list[Raise | Clear] = []
        self.settings = PresharedSettings(days=300.0, warn_days=20.0)
        self.ages = KeyAges(
            self.kept.append,
            lambda *name: self.dropped.append(name),
            settings=lambda: self.settings,
            utc_s=lambda: self.clock.utc_ns() / 1e9,
        )
        self.watch = ExpiryWatch(self.told.append, clock=self.clock)

    def at_day(self, day: float) -> list[Raise | Clear]:
        self.clock.ahead_s = day * DAY_S
        self.told.clear()
        self.watch.look(self.ages.endings({"alice": "field"}))
        return list(self.told)


def test_a_key_that_is_found_counts_from_then_on_and_one_that_is_gone_no_more() -> None:
    watched = Watched()
    watched.clock.ahead_s = 10 * DAY_S
    watched.ages.look("alice", read(A))
    watched.clock.ahead_s = 30 * DAY_S
    watched.ages.look("alice", read(A, B))
    assert [(row.path, round(row.since_s / DAY_S), row.by) for row in watched.kept] == [("A", 10, ""), ("B", 30, "")]
    assert {device: round(age / DAY_S) for device, age in watched.ages.ages_s().items()} == {"alice": 20}
    watched.ages.look("bob", read())
    watched.ages.look("alice", None)
    watched.ages.look("alice", read(B))
    assert watched.dropped == [("alice", *A)]
    assert [line.path for line in watched.ages.lines()] == ["B"]


def test_a_key_that_people_loaded_is_theirs_although_the_unit_was_read_before() -> None:
    watched = Watched()
    before = read()
    row = PresharedKeyRow("alice", *A, 5.0, "ann and bob", "4f1c 09a7")
    watched.ages.loaded(row, before)
    watched.ages.look("alice", before)
    watched.ages.look("alice", read(A))
    assert (watched.kept, watched.dropped) == ([row], [])


def test_the_older_the_more_severe_and_a_new_key_clears_it() -> None:
    watched = Watched()
    watched.ages.restore(
        [PresharedKeyRow("alice", *A, 0.0, "ann and bob", ""), PresharedKeyRow("alice", *B, 9e6, "", "")]
    )
    found = {
        day: [one.severity for one in watched.at_day(day) if isinstance(one, Raise)] for day in (279, 281, 299, 301)
    }
    assert found == {279: [], 281: [Severity.WARNING], 299: [Severity.WARNING], 301: [Severity.MAJOR]}
    key = "the pre-shared key for TKRX0001, path A, loaded on 1970-01-01 00:00 UTC"
    text = f"the time of {key}, ended on 1970-10-28 00:00 UTC"
    assert watched.told == [Raise("PRESHARED_KEY_OLD", Severity.MAJOR, "field", text)]
    watched.ages.loaded(PresharedKeyRow("alice", *A, 301 * DAY_S, "ann and eve", ""), None)
    assert watched.at_day(302) == [Clear("PRESHARED_KEY_OLD", "field")]
    watched.settings = PresharedSettings(days=100.0)
    assert len(watched.at_day(303)) == 1  # a file that was read again counts at once


@pytest.mark.timeout(120)
def test_a_node_tells_the_age_of_a_key_over_a_restart(tmp_path: Path, certificates: Path) -> None:
    def work(client: ControlClient) -> None:
        status = until(client, lambda status: status.links[0].preshared_key_age_s is not None)
        ages.append(status.links[0].preshared_key_age_s or 0.0)
        assert b"tokaido_link_preshared_key_age_seconds" in openmetrics(status)
        if len(ages) == 2:
            old = until(client, lambda status: any(one.code == "PRESHARED_KEY_OLD" for one in status.alarms))
            [alarm] = [one for one in old.alarms if one.code == "PRESHARED_KEY_OLD"]
            assert (alarm.of, alarm.severity, "seen first" in alarm.text) == ("field", "MAJOR", True)
            assert "commission" in alarm.to_do

    ages: list[float] = []
    with QkdLink.launch("toshiba", load_preshared_key=True) as link:
        make_site(tmp_path, control=link.transmitter.resources["control"])
        node = tmp_path / "node.toml"
        node.write_text(HEAD.format(name="otemachi", pki=certificates) + ALONE, encoding="utf-8")
        client = ControlClient(control_socket(node))
        living(tmp_path, lambda _: work(client))
        with wrapping_key_from_file(tmp_path / "store.key") as key:
            store = SqliteStore.open(tmp_path / "keys.sqlite", KeyMaterial(bytes(key.reveal())))
        (row,) = store.records.preshared_keys()
        assert (row.device, row.by) == ("alice", "")
        store.records.set_preshared_key(
            PresharedKeyRow(row.device, row.peer, row.path, row.since_s - 366 * DAY_S, "", "")
        )
        store.close()
        living(tmp_path, lambda _: work(client))
    assert ages[0] < 3600.0
    assert ages[1] > 365 * DAY_S  # the clock of a life begins at the machine's time
