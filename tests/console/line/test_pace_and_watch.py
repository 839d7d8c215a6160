"""How fast the time of spans passes, and how a line is watched."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import tokaido.hal as hal
from tokaido.console._line.pace import CAP_BPS, FAST, LOW_BITS, Pace, capped
from tokaido.console._line.watch import LineWatch, Seen


class Door:
    """A back door that notes what it is told."""

    def __init__(self) -> None:
        self.speeds: list[float] = []
        self.deaf = False

    def run_at(self, speed: float) -> None:
        if self.deaf:
            raise hal.TransportError("nobody is there")
        self.speeds.append(speed)

    def emulated_s(self) -> float:
        return 12.5

    def speed(self) -> float:
        return 3.0


def seen(*, running: bool, stock_bits: int, number: int = 1) -> Seen:
    end: Any = SimpleNamespace(name="a-b", running=running, stock_bits=stock_bits)
    node: Any = SimpleNamespace(links=(end,), pairs=())
    return Seen(number, {"a": node, "b": node}, {"a-b": 1.0}, {"a-b": FAST})


def test_a_span_is_fast_until_both_ends_have_key_and_then_keeps_the_cap() -> None:
    door: Any = Door()
    pace = Pace.of({"a-b": door}, {"a-b": 10 * CAP_BPS})
    pace.keep(seen(running=False, stock_bits=0))
    pace.keep(seen(running=True, stock_bits=LOW_BITS - 1))
    assert door.speeds == []  # it begins fast
    pace.keep(seen(running=True, stock_bits=LOW_BITS))
    pace.keep(seen(running=True, stock_bits=LOW_BITS))
    assert door.speeds == [0.1]
    pace.keep(seen(running=False, stock_bits=LOW_BITS))
    assert door.speeds == [0.1, FAST]
    pace.hurry["a-b"] = 10.0
    pace.keep(seen(running=True, stock_bits=LOW_BITS))
    assert door.speeds == [0.1, FAST, 10.0]


def test_an_order_that_nobody_took_is_given_again() -> None:
    door: Any = Door()
    pace = Pace.of({"a-b": door}, {"a-b": 10 * CAP_BPS})
    door.deaf = True
    pace.keep(seen(running=True, stock_bits=LOW_BITS))
    door.deaf = False
    pace.keep(seen(running=True, stock_bits=LOW_BITS))
    assert door.speeds == [0.1]


def test_a_span_with_few_clicks_runs_in_real_time_at_most() -> None:
    assert capped(CAP_BPS / 2) == 1.0
    assert capped(0.0) == 1.0
    assert capped(4 * CAP_BPS) == 0.25


def test_the_watch_tells_listeners_and_waits_for_what_comes(tmp_path: Path) -> None:
    door: Any = Door()
    numbers: list[int] = []
    watch = LineWatch({"nobody": tmp_path / "nobody.sock"}, {"a-b": door})
    watch.listen(lambda now: numbers.append(now.number))
    with watch:
        found = watch.wait_for("two looks", lambda now: now.number >= 2, hal.Deadline(hal.SYSTEM_CLOCK, 20))
        assert found.nodes == {"nobody": None}
        assert (found.emulated_s, found.speeds) == ({"a-b": 12.5}, {"a-b": 3.0})
        assert not found.runs("a-b")
        assert found.ready("nobody", "a") == 0
        with pytest.raises(hal.DeviceTimeoutError, match="waited until the moon is blue"):
            watch.wait_for("the moon is blue", lambda _: False, hal.Deadline(hal.SYSTEM_CLOCK, 0.2))
    assert numbers[:2] == [1, 2]
