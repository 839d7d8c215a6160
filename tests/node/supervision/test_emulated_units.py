"""Two supervisors and their device loops bring emulated units, through their drivers, to keys: in virtual time."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import pytest

import tokaido.hal as hal
from tokaido.emulators import EmulatedStations
from tokaido.node.core import Clear, Fetch, Raise
from tokaido.node.operation import AlarmBook, AlarmChange, Change, LinkLine, Places, StoreLine, causes_of, survey
from tokaido.node.supervision import (
    DeviceLoop,
    LinkEnd,
    Maintenance,
    Phase,
    Source,
    SupervisionSettings,
    Supervisor,
    UnitOrder,
)
from tokaido_testing.bench import BLOCK_BITS, PARAMETERS
from tokaido_testing.pairs import optics

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

EXAMPLES = Path(__file__).parents[3] / "examples"
FILES = EXAMPLES / "otemachi.toml", EXAMPLES / "koganei.toml"
SETTINGS = SupervisionSettings(no_key_s=3600.0)


@dataclass
class Site:
    """What a node does with one end: it keeps names of blocks, and no key."""

    station: hal.Station
    clock: hal.Clock
    alarms: dict[tuple[str, str], Raise] = field(default_factory=dict)
    names: list[tuple[str, int]] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    takes: bool = True
    changes: list[AlarmChange] = field(default_factory=list)

    def __post_init__(self) -> None:
        [(name, entry)] = self.station.half_links.items()
        places = Places({entry.unit: name}, {name: entry.neighbour})
        self.book = AlarmBook(self.changes.append, clock=self.clock, relate=lambda alarms: causes_of(alarms, places))
        one = Supervisor(name, entry.unit, SETTINGS, random=Random(1).random)
        self.end = LinkEnd(one, self, lambda: self.clock.monotonic_ns() / 1e9)
        source = Source(self.station, entry.unit, entry, holder=f"node {self.station.name}")
        self.end.device = self.loop = DeviceLoop(source, self.end.hear, poll_s=1.0, clock=self.clock)

    def block_offered(self, end: LinkEnd, draw: int, block: hal.KeyBlock) -> None:
        if self.takes:
            self.names.append((block.info.session, block.info.number))
        block.key.wipe()
        end.settle(draw, None if self.takes else "the store is full")

    def not_fetched(self, end: LinkEnd, action: Fetch, why: str) -> None:
        raise AssertionError(why)

    def attempt(self, end: LinkEnd, order: UnitOrder) -> None:
        end.give(order)

    def alarm(self, action: Raise | Clear) -> None:
        self.book.take(action)
        if isinstance(action, Raise):
            self.alarms[action.code, action.of] = action
            self.told.append(action.code)
        else:
            del self.alarms[action.code, action.of]

    def line(self) -> LinkLine:
        """Return what the node's status says of the link."""
        store, age_s = StoreLine(open=True), self.clock.monotonic_ns() / 1e9
        told = survey(
            node="", utc_s=0, age_s=age_s, up_s=0, keys=None, store=store, ends=[self.end], applications={}, alarms=()
        )
        return told.links[0]

    @property
    def state(self) -> hal.UnitState | None:
        return self.end.supervisor.status(self.clock.monotonic_ns() / 1e9).state


def live(sites: Iterable[Site], until: Callable[[], bool], within_s: float) -> None:
    """Turn the loops of all sites in one thread until something is so."""
    sites = tuple(sites)
    clock = sites[0].clock
    begin_ns = clock.monotonic_ns()
    while not until():
        assert clock.monotonic_ns() - begin_ns < within_s * 1e9, [(one.state, one.alarms) for one in sites]
        for site in sites:
            site.loop.turn()
            site.book.tick()
            if site.end.wake_s <= clock.monotonic_ns() / 1e9:
                site.end.tick()
        clock.wait(0.5)


@pytest.mark.timeout(120)
@pytest.mark.thorough
def test_two_nodes_bring_their_units_to_keys_through_everything_that_happens_to_them() -> None:
    with EmulatedStations.from_files(*FILES, seed=1) as both:
        both.emulation.set_up("alice", "bob", PARAMETERS, block_bits=BLOCK_BITS)  # which takes less to compute
        here, there = (Site(station, station.clock) for station in both)
        for site in (here, there):
            [entry] = site.station.half_links.values()
            site.station.half_link("field").switches["switch"].connect(*entry.paths["A"]["switch"][0])

        live((here, there), lambda: len(here.names) > 1 and len(there.names) > 1, 600)
        assert set(here.names) & set(there.names)
        assert here.end.supervisor.status(0.0).phase is Phase.RUNNING
        assert here.line().running
        assert here.station.device("alice", hal.Transmitter).link() == hal.LinkSelection("TKRX0001", "A", 1)
        assert "AUTH_KEY_LOW" not in here.told

        both.emulation.order("cut", "A")
        live((here, there), lambda: ("LOS", "bob") in there.alarms, 120)
        live((here, there), lambda: there.state is hal.UnitState.REALIGN, 120)
        attempts = there.end.supervisor.attempts.times
        drawn = len(there.names)
        begin_ns = here.clock.monotonic_ns()
        live((here, there), lambda: here.clock.monotonic_ns() - begin_ns > 100e9, 110)
        assert there.end.supervisor.attempts.times == attempts  # a cut fibre costs nothing
        assert (here.state in hal.RUNNING, here.line().running) == (True, False)  # alice shines, and nobody sees it
        assert "the other end" in here.line().why
        there.book.raise_("STOCK_LOW", hal.Severity.WARNING, "otemachi", "few keys are ready")  # as its core does
        live((here, there), lambda: len(there.book.standing()) > 2, 10)
        cut, *others = there.book.standing()
        assert (cut.code, cut.of, cut.cause) == ("LOS", "bob", None)
        assert {one.code for one in others} >= {"RATE_LOW", "STOCK_LOW"}
        assert {one.cause for one in others} == {("LOS", "bob")}
        called = [one.alarm.code for one in there.changes if one.change is Change.RAISED and one.alarm.cause is None]
        assert called[-1] == "LOS"
        both.emulation.order("mend", "A")
        live((here, there), lambda: len(there.names) > drawn + 1, 900)
        assert ("LOS", "bob") not in there.alarms
        left = there.book.standing()
        assert left[0].cause is None
        assert "STOCK_LOW" in {one.code for one in left}
        assert ("LOS", "bob") not in {one.cause for one in left}

        here.end.feed(Maintenance(True, "ann"))
        unit = here.station.device("alice", hal.Transmitter)
        unit.stop()
        begin_ns = here.clock.monotonic_ns()
        live((here, there), lambda: here.clock.monotonic_ns() - begin_ns > 10e9, 20)
        assert here.state is hal.UnitState.STANDBY
        here.end.feed(Maintenance(False))
        drawn = len(here.names)
        live((here, there), lambda: len(here.names) > drawn, 600)


NEC = {
    "toshiba.": "nec.",
    "TKTX": "TKNT",
    "TKRX": "TKNR",
    "serial:/tmp/tokaido-two-nodes/alice?baudrate=115200": "visa:TCPIP::127.0.0.1::5036::SOCKET",
    "serial:/tmp/tokaido-two-nodes/bob?baudrate=115200": "visa:TCPIP::127.0.0.1::5037::SOCKET",
    "{ warm = true }": "{ warm = true, sub_channels = 1 }",
    "loss_db = 7.5": "loss_db = 19",
}


def test_units_of_the_other_style_come_to_keys_by_the_same_supervisor(tmp_path: Path) -> None:
    files = []
    for file in FILES:
        text = file.read_text(encoding="utf-8")
        for old, new in NEC.items():
            text = text.replace(old, new)
        files.append(tmp_path / file.name)
        files[-1].write_text(text, encoding="utf-8")
    with EmulatedStations.from_files(*files, seed=1) as both:
        both.emulation.set_up("alice", "bob", optics("nec"), block_bits=BLOCK_BITS)
        here, there = (Site(station, station.clock) for station in both)
        for site in (here, there):
            [entry] = site.station.half_links.values()
            site.station.half_link("field").switches["switch"].connect(*entry.paths["A"]["switch"][0])
        live((here, there), lambda: min(len(here.names), len(there.names)) > 0, 600)
        assert set(here.names) & set(there.names)
        both.emulation.order("fault", "alice", "laser_power_loss")
        live((here, there), lambda: here.state is hal.UnitState.FAULT, 60)
        live((here, there), lambda: here.end.supervisor.attempts.failures > 2, 60)
        assert here.state is hal.UnitState.FAULT
        both.emulation.order("mend", "alice")
        drawn = len(there.names)
        live((here, there), lambda: len(there.names) > drawn, 600)
        assert here.end.supervisor.attempts.failures == 0
