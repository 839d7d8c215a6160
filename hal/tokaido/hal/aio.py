"""The asyncio face of the drivers: one thread a device, and one typed facade over all of them.

    async with hal.aio.open(hal.Transmitter.open, "toshiba.transmitter", control="serial:/dev/qkd/TKTX0001") as tx:
        power = await tx.get(hal.Transmitter.laser_power)
        await tx.call(hal.Transmitter.start)
        async for block in tx.key_blocks(timeout=5):
            async with block:
                await store(block.info, block.key)

A cancelled `await` never interleaves exchanges: the one that runs ends in the device's thread before the next begins.
Drawing has a thread of its own beside the device's, so that a wait for the next key block delays no reading.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from inspect import isgenerator
from typing import TYPE_CHECKING, Concatenate, Final, Generic, ParamSpec, Self, TypeVar

from tokaido.hal._device import Device
from tokaido.hal._errors import ValueTypeError
from tokaido.hal._keys import KeyBlock
from tokaido.hal.roles._key_sources import KeySource
from tokaido.hal.stations._alarm_looks import StationAlarm

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Iterator
    from types import TracebackType

    from tokaido.hal._keys import KeyBlockInfo, KeyMaterial
    from tokaido.hal._readings import Telemetry
    from tokaido.hal._values import Measured, Query, Setting
    from tokaido.hal.stations._alarm_hooks import AlarmHook
    from tokaido.hal.stations._station import Station

T = TypeVar("T")
D = TypeVar("D", bound=Device)
U = TypeVar("U", bound=KeySource)
P = ParamSpec("P")
_END: Final = object()


class AioKeyBlock:
    """One drawn key block. `async with block:` commits on a clean exit; an exception leaves it offered."""

    def __init__(self, block: KeyBlock, worker: ThreadPoolExecutor) -> None:
        self._block = block
        self._worker = worker

    @property
    def info(self) -> KeyBlockInfo:
        """What is public about the block."""
        return self._block.info

    @property
    def key(self) -> KeyMaterial:
        """The key."""
        return self._block.key

    @property
    def lost(self) -> int | None:
        """How many blocks were lost just before this one, as `KeyBlock.lost`."""
        return self._block.lost

    @property
    def committed(self) -> bool:
        """Whether the unit was told that the block is stored."""
        return self._block.committed

    async def commit(self) -> None:
        """Tell the unit that the block is stored. May be called again.

        Raises:
            OutcomeUnknownError: The unit's answer was lost. Commit again: the unit takes it once.
            TokaidoError: Anything else that kept the unit from answering.
        """
        await asyncio.get_running_loop().run_in_executor(self._worker, self._block.commit)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            await self.commit()

    def __repr__(self) -> str:
        return repr(self._block)


class AioDevice(Generic[D]):
    """A device whose calls are awaited."""

    def __init__(self, device: D, executor: ThreadPoolExecutor) -> None:
        self._device = device
        self._executor = executor

    @property
    def device(self) -> D:
        """The device itself; its own methods block."""
        return self._device

    async def get(self, value: Measured[T]) -> T:
        """Read one value: `await dev.get(hal.Transmitter.laser_power)`."""
        return await self._run(lambda: self._device.read(value))

    async def set(self, value: Setting[T], to: T) -> None:
        """Set one value: `await dev.set(hal.Transmitter.attenuation, 12.5)`."""
        await self._run(lambda: self._device.write(value, to))

    async def ask(self, value: Query[T]) -> T:
        """Ask for a state or flag: `await dev.ask(hal.Transmitter.state)`."""
        return await self._run(lambda: self._device.ask(value))

    async def call(self, method: Callable[Concatenate[D, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a method of the device's class: `await dev.call(hal.Transmitter.start)`.

        Raises:
            ValueTypeError: The method gives one thing after another; `each` iterates over them.
        """
        own = self._own(method)

        def work() -> T:
            found = own(self._device, *args, **kwargs)
            if isgenerator(found):
                found.close()
                raise ValueTypeError(
                    f"{getattr(method, '__name__', 'this method')} gives one thing after another",
                    remedy="Iterate: async for item in device.each(method, ...); key blocks by device.key_blocks(...)",
                )
            return found

        return await self._run(work)

    async def each(
        self, method: Callable[Concatenate[D, P], Iterator[T]], *args: P.args, **kwargs: P.kwargs
    ) -> AsyncGenerator[T]:
        """Iterate over what a method gives: `async for event in dev.each(hal.Unit.telemetry_stream, 1.0, 5.0)`.

        Each step runs in a thread of its own beside the device's. A loop that is left or cancelled ends the iteration
        there, after the step that runs. Use `key_blocks` for key blocks.
        """
        own = self._own(method)
        steps = _Steps(lambda: own(self._device, *args, **kwargs))
        try:
            while (item := await steps.next()) is not _END:
                yield item  # type: ignore[misc]
        finally:
            steps.end()

    async def key_blocks(
        self: AioDevice[U], timeout: float, *, limit: int | None = None
    ) -> AsyncGenerator[AioKeyBlock]:
        """Draw key blocks, as `KeySource.key_blocks` does, without keeping the event loop waiting.

        A block that comes when nobody waits any more is wiped here. A unit offers it again; a source that keeps none,
        as with a master's end, has lost it.

        Args:
            timeout: How long to wait for the next block, in s.
            limit: Most blocks to draw; default: no limit.
        """
        steps = _Steps(lambda: self._device.key_blocks(timeout, limit=limit))
        try:
            while isinstance(block := await steps.next(), KeyBlock):
                yield AioKeyBlock(block, steps.worker)
        finally:
            steps.end()

    def _own(self, method: Callable[Concatenate[D, P], T]) -> Callable[Concatenate[D, P], T]:
        """Return the driver's own method of that name."""
        found: Callable[Concatenate[D, P], T] = getattr(type(self._device), getattr(method, "__name__", ""), method)
        return found

    async def telemetry(self) -> Telemetry:
        """Read every value, bulk first."""
        return await self._run(self._device.telemetry)

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)


@asynccontextmanager
async def open(opener: Callable[P, D], *args: P.args, **kwargs: P.kwargs) -> AsyncIterator[AioDevice[D]]:
    """Open a device in a thread of its own and close it in the end, as its `with` block does.

    Args:
        opener: `hal.Transmitter.open` or another role's; its return type is the device's.
        args: What the opener takes.
        kwargs: What the opener takes by name.
    """
    executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="tokaido-device")
    loop = asyncio.get_running_loop()
    try:
        opening = loop.run_in_executor(executor, lambda: opener(*args, **kwargs))
        try:
            device = await asyncio.shield(opening)
        except asyncio.CancelledError:
            opening.add_done_callback(_close_orphan)
            raise
        failed = True
        try:
            yield AioDevice(device, executor)
            failed = False
        finally:
            await asyncio.shield(loop.run_in_executor(executor, lambda: device._leave(quiet=failed)))
    finally:
        executor.shutdown(wait=False)


async def alarms(
    station: Station, *, timeout: float | None = None, poll: float = 1.0, hooks: Iterable[AlarmHook] = ()
) -> AsyncGenerator[StationAlarm]:
    """Watch the alarms of a station, as `Station.alarms` does, without keeping the event loop waiting.

    `async for alarm in hal.aio.alarms(station):`. A loop that is cancelled ends the watch at once.
    """
    watch = station.alarms(timeout=timeout, poll=poll, hooks=hooks)
    steps = _Steps(lambda: iter(watch))
    try:
        while isinstance(alarm := await steps.next(), StationAlarm):
            yield alarm
    finally:
        watch.stop()
        steps.end()


def _close_orphan(opening: asyncio.Future[D]) -> None:
    """Close a device that came up after nobody waited for it any more."""
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()


class _Steps(Generic[T]):
    """An iteration whose steps run in a thread of its own."""

    def __init__(self, begin: Callable[[], Iterator[T]]) -> None:
        self.worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="tokaido-draws")
        self._begin = begin
        self._items: Iterator[T] | None = None

    async def next(self) -> T | object:
        """Return the next item, or `_END`."""
        step = asyncio.get_running_loop().run_in_executor(self.worker, self._step)
        try:
            return await asyncio.shield(step)
        except asyncio.CancelledError:
            step.add_done_callback(_drop)
            raise

    def _step(self) -> T | object:
        if self._items is None:
            self._items = self._begin()
        return next(self._items, _END)

    def end(self) -> None:
        """End the iteration after the step that runs."""
        self.worker.submit(self._close)
        self.worker.shutdown(wait=False)

    def _close(self) -> None:
        if isgenerator(self._items):
            self._items.close()


def _drop(step: asyncio.Future[object]) -> None:
    """Take what came when nobody waited for it any more; a key is wiped."""
    if step.cancelled() or step.exception() is not None:
        return
    if isinstance(found := step.result(), KeyBlock):
        found.key.wipe()
