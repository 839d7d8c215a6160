"""The thread that owns a store: it carries out what waits in one transaction, and tells each who waits."""

from __future__ import annotations

import asyncio
import queue
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from tokaido.node.store._errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokaido.hal import KeyMaterial
    from tokaido.node.core._actions import Commit
    from tokaido.node.core._writes import Snapshot
    from tokaido.node.store._sqlite import SqliteStore

T = TypeVar("T")

MOST: Final = 256
"""Most commits in one transaction, so that the first of them does not wait for ever."""
FAILED_S: Final = 60.0
"""How long a failed store is left alone when nobody asks for anything, in s."""


class _Job(NamedTuple):
    work: Commit | Callable[[SqliteStore], object]
    future: asyncio.Future[Any]


class StoreThread:
    """Opens a store in a thread of its own, and closes it there. All its methods are for one event loop.

    Commits are carried out in the order of `commit`'s calls; all that wait share one transaction. If it fails, so do
    all of them and all later ones: start another thread.

    Args:
        open_store: Called in the thread: `lambda: SqliteStore.open(path, key)`.
    """

    def __init__(self, open_store: Callable[[], SqliteStore]) -> None:
        self._open = open_store
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ended: asyncio.Future[None] | None = None
        self._closing = False

    async def start(self) -> Snapshot:
        """Open the store and return all that a core starts from.

        Raises:
            StoreError: It cannot be opened, or the thread was started before.
        """
        if self._loop is not None:
            raise StoreError("this thread of a store was started before", remedy="Start another one")
        self._loop = asyncio.get_running_loop()
        self._ended = self._loop.create_future()
        opened: asyncio.Future[Snapshot] = self._loop.create_future()
        threading.Thread(target=self._run, args=(opened,), name="store", daemon=True).start()
        return await opened

    def commit(self, commit: Commit) -> asyncio.Future[tuple[KeyMaterial, ...]]:
        """Hand in a commit; the future gives what it loaded once it is durable, or StoreError.

        It is carried out even if nobody waits for it any more; then the key that it loaded is wiped.
        """
        return self._hand_in(commit)

    async def call(self, work: Callable[[SqliteStore], T]) -> T:
        """Return what `work` returns for the store, in the thread: `lambda store: store.records.alarms()`.

        Raises:
            StoreError: The store failed, now or before, or the thread ended.
        """
        result: T = await self._hand_in(work)
        return result

    async def close(self, timeout_s: float = 30.0) -> None:
        """Let all that was handed in be carried out, close the store and end the thread. May be called again.

        Raises:
            StoreError: It did not end in time; commits that were told are durable.
        """
        if self._ended is None:
            return
        if not self._closing:
            self._closing = True
            self._jobs.put(None)
        try:
            await asyncio.wait_for(asyncio.shield(self._ended), timeout_s)
        except TimeoutError as error:
            raise StoreError(
                "the store was not closed in time", remedy="Look at its disk; end the process", elapsed_s=timeout_s
            ) from error

    def _hand_in(self, work: Commit | Callable[[SqliteStore], object]) -> asyncio.Future[Any]:
        loop = self._loop or asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        if self._ended is None or self._closing or self._ended.done():
            future.set_exception(StoreError("the thread of the store does not run", remedy="Start one"))
        else:
            self._jobs.put(_Job(work, future))
        return future

    # --- in the thread ----------------------------------------------------------------------------------------------

    def _run(self, opened: asyncio.Future[Snapshot]) -> None:
        ended = self._ended
        assert ended is not None
        try:
            store = self._open()
        except Exception as error:  # noqa: BLE001 - told to whom it concerns
            self._tell([(opened, None, error), (ended, None, None)])
            return
        try:
            try:
                snapshot = store.snapshot()
            except Exception as error:  # noqa: BLE001
                self._tell([(opened, None, error)])
                return
            self._tell([(opened, snapshot, None)])
            self._serve(store)
        finally:
            store.close()
            self._tell([(ended, None, None)])

    def _serve(self, store: SqliteStore) -> None:
        going_on = True
        while going_on:
            jobs: list[_Job] = []
            with suppress(queue.Empty):
                job = self._jobs.get(timeout=_tended(store))
                while True:
                    if job is None:
                        going_on = False
                        break
                    jobs.append(job)
                    if len(jobs) == MOST:
                        break
                    job = self._jobs.get_nowait()
            self._commit(store, [job for job in jobs if not callable(job.work)])
            for job in jobs:
                if callable(job.work):
                    self._call(store, job)

    def _commit(self, store: SqliteStore, jobs: list[_Job]) -> None:
        if not jobs:
            return
        commits: list[Any] = [job.work for job in jobs]
        try:
            loaded = store.commit(commits)
        except Exception as error:  # noqa: BLE001
            self._tell([(job.future, None, error) for job in jobs])
        else:
            self._tell([(job.future, keys, None) for job, keys in zip(jobs, loaded, strict=True)])

    def _call(self, store: SqliteStore, job: _Job) -> None:
        work: Any = job.work
        try:
            result = work(store)
        except Exception as error:  # noqa: BLE001
            self._tell([(job.future, None, error)])
        else:
            self._tell([(job.future, result, None)])

    def _tell(self, outcomes: list[tuple[asyncio.Future[Any], object, Exception | None]]) -> None:
        loop = self._loop
        assert loop is not None
        try:
            loop.call_soon_threadsafe(_settle, outcomes)
        except RuntimeError:  # the loop is closed: nobody waits any more
            for _, value, _ in outcomes:
                _wipe(value)


def _tended(store: SqliteStore) -> float:
    try:
        return store.tend()
    except StoreError:  # the next one who asks is told
        return FAILED_S


def _settle(outcomes: list[tuple[asyncio.Future[Any], object, Exception | None]]) -> None:
    for future, value, error in outcomes:
        if future.done():  # who waited gave up
            _wipe(value)
        elif error is not None:
            future.set_exception(error)
        else:
            future.set_result(value)


def _wipe(value: object) -> None:
    if isinstance(value, tuple):
        for key in value:
            wipe = getattr(key, "wipe", None)
            if wipe is not None:
                wipe()
