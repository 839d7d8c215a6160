"""What a ZeroMQ transport leaves when it is dropped, interrupted or reopened often: nothing."""

from __future__ import annotations

import gc
import itertools
import os
import sys
import time
import weakref
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tokaido.hal import TransportError
from tokaido.hal.transports import ZmqTransport
from tokaido_testing.patience import patient
from tokaido_testing.rigs import Rig, message

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.filterwarnings("ignore:Unclosed socket:ResourceWarning")


def descriptors() -> int:
    """Return how many descriptors this process has."""
    return len(list(Path("/proc/self/fd").iterdir()))


def comes_down_to(most: int) -> bool:
    """Return whether so few descriptors are left soon: libzmq closes in a thread of its own."""
    end_s = time.monotonic() + patient(2.0)
    while descriptors() > most:
        if time.monotonic() > end_s:
            return False
        time.sleep(0.005)
    return True


@pytest.fixture
def box(make_rig: Callable[..., Rig]) -> Rig:
    rig = make_rig("zmq")
    rig.ask(0)
    return rig


def another(box: Rig) -> ZmqTransport:
    """Return one more transport to the box."""
    return ZmqTransport(box.transport.resource, timeout_s=patient(1.0))


@pytest.mark.parametrize("cyclic", [False, True], ids=["at once", "by the garbage collector"])
def test_transports_that_are_dropped_after_a_fault_leave_nothing(box: Rig, cyclic: bool) -> None:
    before = descriptors()
    for number in range(1, 13):
        transport = another(box)
        if cyclic:
            transport.on_open(lambda transport=transport: None)  # type: ignore[misc]
        transport.open()
        box.peer.fault("drop")
        with pytest.raises(TransportError):
            transport.exchange(message(f"V{number}?"), 0.01)
        transport.open()
        del transport
    gc.collect()
    assert comes_down_to(before)
    for _ in range(3):  # and sockets that are closed in order do not wait for one that cannot be
        with another(box) as transport:
            transport.open()
    assert comes_down_to(before)


class Strike:
    """Ctrl-C at one line of some files: `with Strike(n, "_zmq"): ...` raises where the n-th line would run."""

    def __init__(self, line: int, *stems: str) -> None:
        self.left = line
        self._stems = stems

    def _trace(self, frame: Any, event: str, _: object) -> Any:
        if not frame.f_code.co_filename.endswith(tuple(f"/{stem}.py" for stem in self._stems)):
            return None
        if event == "line":
            self.left -= 1
            if self.left == 0:
                sys.settrace(None)
                raise KeyboardInterrupt
        return self._trace

    def __enter__(self) -> None:
        self._before = sys.gettrace()
        sys.settrace(self._trace)

    def __exit__(self, *_: object) -> None:
        sys.settrace(self._before)


@pytest.mark.parametrize("afterwards", ["closed", "dropped"])
def test_ctrl_c_at_any_line_of_opening_and_closing_leaves_nothing(box: Rig, afterwards: str) -> None:
    before = descriptors()
    line, struck = 0, True
    while struck:
        line += 1
        transport = another(box)
        strike = Strike(line, "_zmq", "_zmq_sockets")
        with suppress(KeyboardInterrupt), strike:
            transport.open()
            transport.close()
        struck = strike.left <= 0
        if afterwards == "closed":
            transport.close()
        del transport
    assert line > 50  # it came through
    gc.collect()
    assert comes_down_to(before)


def test_a_fork_that_ends_in_order_leaves_the_sockets_of_its_parent(box: Rig) -> None:
    """Also where a child ends as programs do, and what is to be closed at the end of a process is closed."""
    child = os.fork()
    if child == 0:
        weakref.finalize._exitfunc()  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert box.ask(1) == "1 BOX1"
    assert box.transport.generation == 1


def test_hundreds_of_faulty_reconnects_stay_flat(box: Rig) -> None:
    """The run of 10,000 is `benchmarks/reconnects.py`."""
    before = descriptors()
    faults = itertools.cycle(["drop", "cut", "garble", "endless"])
    for number in range(1, 121):
        box.peer.fault(next(faults))
        with suppress(TransportError):
            box.ask(number, 0.02)
        assert descriptors() <= before + 40  # a few that the reaper has still to close
    box.peer.heal()
    assert box.ask(121, patient(1.0)) == "121 BOX1"
    assert comes_down_to(before)
