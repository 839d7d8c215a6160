"""A transport belongs to the process that opened it: a fork is refused, and leaves its parent's connection alone."""

from __future__ import annotations

import os
import traceback
from typing import TYPE_CHECKING, get_args

import pytest

from tokaido.hal import ClosedError
from tokaido_testing.rigs import Kind

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokaido_testing.rigs import Rig


every_kind = pytest.mark.parametrize("rig", get_args(Kind), indirect=True)


def in_a_fork(work: Callable[[], None]) -> str:
    """Run `work` in a child process and return what went wrong there."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            work()
        except BaseException:  # noqa: BLE001 - the parent tells
            os.write(writing, traceback.format_exc().encode()[-4000:])
        os._exit(0)
    os.close(writing)
    told = b""
    while piece := os.read(reading, 4096):
        told += piece
    os.close(reading)
    os.waitpid(child, 0)
    return told.decode()


@every_kind
def test_a_fork_is_refused_and_its_parent_goes_on(rig: Rig) -> None:
    rig.ask(1)
    generation = rig.transport.generation

    def use() -> None:
        for number in (2, 3):
            with pytest.raises(ClosedError, match=rf"process {os.getppid()} opened the device") as caught:
                rig.ask(number)
            assert caught.value.device
            assert "Open the device again" in str(caught.value)
        rig.transport.close()

    assert in_a_fork(use) == ""
    assert [rig.ask(number) for number in (4, 5)]
    assert (rig.transport.generation, rig.wrong) == (generation, [])
    assert rig.times_asked(2) == 0


@every_kind
def test_a_transport_that_was_not_opened_yet_may_be_opened_by_a_fork(rig: Rig) -> None:
    if rig.kind == "zmq":
        pytest.skip("ZeroMQ's context belongs to the process that made it")

    def use() -> None:
        assert [rig.ask(number) for number in (1, 2)]

    assert in_a_fork(use) == ""
