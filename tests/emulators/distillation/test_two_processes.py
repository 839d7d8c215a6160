"""Two operating-system processes, one end in each: what one holds is nowhere in the other."""

from __future__ import annotations

import multiprocessing
import socket
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pytest

from tokaido_testing.distillation import count_in_memory, raw_data, serve_side

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.process import BaseProcess

    from numpy.typing import NDArray

ROLES = "transmitter", "receiver"
SPOKEN_OF, KEPT = slice(5000, 5192), slice(-800, -608)
"""Detections that were announced, and detections at the end that were not, since they are of no block that ended."""


class PipeEnd(Protocol):
    """A connection of multiprocessing, whose class depends on the platform."""

    def send(self, obj: Any, /) -> None: ...
    def recv(self) -> Any: ...
    def poll(self, timeout: float, /) -> bool: ...


class Side:
    """One end in a process of its own."""

    def __init__(self, process: BaseProcess, bench: PipeEnd, columns: dict[str, NDArray[np.uint8]]) -> None:
        self.process = process
        self.bench = bench
        self.columns = columns

    def canaries(self) -> dict[str, bytes]:
        """Return what nobody but this end may hold.

        Of the detections that were announced those are the bits, in the order of the slots, where those of unequal
        bases stand between, and the intensities, of which those are never told. The bases become public with them, so
        they are secret of the rest alone.
        """
        patterns = {}
        for name, column in self.columns.items():
            for where, places in (("spoken of", SPOKEN_OF), ("kept", KEPT)):
                if name == "basis" and places is SPOKEN_OF:
                    continue
                patterns[f"{name} {where}, a byte each"] = column[places].tobytes()
            start = (column.size - 800) // 8
            patterns[f"{name} kept, packed"] = np.packbits(column == 1)[start : start + 24].tobytes()
        return patterns

    def count(self, patterns: dict[str, bytes]) -> dict[str, int]:
        assert self.process.pid is not None
        try:
            return count_in_memory(self.process.pid, patterns)
        except PermissionError:
            pytest.skip("this system lets nobody look into the memory of a process")


def pass_time(sides: list[Side], end: int) -> list[str]:
    """Tell both ends how far time has come, the transmitter first, until each says what came of its first block."""
    said: dict[int, str] = {}
    for until in [end * (part + 1) // 60 for part in range(60)]:
        for number, side in enumerate(sides):
            if number in said:
                continue
            side.bench.send(until)
            assert side.bench.poll(30)
            answer = side.bench.recv()
            if answer != until:  # it was done before it heard of the time
                said[number] = answer
    for number, side in enumerate(sides):
        if number not in said:
            assert side.bench.poll(30)
            said[number] = side.bench.recv()
    return [said[number] for number in range(len(sides))]


@pytest.fixture(scope="module")
def sides() -> Iterator[tuple[Side, Side]]:
    """Two ends that agreed on a key and hold still."""
    transmitter, receiver = raw_data(63_000, 0.02)
    records = (
        (transmitter.slots, (transmitter.basis, transmitter.bit, transmitter.intensity)),
        (receiver.slots, (receiver.basis, receiver.bit)),
    )
    context = multiprocessing.get_context("spawn")
    wires = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    with ExitStack() as stack:
        made: list[Side] = []
        for role, wire, (slots, secrets) in zip(ROLES, wires, records, strict=True):
            bench, far = context.Pipe()
            process = context.Process(target=serve_side, args=(role, wire, far), daemon=True)
            process.start()
            stack.callback(process.join, 10)
            stack.callback(bench.send, None)
            far.close()
            bench.send((slots, *secrets))
            made.append(Side(process, bench, dict(zip(("basis", "bit", "intensity"), secrets, strict=False))))
        for wire in wires:
            wire.close()
        digests = pass_time(made, int(transmitter.slots[-1]) + 1)
        assert len(digests[0]) == 64, digests
        assert digests[0] == digests[1]
        yield made[0], made[1]
    assert [side.process.exitcode for side in made] == [0, 0]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_two_processes_agree_over_a_socket_and_neither_holds_the_other_s_raw_data(sides: tuple[Side, Side]) -> None:
    for owner, other in (sides, sides[::-1]):
        patterns = owner.canaries()
        assert len(set(patterns.values())) == len(patterns)
        control = owner.count(patterns)
        assert not [name for name, times in control.items() if not times], "the scan does not find what is there"
        found = other.count(patterns)
        assert not [name for name, times in found.items() if times], "an end holds raw data of the other"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_the_scan_finds_in_either_end_what_the_other_told_it(sides: tuple[Side, Side]) -> None:
    transmitter, receiver = sides
    bases = receiver.columns["basis"][40_000:41_000]
    keep = transmitter.columns["basis"][40_000:41_000] == bases
    for owner, column in ((transmitter, bases), (receiver, keep)):  # packed from the block's first detection on
        patterns = {f"{shift}": np.packbits(column[shift : shift + 512]).tobytes() for shift in range(8)}
        assert any(owner.count(patterns).values())
