"""A state or flag that a user forgot to ask for: `if tx.emitting:` must not pass silently."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import tokaido.hal as hal
from tokaido.emulators import launch

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def tx() -> Iterator[Any]:
    with (
        launch("toshiba.transmitter", warm=True) as box,
        hal.Transmitter.open("toshiba.transmitter", control=box.resources["control"]) as unit,
    ):
        yield unit


def test_a_query_that_is_called_is_asked(tx: Any) -> None:
    assert tx.state() in hal.UnitState
    assert tx.emitting() in (True, False)


def test_every_query_of_a_device_has_no_truth_of_its_own(tx: Any) -> None:
    for name in tx.queries():
        with pytest.raises(hal.ValueTypeError, match=rf"Call it: {name}\(\)"):
            bool(getattr(tx, name))


def test_a_query_equals_nothing(tx: Any) -> None:
    with pytest.raises(TypeError, match=r"Call it: state\(\)"):
        _ = tx.state == hal.UnitState.RUN
    with pytest.raises(TypeError, match=r"Call it: state\(\)"):
        _ = tx.state != hal.UnitState.RUN
    with pytest.raises(TypeError, match=r"Call it: state\(\)"):
        _ = tx.state in (hal.UnitState.RUN, hal.UnitState.STANDBY)


def test_it_says_what_it_is(tx: Any) -> None:
    assert repr(tx.state) == "<query state, asked by state()>"
    assert "UnitState" in tx.state.__doc__
