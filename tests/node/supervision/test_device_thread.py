"""The thread of one device: what it tells, blocks that wait for the store, devices that hang, and its end."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from tokaido.hal import (
    SYSTEM_CLOCK,
    Deadline,
    KeyBlock,
    KeyBlockInfo,
    KeyMaterial,
    NotConnectedError,
    OutcomeUnknownError,
    UnitState,
)
from tokaido.node.core import Fetch
from tokaido.node.supervision import (
    BlockDrawn,
    BlockOffered,
    DeviceEvent,
    DeviceLoop,
    DeviceThread,
    Done,
    Draw,
    Draws,
    Failed,
    LoadPresharedKey,
    NotFetchedBlock,
    Outcome,
    Reopen,
    Start,
    UnitOrder,
    UnitRead,
    Unreachable,
)
from tokaido_testing.toy_clock import ToyClock

if TYPE_CHECKING:
    from collections.abc import Iterator

READ = UnitRead(UnitState.RUN)


class Box:
    """A device that does as a test says."""

    name = "alice"

    def __init__(self) -> None:
        self.blocks: list[KeyBlock] = []
        self.committed: list[int] = []
        self.reads = 0
        self.error: Exception | None = None
        self.draw_error: Exception | None = None
        self.lost_commits = 0
        self.hangs = threading.Event()
        self.hangs.set()
        self.orders: list[UnitOrder] = []
        self.loaded: list[tuple[bytes, str, str]] = []

    def load_preshared_key(self, key: KeyMaterial, peer: str, path: str) -> tuple[str, str]:
        if self.error is not None:
            raise self.error
        self.loaded.append((bytes(key.reveal()), peer, path))
        return peer, path

    def read(self) -> UnitRead:
        self.reads += 1
        self.hangs.wait(30)
        if self.error is not None:
            raise self.error
        return READ

    def carry_out(self, order: UnitOrder) -> Done | Failed:
        self.orders.append(order)
        if self.error is not None:
            raise self.error
        return Done(order)

    def key_blocks(self, most: int) -> Iterator[KeyBlock]:
        if self.draw_error is not None:
            raise self.draw_error
        yield from self.blocks[:most]

    def fetch(self, action: Fetch) -> KeyBlock:
        if self.error is not None:
            raise self.error
        return self.block(action.number)

    def block(self, number: int) -> KeyBlock:
        info = KeyBlockInfo("s", number, 64, "m", "b", 1e-10, False, True, serial_number="TKTX0001")

        def commit() -> None:
            if self.lost_commits:
                self.lost_commits -= 1
                raise OutcomeUnknownError("lost")
            self.committed.append(number)
            self.blocks = [block for block in self.blocks if block.info.number != number]

        return KeyBlock(info, KeyMaterial(bytes(8)), commit)


class Node:
    """What the node's loop does with what it is told."""

    def __init__(self, box: Box, *, answers: str | None = None, silent: bool = False) -> None:
        self.told: list[DeviceEvent] = []
        self.answers, self.silent = answers, silent
        self.loop = DeviceLoop(box, self.hear, clock=ToyClock())

    def hear(self, event: DeviceEvent) -> None:
        self.told.append(event)
        if isinstance(event, BlockOffered) and not self.silent:
            self.loop.settle(event.draw, self.answers)

    def kinds(self) -> list[str]:
        return [type(event).__name__ for event in self.told]


def test_a_block_is_committed_after_the_store_took_it_and_then_told() -> None:
    box = Box()
    box.blocks = [box.block(1), box.block(2)]
    node = Node(box)
    node.loop.order(Draw(True))
    node.loop.turn()
    assert node.kinds() == ["UnitRead", "BlockOffered", "BlockDrawn", "BlockOffered", "BlockDrawn"]
    assert box.committed == [1, 2]


@pytest.mark.parametrize("silent", [False, True])
def test_a_block_that_the_store_did_not_take_stays_at_its_source(silent: bool) -> None:
    box = Box()
    box.blocks = [box.block(1), box.block(2)]
    node = Node(box, answers="the store is full", silent=silent)
    node.loop.order(Draw(True))
    node.loop.turn()
    assert node.kinds() == ["UnitRead", "BlockOffered"]  # and the next one is not even drawn
    assert box.committed == []
    if silent:
        [offered] = [event for event in node.told if isinstance(event, BlockOffered)]
        node.loop.settle(offered.draw, None)  # too late
        assert box.committed == []


def test_a_commit_whose_answer_is_lost_is_given_again() -> None:
    box = Box()
    box.blocks, box.lost_commits = [box.block(1)], 2
    node = Node(box)
    node.loop.order(Draw(True))
    node.loop.turn()
    assert (box.committed, BlockDrawn() in node.told) == ([1], True)


def test_draws_that_fail_are_told_and_tried_more_seldom_and_reading_goes_on() -> None:
    box, clock = Box(), ToyClock()
    node = Node(box)
    node.loop = DeviceLoop(box, node.hear, clock=clock)
    node.loop.order(Draw(True))
    box.draw_error = NotConnectedError("no peer")
    for _ in range(60):
        node.loop.turn()
        clock.wait(1.0)
    failed = node.kinds().count("Draws")
    assert 3 < failed < 8
    assert box.reads > 55
    box.draw_error = None
    for _ in range(60):
        node.loop.turn()
        clock.wait(1.0)
    assert node.told[-1] == READ
    assert [event for event in node.told if isinstance(event, Draws)][-1] == Draws("")


def test_a_device_that_cannot_be_read_is_left_alone_until_it_is_to_be_reached_again() -> None:
    box, clock = Box(), ToyClock()
    node = Node(box)
    node.loop = DeviceLoop(box, node.hear, clock=clock)
    box.error = ZeroDivisionError("somebody else's driver")
    for _ in range(5):
        node.loop.turn()
        clock.wait(10.0)
    assert node.told == [Unreachable("ZeroDivisionError: somebody else's driver")]
    assert box.reads == 1
    box.error = None
    node.loop.order(Reopen())
    node.loop.turn()
    assert node.told[-1] == READ


def test_each_order_is_answered_and_the_device_is_read_at_once_after_it() -> None:
    box = Box()
    node = Node(box)
    node.loop.turn()
    node.loop.order(Start())
    node.loop.turn()
    assert node.told == [READ, Done(Start()), READ]
    box.error = ZeroDivisionError("oh")
    node.loop.order(Start())
    node.loop.turn()
    assert node.told[3:] == [
        Failed(Start(), Outcome.UNKNOWN, "ZeroDivisionError: oh"),
        Unreachable("ZeroDivisionError: oh"),
    ]


def test_a_block_is_fetched_by_its_ids_or_told_that_it_is_not() -> None:
    box = Box()
    node = Node(box)
    action = Fetch("field", "s", 7, ("id",))
    node.loop.order(action)
    node.loop.turn()
    [offered] = [event for event in node.told if isinstance(event, BlockOffered)]
    assert offered.block.info.number == 7
    assert box.committed == [7]
    box.error = NotConnectedError("gone")
    node.loop.order(action)
    node.loop.turn()
    assert NotFetchedBlock(action, "gone") in node.told


def test_nothing_of_a_key_shows_in_what_is_told() -> None:
    box = Box()
    assert "KeyMaterial" not in repr(BlockOffered(1, box.block(1)))


# --- threads ----------------------------------------------------------------------------------------------------------


def wait_for(event: threading.Event) -> None:
    assert SYSTEM_CLOCK.wait(20, event)


def test_a_device_that_hangs_holds_up_no_other_and_not_the_end() -> None:
    hung, well = Box(), Box()
    hung.hangs.clear()
    read = threading.Event()
    after_end: list[DeviceEvent] = []
    one = DeviceThread(hung, after_end.append, poll_s=0.01)
    two = DeviceThread(well, lambda event: read.set() if well.reads > 3 else None, poll_s=0.01)
    one.start()
    two.start()
    wait_for(read)
    deadline = Deadline(SYSTEM_CLOCK, 20)
    for thread in (one, two):
        thread.end()
    assert two.join(10)
    assert not one.join(0.1)
    hung.hangs.set()
    assert one.join(10)
    assert after_end == []  # what it found out after the end concerns nobody
    assert not deadline.passed


def test_a_block_is_settled_from_another_thread_and_a_thread_that_waits_for_it_ends_at_once() -> None:
    box = Box()
    box.blocks = [box.block(1)]
    offered, drawn = threading.Event(), threading.Event()
    draws: list[int] = []

    def hear(event: DeviceEvent) -> None:
        if isinstance(event, BlockOffered):
            draws.append(event.draw)
            offered.set()
        if isinstance(event, BlockDrawn):
            drawn.set()

    thread = DeviceThread(box, hear, poll_s=0.01)
    thread.start()
    thread.order(Draw(True))
    wait_for(offered)
    assert box.committed == []
    offered.clear()
    thread.settle(draws[-1], None)
    wait_for(drawn)
    assert box.committed == [1]
    box.blocks = [box.block(2)]
    wait_for(offered)
    deadline = Deadline(SYSTEM_CLOCK, 20)
    thread.end()
    assert thread.join()
    assert deadline.elapsed_s < 4.5  # less than the store may take
    assert box.committed == [1]


def test_a_thread_that_never_started_has_ended() -> None:
    assert DeviceThread(Box(), lambda event: None).join()


def test_a_preshared_key_is_loaded_once_and_wiped_whatever_becomes_of_it() -> None:
    box = Box()
    node = Node(box)
    orders = [LoadPresharedKey(KeyMaterial(b"k" * 32), "TKRX0001", "A") for _ in range(3)]
    given_up, taken, failed = orders
    node.loop.order(given_up)
    node.loop.order(taken)
    assert given_up.done.cancel()
    node.loop.turn()
    assert box.loaded == [(b"k" * 32, "TKRX0001", "A")]
    assert taken.done.result(0) == ("TKRX0001", "A")
    box.error = OutcomeUnknownError("lost")
    node.loop.order(failed)
    node.loop.turn()
    assert isinstance(failed.done.exception(0), OutcomeUnknownError)
    assert all(order.key.wiped for order in orders)
    assert "k" * 4 not in repr(orders)
