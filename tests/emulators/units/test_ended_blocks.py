"""Which block ended last, and how: the figures that a unit tells are those of that block, and say so."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

import tokaido.hal as hal
from tokaido.emulators.testing import LinkInTest, World
from tokaido.emulators.units import BlockOutcome
from tokaido_testing.bench import BLOCK_BITS
from tokaido_testing.pairs import FAMILIES, optics

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@contextmanager
def standing_by(vendor: str, directory: Path) -> Iterator[LinkInTest]:
    with World(seed=5, directory=directory) as world:
        made = LinkInTest(world, vendor)
        world.bench.set_up("alice", "bob", optics(vendor), block_bits=BLOCK_BITS)
        made.wait_for(hal.UnitState.STANDBY)
        yield made


@pytest.fixture(params=FAMILIES)
def link(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[LinkInTest]:
    with standing_by(request.param, tmp_path) as made:
        yield made


@pytest.fixture(scope="module", params=FAMILIES)
def running(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LinkInTest]:
    """A link that exchanges keys, for tests after which it goes on."""
    with standing_by(request.param, tmp_path_factory.mktemp("running")) as made:
        made.start()
        yield made


def test_a_block_that_gave_key_is_the_one_that_is_drawn_and_its_figures_say_so(running: LinkInTest) -> None:
    link = running
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
    running: LinkInTest, fault: str, outcome: str
) -> None:
    link, receiver = running, running.receiver
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
    assert "gives none" in told["qber_check"].error
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


def when_asked_for_its_state(unit: hal.Unit, nth: int, do: Callable[[], None], patch: pytest.MonkeyPatch) -> None:
    """Let something happen just before the unit is asked for its state for the nth time from now."""
    ask, asked = type(unit).ask, 0

    def asking(self: hal.Unit, value: Any) -> Any:
        nonlocal asked
        if value.name == "state":
            asked += 1
            if asked == nth:
                do()
        return ask(self, value)

    patch.setattr(type(unit), "ask", asking)


def test_a_block_that_ends_the_session_is_returned_whenever_it_ends(
    link: LinkInTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    link.start()
    link.wait_for(hal.UnitState.RUN)
    bob = link.world.bench.devices["bob"]

    def abort() -> None:
        with bob.lock:
            bob.add_fault("qber_abort")

    when_asked_for_its_state(link.receiver, 1, abort, monkeypatch)
    ended = link.receiver.wait_for_block(120)
    assert (ended.outcome, ended.key_bits) == ("QBER_ABORT", 0)
    assert link.receiver.state() is hal.UnitState.SECURITY_HOLD


def test_a_block_that_is_locked_away_later_is_not_another_one(
    running: LinkInTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    link, receiver = running, running.receiver
    first = receiver.wait_for_block(120)
    bob = link.world.bench.devices["bob"]
    seen: list[tuple[str, object, object]] = []

    def lock_away() -> None:
        with bob.lock:
            blocks = bob.model.blocks  # type: ignore[attr-defined]
            session, number = blocks.session, int(blocks.reading("last_block").value.split("/")[1])
            qber = blocks.reading("qber").value
            blocks.block_ended(session, BlockOutcome("QUARANTINE", number=number))
            seen.append((blocks.reading("last_block").value, qber, blocks.reading("qber").value))

    when_asked_for_its_state(receiver, 1, lock_away, monkeypatch)
    following = receiver.wait_for_block(120)
    ((last, before, after),) = seen
    assert last == f"{first.session}/{first.number}/QUARANTINE/0"
    assert before == after  # the figures are still those of that block
    assert following.number == first.number + 1
    assert following.gave_key
