"""Two sites that move the toy link, each with its own unit, switch and lease book; either dies where it is told to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

import tokaido.hal as hal
from tokaido.node.moving import (
    Act,
    Ask,
    Deed,
    Done,
    Failed,
    Follower,
    Leader,
    MoveRecord,
    Reply,
    Site,
    Stage,
    Wait,
    Write,
    packed,
    unpacked,
)
from tokaido_testing.toy_link import PATHS, SERIALS, STRANGERS, World

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tokaido.node.moving import Action, MoveAnswer, MoveOrder, Outcome

T = TypeVar("T")

NEAR: Final = frozenset({"alice", "west"})
LIVES_S: Final = 40.0
"""Longer than the lease of a node that died."""


class DiedError(BaseException):
    """A node died."""


class MortalWorld(World):
    """A world in which a node dies just after an order of it."""

    dies_after = -1

    def call(self, device: str, what: str, act: Callable[[], T], *, order: bool) -> T:
        """Carry out one call, and let the node die that gave it if it is time."""
        result = super().call(device, what, act, order=order)
        if order and len(self.log) - 1 == self.dies_after:
            raise DiedError("near" if device in NEAR else "far")
        return result


class TwoSites:
    """The nodes of both ends, without a network: what one says the other one hears at once."""

    def __init__(self, folder: Path) -> None:
        self.world = MortalWorld(receiver_switches=("east",))
        self.stations = {
            "near": self._station("otemachi", ("alice", "bob"), "west", "koganei", folder),
            "far": self._station("koganei", ("bob", "alice"), "east", "otemachi", folder),
        }
        self.notes: dict[str, bytes] = {}
        self.deaths: list[str] = []
        self.waits = 0
        self._live("near")
        self._live("far")

    def _station(self, name: str, units: tuple[str, str], switch: str, neighbour: str, folder: Path) -> hal.Station:
        world, (unit, peer) = self.world, units
        devices: dict[str, hal.Device] = {
            unit: world.transmitter if unit == "alice" else world.receiver,
            switch: world.switches[switch],
        }
        paths = {path: {switch: needs[switch]} for path, needs in PATHS.items()}
        half = hal.HalfLinkEntry("field", unit, neighbour, SERIALS[peer], paths, lease_file=folder / f"{name}.sqlite")
        entries = {each: hal.DeviceEntry(each, "toy", {}) for each in devices}
        station = hal.Station(name, entries, half_links={"field": half}, clock=world.clock, on_exit="keep")
        station._open.update(devices)
        return station

    def _live(self, end: str) -> None:
        site = Site(self.stations[end], "field", holder=f"node {end}")
        note = unpacked(self.notes[end]) if end in self.notes else None
        if end == "near":
            self.site = site
            self.leader = None if note is None else Leader(note, fenced=False)
        else:
            self.far_site = site
            self.follower = Follower(note)

    # --- a move -------------------------------------------------------------------------------------------------------

    def begin(self, to: str) -> None:
        """Begin as the daemon does."""
        before = self.site.look(to)
        record = MoveRecord(
            link="field",
            move=f"move {self.world.clock.monotonic_ns()}".encode().ljust(16)[:16],
            token=self.site.lease(),
            path=to,
            leads=True,
            stage=Stage.BEGUN,
            peer=SERIALS["bob"],
            before=before,
        )
        self.notes["near"] = packed(record)
        self.leader = Leader(record, fenced=True)

    def move(self, to: str) -> MoveRecord:
        """Move the link and return what the leader noted in the end, although nodes died on the way."""
        self.begin(to)
        return self.end()

    def end(self) -> MoveRecord:
        """Go on until the move is over."""
        for _ in range(400):
            assert self.leader is not None
            try:
                if (action := self.leader.next()) is None:
                    self.site.release()
                    return self.leader.record
                self.leader.took(self._done(action))
            except DiedError as died:
                self._dies(str(died))
        raise AssertionError(f"it does not end: {self.leader}")

    def _dies(self, end: str) -> None:
        self.deaths.append(end)
        self.world.clock.wait(LIVES_S)
        self._live(end)

    def _done(self, action: Action) -> Outcome:
        match action:
            case Write(record=record):
                self.notes["near"] = packed(record)
                return Done()
            case Act(deed=deed, record=record):
                return self._try(self.site, deed, record)
            case Ask(order=order):
                return self._ask(order)
            case _:
                assert isinstance(action, Wait)
                self.waits += 1
                if self.waits == 3:
                    self.world.fault = None
                self.world.clock.wait(2)
                return Done()

    def _ask(self, order: MoveOrder) -> Outcome:
        try:
            return Done(self.answer(order))
        except DiedError as died:
            self._dies(str(died))
            return Failed("no answer")

    def answer(self, order: MoveOrder) -> MoveAnswer:
        """Return the follower's answer."""
        self.follower.hear(order)
        while (action := self.follower.next()) is not None:
            match action:
                case Reply(answer=answer):
                    self.follower.took(Done())
                    if not self.follower.holds:
                        self.far_site.release()
                    return answer
                case Write(record=record):
                    self.notes["far"] = packed(record)
                    self.follower.took(Done())
                case Act(deed=Deed.CHECK):
                    try:
                        self.follower.took(Done(self.far_site.look_for(order)))
                    except hal.TokaidoError as error:
                        self.follower.took(Failed(str(error)))
                case Act(deed=deed, record=record):
                    self.follower.took(self._try(self.far_site, deed, record))
        raise AssertionError("no answer")

    def follower_alone(self) -> None:
        """Let the follower do what it wants without an order."""
        while (action := self.follower.next()) is not None:
            match action:
                case Write(record=record):
                    self.notes["far"] = packed(record)
                    self.follower.took(Done())
                case Act(deed=deed, record=record):
                    self.follower.took(self._try(self.far_site, deed, record))

    @staticmethod
    def _try(site: Site, deed: Deed, record: MoveRecord | None) -> Outcome:
        assert record is not None
        try:
            return Done(site.do(deed, record))
        except hal.TokaidoError as error:
            return Failed(str(error))

    # --- afterwards ---------------------------------------------------------------------------------------------------

    def supervise(self) -> None:
        """Do what the supervision of both nodes does when it has its units back."""
        world = self.world
        ends = [
            (world.transmitter, self.stations["near"].half_link("field")),
            (world.receiver, self.stations["far"].half_link("field")),
        ]
        for _ in range(8):
            for unit, half in ends:
                path, link, state = half.path(), unit.link(), unit.state()
                assert path is not None
                alone = "AUTH" in {one.state for one in world.units.values()} and state.value != "AUTH"
                if state is hal.UnitState.RUN and (alone or link.path != path):
                    unit.stop()
                elif state in hal.SETUP and (alone or link.path != path):
                    unit.select_link(half.entry.peer, path)
                elif state is hal.UnitState.STANDBY:
                    unit.start()
            world.clock.wait(1)
            world.runs()

    def check_on(self, path: str) -> None:
        """See that the link is whole, on that path, and that nothing forbidden happened on the way."""
        world = self.world
        assert world.violations == []
        assert {name: dict(joined) for name, joined in world.maps.items()} == {
            name: dict(pairs) | STRANGERS[name] for name, pairs in PATHS[path].items()
        }
        for end in ("near", "far"):
            assert end not in self.notes or unpacked(self.notes[end]).ended
        self.supervise()
        assert world.runs()
        assert {unit.path for unit in world.units.values()} == {path}
        assert world.violations == []
