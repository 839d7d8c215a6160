"""How available a link was: the time that it gave keys, of all time but that in which people worked at it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tokaido.hal import KeyMaterial
from tokaido.node.operation import LinkNow, ServiceTimes
from tokaido.node.operation.metrics import openmetrics
from tokaido.node.store import ServiceRow, SqliteStore
from tokaido_testing.node_lines import FINE, LINK, but
from tokaido_testing.toy_clock import ToyClock

if TYPE_CHECKING:
    from pathlib import Path


class Life:
    """One life of a node, second by second."""

    def __init__(self, clock: ToyClock) -> None:
        self.clock = clock
        self.kept: list[tuple[ServiceRow, ...]] = []
        self.times = ServiceTimes(self.kept.append, clock=clock)
        self.look(0)

    def look(self, seconds: int, *, running: bool = True, maintained: bool = False) -> None:
        for _ in range(seconds):
            self.clock.wait(1.0)
            self.times.look([LinkNow("field", running, maintained)])
        if not seconds:
            self.times.look(())

    def measured(self) -> tuple[float, float, float]:
        found = self.times.all()["field"]
        return round(found.up_s, 6), round(found.down_s, 6), round(found.maintenance_s, 6)

    def ratio(self) -> float | None:
        return self.times.all()["field"].ratio


def test_maintenance_does_not_count() -> None:
    life = Life(ToyClock())
    life.look(60)
    life.look(30, running=False, maintained=True)
    life.look(20, running=False)
    life.look(10, maintained=True)  # a link that runs while people work at it
    assert life.measured() == (60, 20, 40)
    assert life.ratio() == 0.75


def test_a_link_that_was_only_maintained_has_no_availability() -> None:
    life = Life(ToyClock())
    life.look(10, maintained=True)
    assert life.ratio() is None


@pytest.mark.parametrize(
    ("maintained", "down", "held"),
    [({}, 100, 0), ({"field": 0.0}, 0, 100), ({"field": 40.0}, 60, 40), ({"field": -9.0}, 100, 0)],
    ids=["left alone", "taken", "taken for 40 s", "taken before"],
)
def test_a_node_that_does_not_run_gives_no_keys(maintained: dict[str, float], down: int, held: int) -> None:
    clock = ToyClock()
    life = Life(clock)
    life.look(90)
    life.times.write()
    begin_s = clock.utc_ns() / 1e9
    clock.wait(100.0)
    again = Life(clock)
    ends = {link: end and begin_s + end for link, end in maintained.items()}
    again.times.restore(life.kept[-1], ends)
    again.look(10)
    assert again.measured() == (100, down, held)


def test_a_clock_that_was_set_back_adds_nothing() -> None:
    clock = ToyClock()
    life = Life(clock)
    life.look(90)
    life.times.write()
    clock.ahead_s = -5000.0
    again = Life(clock)
    again.times.restore(life.kept[-1], {})
    again.look(1)
    assert again.measured() == (91, 0, 0)


def test_the_times_are_written_every_minute_and_are_durable(tmp_path: Path) -> None:
    life = Life(ToyClock())
    life.look(59)
    assert life.kept == []
    life.look(1)
    [rows] = life.kept
    assert [(row.link, round(row.up_s, 6)) for row in rows] == [("field", 60)]
    key = bytes(32)
    store = SqliteStore.open(tmp_path / "store", KeyMaterial(key), create=True)
    store.records.set_service(rows)
    store.close()
    store = SqliteStore.open(tmp_path / "store", KeyMaterial(key))
    assert store.records.service() == rows
    store.close()


def test_a_scrape_has_the_times() -> None:
    measured = but(LINK, availability=0.75, up_s=60.0, down_s=20.0, maintenance_s=40.0)
    text = openmetrics(but(FINE, links=(measured,))).decode()
    assert 'tokaido_link_availability_ratio{link="field",neighbour="koganei"} 0.75' in text
    for service, seconds in (("up", 60.0), ("down", 20.0), ("maintenance", 40.0)):
        of = f'link="field",neighbour="koganei",service="{service}"'
        assert f"tokaido_link_service_seconds_total{{{of}}} {seconds}" in text
