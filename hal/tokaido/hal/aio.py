"""The asyncio face of the drivers: one thread a device, and one typed facade over all of them.

    async with hal.aio.open(hal.Transmitter.open, "toshiba.transmitter", control="serial:/dev/qkd/TKTX0001") as tx:
        power = await tx.get(hal.Transmitter.laser_power)
        await tx.call(hal.Transmitter.start)

A cancelled `await` never interleaves exchanges: the one that runs ends in the device's thread before the next begins.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Concatenate, Generic, ParamSpec, TypeVar

from tokaido.hal._device import Device

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from tokaido.hal._readings import Telemetry
    from tokaido.hal._values import Measured, Query, Setting

T = TypeVar("T")
D = TypeVar("D", bound=Device)
P = ParamSpec("P")


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
        """Call a method of the device's class: `await dev.call(hal.Transmitter.start)`."""
        name = getattr(method, "__name__", "")
        own: Callable[Concatenate[D, P], T] = getattr(type(self._device), name, method)
        return await self._run(lambda: own(self._device, *args, **kwargs))

    async def telemetry(self) -> Telemetry:
        """Read every value, bulk first."""
        return await self._run(self._device.telemetry)

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)


@asynccontextmanager
async def open(opener: Callable[P, D], *args: P.args, **kwargs: P.kwargs) -> AsyncIterator[AioDevice[D]]:
    """Open a device in a thread of its own and close it in the end.

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
        try:
            yield AioDevice(device, executor)
        finally:
            await asyncio.shield(loop.run_in_executor(executor, device.close))
    finally:
        executor.shutdown(wait=False)


def _close_orphan(opening: asyncio.Future[D]) -> None:
    """Close a device that came up after nobody waited for it any more."""
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()
