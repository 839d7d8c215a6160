"""A transport belongs to the process that opened it: a fork is refused, and leaves its parent's connection alone."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, get_args

import pytest

from tokaido.hal import ClosedError
from tokaido_testing.forks import in_a_fork
from tokaido_testing.rigs import Kind

if TYPE_CHECKING:
    from tokaido_testing.rigs import Rig


every_kind = pytest.mark.parametrize("rig", get_args(Kind), indirect=True)


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
