"""A bench as a user meets it: threads, wires, and the real drivers of units and switch."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

import tokaido.hal as hal
from tokaido.emulators import Bench
from tokaido_testing.bench import BLOCK_BITS, PARAMETERS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PATHS = {"bob": "A", "dave": "B"}
SERIALS = {"alice": "TKTX0001", "bob": "TKRX0001", "dave": "TKRX0002"}


def read_key(file: Path) -> hal.KeyMaterial:
    return hal.KeyMaterial(file.read_bytes())


class Site:
    """One transmitter that a switch leads to one of two receivers."""

    def __init__(self, bench: Bench, stack: ExitStack) -> None:
        self.bench = bench
        emulators = {
            name: bench.device(
                name, f"toshiba.{'transmitter' if name == 'alice' else 'receiver'}", serial_number=serial, warm=True
            )
            for name, serial in SERIALS.items()
        }
        west = bench.device("west", "polatis.matrix", wire_end="tcp", inputs=4, outputs=4)
        bench.join("alice", "west.in1")
        for number, (name, path) in enumerate(PATHS.items(), 1):
            bench.fibre(path, length_km=20, loss_db=5.0)
            bench.join(f"west.out{number}", f"{path}.a")
            bench.join(f"{path}.b", name)
            bench.set_up("alice", name, PARAMETERS, block_bits=BLOCK_BITS)
        self.alice = stack.enter_context(
            hal.Transmitter.open("toshiba.transmitter", timeout=10, **emulators["alice"].resources)
        )
        self.receivers = {
            name: stack.enter_context(hal.Receiver.open("toshiba.receiver", timeout=10, **emulators[name].resources))
            for name in PATHS
        }
        self.west = stack.enter_context(hal.OpticalSwitch.open("polatis.matrix", **west.resources))
        for name, path in PATHS.items():
            file = bench.preshared_key("alice", name, path)
            for unit, peer in ((self.alice, name), (self.receivers[name], "alice")):
                with read_key(file) as key:
                    unit.load_preshared_key(key, peer=SERIALS[peer], path=path)
            self.receivers[name].select_link(SERIALS["alice"], path)

    def bring_up(self, name: str) -> None:
        """Select the link to a receiver, align, and exchange keys."""
        receiver = self.receivers[name]
        if self.alice.state() is not hal.UnitState.AUTH:
            self.alice.stop()
        self.alice.select_link(SERIALS[name], PATHS[name])
        for unit in (self.alice, receiver):
            unit.wait_for(hal.UnitState.STANDBY, timeout=20)
        for unit in (self.alice, receiver):
            unit.start()

    def draw(self, name: str) -> None:
        """Draw a block of this link at both ends, and compare; blocks of the other link come first."""
        digests = []
        for unit in (self.alice, self.receivers[name]):
            for block in unit.key_blocks(timeout=60):
                with block:
                    digest = block.info.session, block.info.number, block.key.digest(bytes(16))
                    block.key.wipe()
                if block.info.path == PATHS[name]:
                    digests.append(digest)
                    break
        assert len(digests) == 2
        assert digests[0] == digests[1]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with Bench(seed=7, speed=20, directory=tmp_path) as bench, ExitStack() as stack:
        yield Site(bench, stack)


def test_a_switch_moved_by_its_driver_darkens_one_link_and_makes_another_align(site: Site) -> None:
    bench, bob, dave = site.bench, site.receivers["bob"], site.receivers["dave"]
    site.west.connect(1, 1)
    bench.start()
    site.bring_up("bob")
    assert bob.clock_power > -10
    site.draw("bob")
    with pytest.raises(hal.NoDataError):
        _ = dave.clock_power

    site.west.replace({1: 2})
    path = bench.path("alice", "dave")
    assert path is not None
    assert (path.id, bench.path("alice", "bob")) == ("B", None)
    bench_s = bench.emulated_s
    while bench.emulated_s < bench_s + 0.5:  # one poll of a monitor
        time.sleep(0.005)
    with pytest.raises(hal.NoDataError):
        _ = bob.clock_power
    site.bring_up("dave")
    assert dave.clock_power > -10
    site.draw("dave")


def test_a_bench_ends_with_nothing_left_behind(tmp_path: Path) -> None:
    threads = threading.active_count()
    with Bench(speed=20, directory=tmp_path) as bench, ExitStack() as stack:
        Site(bench, stack)
        bench.start()
        assert threading.active_count() > threads
        assert list(tmp_path.glob("*.psk"))
        assert {oct(file.stat().st_mode)[-3:] for file in tmp_path.glob("*.psk")} == {"600"}
    assert threading.active_count() == threads
    assert list(tmp_path.iterdir()) == []
