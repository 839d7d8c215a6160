"""Several programs that move one link: they never interleave, and one that died or froze harms nobody."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import tokaido.hal as hal
import tokaido_testing
from tokaido_testing.moves import check_whole
from tokaido_testing.toy_clock import ToyClock
from tokaido_testing.toy_link import World

ORDERS = 11
"""How many orders a good move gives."""

MOVER = """
import os, signal, sys
from pathlib import Path
import tokaido.hal as hal
from tokaido_testing.toy_link import World

book, log = sys.argv[1], Path(sys.argv[2])

class Logged(World):
    def save(self, path):
        with path.open("a") as file:
            file.write(f"{os.getpid()}\\n")

world = Logged()
world.saved = log
for to in "BAB":
    while True:
        try:
            world.link().move(to, leases=hal.LeaseBook(book, clock=world.clock), lease_seconds=86400)
            break
        except hal.LeaseHeldError:
            hal.SYSTEM_CLOCK.wait(0.001)
"""

VICTIM = """
import os, signal, sys
from pathlib import Path
import tokaido.hal as hal
from tokaido_testing.toy_link import World

class Doomed(World):
    def save(self, path):
        super().save(path)
        if len(self.log) == int(sys.argv[3]):
            os.kill(os.getpid(), signal.SIGKILL)

world = Doomed()
world.saved = Path(sys.argv[2])
world.link().move("B", leases=hal.LeaseBook(sys.argv[1], clock=world.clock), holder="victim")
"""


def run(code: str, *arguments: object) -> subprocess.Popen[bytes]:
    support = Path(tokaido_testing.__path__[0]).parent
    environment = {**os.environ, "PYTHONPATH": str(support)}
    return subprocess.Popen([sys.executable, "-c", code, *map(str, arguments)], env=environment)


def test_two_processes_never_interleave_their_orders(tmp_path: Path) -> None:
    running = [run(MOVER, tmp_path / "leases.sqlite", tmp_path / "log") for _ in range(2)]
    assert [process.wait(40) for process in running] == [0, 0]
    blocks = [len(list(block)) for _, block in itertools.groupby((tmp_path / "log").read_text().split())]
    assert all(length % ORDERS == 0 for length in blocks), blocks
    assert sum(blocks) == 2 * 3 * ORDERS


@pytest.mark.parametrize("killed_after", range(1, ORDERS + 1))
def test_what_a_killed_coordinator_left_another_finishes(killed_after: int, tmp_path: Path) -> None:
    book, state = tmp_path / "leases.sqlite", tmp_path / "world.json"
    assert run(VICTIM, book, state, killed_after).wait(30) == -signal.SIGKILL
    world = World(ToyClock(1020))
    world.load(state)
    to = "AB"[killed_after % 2]
    leases = hal.LeaseBook(book, clock=world.clock)
    with pytest.raises(hal.LeaseHeldError, match="victim"):
        world.link().move(to, leases=leases)
    assert world.counts.total() == 0
    world.clock.wait(20)
    report = world.link().move(to, leases=leases, start=True)
    assert report.fencing_token == 2
    check_whole(world, to)


@pytest.mark.parametrize("frozen_at", ["prepare", "fence", "switch", "verify", "light", "align", "start"])
def test_one_that_was_frozen_beyond_its_lease_orders_nothing_more(frozen_at: str, tmp_path: Path) -> None:
    world = World()
    leases = hal.LeaseBook(tmp_path / "leases.sqlite", clock=world.clock)
    given: list[int] = []

    def freeze(step: str) -> None:
        if step == frozen_at:
            world.clock.wait(40)
            assert world.link().move("A", leases=leases, start=True).fencing_token == 2
            given.append(len(world.log))

    with pytest.raises(hal.MoveError, match=r"taken over by|ran out") as caught:
        world.link().move("B", leases=leases, on_step=freeze)
    assert world.log[given[0] :] == []
    assert not caught.value.rolled_back or frozen_at == "prepare"
    check_whole(world, "A")


@pytest.mark.parametrize(("frozen_at", "device"), [("fence", "alice"), ("light", "bob")])
def test_one_that_froze_between_its_look_and_its_order_is_refused_by_the_unit(
    frozen_at: str, device: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World()
    leases = hal.LeaseBook(tmp_path / "leases.sqlite", clock=world.clock)
    keep, passes = hal.Lease.keep, list[int]()
    given: list[int] = []

    def look_just_before(lease: hal.Lease) -> None:
        if passes and lease.fencing_token == 1:
            passes.pop()
        else:
            keep(lease)

    def freeze(step: str) -> None:
        if step == frozen_at:
            world.clock.wait(40)
            world.link().move("A", leases=leases, start=False)
            given.append(len(world.log))
            passes.append(1)

    monkeypatch.setattr(hal.Lease, "keep", look_just_before)
    with pytest.raises(hal.MoveError, match="fence 1 is below 2") as caught:
        world.link().move("B", leases=leases, on_step=freeze)
    assert isinstance(caught.value.__cause__, hal.RefusedError)
    peer = {"alice": "RX-1", "bob": "TX-1"}[device]
    assert world.log[given[0] :] == [(device, f"select {peer} B 1")]
    for unit in (world.transmitter, world.receiver):
        unit.start()
    check_whole(world, "A")


def test_a_lease_lasts_as_long_as_its_holder_lives(tmp_path: Path) -> None:
    world = World()
    leases = hal.LeaseBook(tmp_path / "leases.sqlite", clock=world.clock)
    world.whole = set()
    with pytest.raises(hal.MoveError, match="no clock light") as caught:
        world.link().move("B", leases=leases, lease_seconds=5, light_timeout=20)
    assert caught.value.rolled_back  # after 20 s and more, under one lease
    assert caught.value.fencing_token == 1
