"""The thread that owns a store: commits in order and in groups, told to who waits, and the end of it all."""

from __future__ import annotations

import asyncio
import resource
import threading
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tokaido.hal import KeyMaterial
from tokaido.node.core import Block, Commit, Count, PutBlock, Range, SetMarks, Write
from tokaido.node.store import SqliteStore, StoreError, StoreThread
from tokaido_testing.forks import in_a_fork
from tokaido_testing.patience import patient

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from pathlib import Path

KEY = bytes(range(32))
NAME = "link", "session", 0
BLOCK = bytes(range(250)) * 80


class Noting(SqliteStore):
    """A store that notes how many commits come at a time."""

    groups: list[int]

    def commit(self, commits: Sequence[Commit]) -> list[tuple[KeyMaterial, ...]]:
        self.groups.append(len(commits))
        return super().commit(commits)


def run(path: Path, work: Callable[[StoreThread], Awaitable[None]]) -> list[int]:
    """Do `work` with a thread, and return how many commits were in each transaction."""
    groups: list[int] = []

    def opened() -> SqliteStore:
        store = Noting.open(path, KeyMaterial(KEY), create=True)
        store.groups = groups
        return store

    async def main() -> None:
        thread = StoreThread(opened)
        await thread.start()
        try:
            await work(thread)
        finally:
            await thread.close()

    asyncio.run(asyncio.wait_for(main(), patient(20)))
    return groups


async def held(thread: StoreThread) -> threading.Event:
    """Let the thread wait until the event is set, and return the event."""
    begun, go_on = threading.Event(), threading.Event()

    def wait(store: SqliteStore) -> None:
        begun.set()
        go_on.wait(patient(10))

    asyncio.ensure_future(thread.call(wait))  # noqa: RUF006 - ends with the event
    while not begun.is_set():
        await asyncio.sleep(0.001)
    return go_on


def count(number: int) -> Commit:
    return Commit(number, (Count("link:a", {"drawn": number}),))


def test_what_waits_goes_into_one_transaction_in_order(tmp_path: Path) -> None:
    async def work(thread: StoreThread) -> None:
        go_on = await held(thread)
        block = PutBlock(Block(*NAME, len(BLOCK)), KeyMaterial(BLOCK))
        told: list[int] = []

        def note(number: int, future: asyncio.Future[tuple[KeyMaterial, ...]]) -> None:
            told.append(number)

        futures = [thread.commit(Commit(0, (block,)))]
        for number in range(1, 51):
            begin, end = (number - 1) * 100, number * 100
            futures.append(thread.commit(Commit(number, (SetMarks(NAME, own=end),), (Range(NAME, 0, begin, end),))))
        for number, future in enumerate(futures):
            future.add_done_callback(partial(note, number))
        go_on.set()
        loaded = await asyncio.gather(*futures)
        assert told == list(range(51))
        assert b"".join(bytes(key.reveal()) for keys in loaded for key in keys) == BLOCK[:5000]

    assert run(tmp_path / "store", work) == [51]


def test_one_transaction_takes_no_more_than_so_many(tmp_path: Path) -> None:
    async def work(thread: StoreThread) -> None:
        go_on = await held(thread)
        futures = [thread.commit(count(number)) for number in range(600)]
        go_on.set()
        await asyncio.gather(*futures)
        assert await thread.call(lambda store: store.snapshot().counters) == {"link:a": {"drawn": 300 * 599}}

    assert run(tmp_path / "store", work) == [256, 256, 88]


def test_key_that_was_loaded_for_who_left_is_wiped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wiped: list[int] = []
    monkeypatch.setattr(KeyMaterial, "wipe", lambda key: wiped.append(len(key)))

    async def work(thread: StoreThread) -> None:
        await thread.commit(Commit(0, (PutBlock(Block(*NAME, len(BLOCK)), KeyMaterial(BLOCK)),)))
        go_on = await held(thread)
        future = thread.commit(Commit(1, (SetMarks(NAME, own=100),), (Range(NAME, 0, 0, 100),)))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(future, 0.01)
        go_on.set()
        assert await thread.call(lambda store: store.snapshot().blocks[0].own) == 100
        assert wiped.count(100) == 1

    run(tmp_path / "store", work)


@pytest.mark.parametrize("failing", [(Range(("none", "", 0), 0, 0, 1),), ()], ids=["load", "size"])
def test_a_commit_that_fails_fails_all_of_its_transaction_and_all_that_follow(
    tmp_path: Path, failing: tuple[Range, ...]
) -> None:
    async def work(thread: StoreThread) -> None:
        await thread.commit(count(1))
        go_on = await held(thread)
        wrong: tuple[Write, ...] = () if failing else (PutBlock(Block(*NAME, 5), KeyMaterial(BLOCK)),)
        futures = [thread.commit(count(2)), thread.commit(Commit(3, wrong, failing)), thread.commit(count(4))]
        go_on.set()
        outcomes = await asyncio.gather(*futures, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [StoreError] * 3
        with pytest.raises(StoreError, match="failed before"):
            await thread.commit(count(5))
        with pytest.raises(StoreError, match="failed before"):
            await thread.call(lambda store: store.records.devices())

    run(tmp_path / "store", work)
    store = SqliteStore.open(tmp_path / "store", KeyMaterial(KEY))
    assert store.snapshot().counters == {"link:a": {"drawn": 1}}
    store.close()


def test_a_full_disk_is_told_to_all_who_wait(tmp_path: Path) -> None:
    async def work(thread: StoreThread) -> None:
        await thread.commit(count(1))
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
        outcomes = await asyncio.gather(*(thread.commit(count(2)) for _ in range(20)), return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {StoreError}

    assert in_a_fork(lambda: run(tmp_path / "store", work)) == ""


def test_a_fault_of_a_call_is_its_callers_alone(tmp_path: Path) -> None:
    async def work(thread: StoreThread) -> None:
        with pytest.raises(ZeroDivisionError):
            await thread.call(lambda store: 1 / 0)
        await thread.commit(count(1))

    assert run(tmp_path / "store", work) == [1]


def test_a_store_that_cannot_be_opened_is_told_at_the_start(tmp_path: Path) -> None:
    async def main() -> None:
        thread = StoreThread(lambda: SqliteStore.open(tmp_path / "store", KeyMaterial(KEY)))
        with pytest.raises(StoreError, match="there is no store"):
            await thread.start()
        with pytest.raises(StoreError, match="does not run"):
            await thread.commit(count(1))
        with pytest.raises(StoreError, match="was started before"):
            await thread.start()
        await thread.close()

    asyncio.run(main())


def test_what_was_handed_in_is_carried_out_before_the_end_and_nothing_after_it(tmp_path: Path) -> None:
    async def main() -> None:
        thread = StoreThread(lambda: SqliteStore.open(tmp_path / "store", KeyMaterial(KEY), create=True))
        with pytest.raises(StoreError, match=r"does not run\. Start one"):
            await thread.commit(count(1))
        assert (await thread.start()).counters == {}
        future = thread.commit(count(1))
        closing = asyncio.ensure_future(thread.close())
        await asyncio.sleep(0)
        with pytest.raises(StoreError, match="does not run"):
            await thread.commit(count(2))
        await closing
        assert future.done()
        await thread.close()

    asyncio.run(main())
    store = SqliteStore.open(tmp_path / "store", KeyMaterial(KEY))
    assert store.snapshot().counters == {"link:a": {"drawn": 1}}
    store.close()


def test_a_disk_that_hangs_does_not_hang_the_end(tmp_path: Path) -> None:
    async def main() -> None:
        thread = StoreThread(lambda: SqliteStore.open(tmp_path / "store", KeyMaterial(KEY), create=True))
        await thread.start()
        go_on = await held(thread)
        with pytest.raises(StoreError, match="was not closed in time"):
            await thread.close(timeout_s=0.02)
        go_on.set()
        await thread.close()

    asyncio.run(main())


def test_a_loop_that_ends_first_leaves_a_whole_store(tmp_path: Path) -> None:
    go_on: list[threading.Event] = []

    async def main() -> None:
        thread = StoreThread(lambda: SqliteStore.open(tmp_path / "store", KeyMaterial(KEY), create=True))
        await thread.start()
        go_on.append(await held(thread))
        _ = thread.commit(count(1))
        with pytest.raises(StoreError):
            await thread.close(timeout_s=0.01)

    asyncio.run(main())
    (worker,) = [each for each in threading.enumerate() if each.name == "store"]
    go_on[0].set()
    worker.join(patient(10))
    store = SqliteStore.open(tmp_path / "store", KeyMaterial(KEY))
    assert store.snapshot().counters == {"link:a": {"drawn": 1}}
    store.close()
