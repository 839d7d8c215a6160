"""Which block ended last, and how: the figures that a unit tells are those of that block, and say so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import tokaido.hal as hal
from tokaido.emulators.testing import LinkInTest, World

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(params=["toshiba", "nec"])
def link(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[LinkInTest]:
    with World(seed=5, directory=tmp_path) as world:
        made = LinkInTest(world, request.param)
        made.wait_for(hal.UnitState.STANDBY)
        yield made


def test_a_block_that_gave_key_is_the_one_that_is_drawn_and_its_figures_say_so(link: LinkInTest) -> None:
    link.start()
    for unit in link.units:
        ended = unit.wait_for_block(120)
        assert ended.gave_key
        drawn = next(block.info for block in unit.key_blocks(5, limit=64) if block.info.number >= ended.number)
        assert (drawn.session, drawn.number, drawn.bits) == (ended.session, ended.number, ended.key_bits)
        assert ended.figures["qber"].block == (ended.session, ended.number)
        qber: float | None = ended.figures["qber"].value
        assert qber is not None
        assert 0 < qber < 0.1
        told = unit.telemetry()
        assert told["qber"].block is not None
        assert told["qber"].block[1] >= ended.number
        assert told["uptime"].block is None
        assert told["qber"].record()["session"] == ended.session


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [("few_statistics", "NO_KEY"), ("verification_failure", "EC_FAIL"), ("qber_high", "DROPPED")],
)
def test_a_block_without_a_key_says_why_and_has_no_figure_of_another(
    link: LinkInTest, fault: str, outcome: str
) -> None:
    link.start()
    receiver = link.receiver
    assert receiver.wait_for_block(120).gave_key
    before = receiver.telemetry()["qber"].value
    bob = link.world.bench.devices["bob"]
    with bob.lock:
        bob.add_fault(fault)
    told: dict[str, hal.Reading[Any]] = dict(receiver.telemetry())
    last = str(told["last_block"].value)
    session, number, *rest = last.split("/")
    assert rest == [outcome, "0"]
    assert told["qber"].value != before
    assert told["qber_check"].quality is hal.Quality.BAD
    assert "ended before it was measured" in told["qber_check"].error or "gives none" in told["qber_check"].error
    assert told["qber_check"].block == (session, int(number))


def test_a_unit_that_makes_no_blocks_says_so_at_once(link: LinkInTest) -> None:
    clock = link.world.clock
    began_ns = clock.monotonic_ns()
    with pytest.raises(hal.StateError, match="in STANDBY"):
        link.receiver.wait_for_block(120)
    assert clock.monotonic_ns() - began_ns < 2 * hal.NS_PER_S


def test_no_block_in_time_is_a_timeout_and_a_session_that_ends_is_told(link: LinkInTest) -> None:
    link.start()
    link.wait_for(hal.UnitState.RUN)
    with pytest.raises(hal.DeviceTimeoutError, match="no block ended"):
        link.receiver.wait_for_block(0.001)
    bob = link.world.bench.devices["bob"]
    with bob.lock:
        bob.add_fault("qber_abort")
    with pytest.raises(hal.StateError, match=r"SECURITY_HOLD \(.*QBER_ABORT"):
        link.receiver.wait_for_block(120)
