"""The asyncio face: typed, one thread a device, never two exchanges at once."""

from __future__ import annotations

import asyncio
import threading

import tokaido.hal as hal
from tokaido.hal.driver import Answer
from tokaido_testing.toys import Toy


class SlowToy(Toy):
    """Takes 50 ms to answer and notices two exchanges at once."""

    def __init__(self) -> None:
        super().__init__({"POW": "-0.5", "CNT": "3"})
        self._busy = threading.Lock()
        self._overlaps = 0
        self._closed = threading.Event()
        self._threads: set[int] = set()

    def _ask(self, command: str) -> Answer:
        self._threads.add(threading.get_ident())
        if not self._busy.acquire(blocking=False):
            self._overlaps += 1
        hal.SYSTEM_CLOCK.wait(0.05)
        self._busy.release()
        return super()._ask(command)

    def close(self) -> None:
        """Note that it was closed."""
        self._closed.set()


def test_gets_are_typed_and_run_one_after_another() -> None:
    toy = SlowToy()

    async def run() -> None:
        async with hal.aio.open(lambda: toy) as device:
            values = await asyncio.gather(*(device.get(Toy.power) for _ in range(4)))
            assert values == [-0.5, -0.5, -0.5, -0.5]
            await device.set(Toy.attenuation, 12.5)
            assert (await device.call(Toy.identity)).serial_number == "TOY0001"

    asyncio.run(run())
    assert toy._overlaps == 0
    assert len(toy._threads) == 1
    assert toy._closed.is_set()


def test_a_cancelled_get_lets_its_exchange_end_before_the_next() -> None:
    toy = SlowToy()

    async def run() -> None:
        async with hal.aio.open(lambda: toy) as device:
            task = asyncio.create_task(device.get(Toy.power))
            await asyncio.sleep(0.01)
            task.cancel()
            assert await device.get(Toy.count) == 3

    asyncio.run(run())
    assert toy._overlaps == 0


def test_a_device_that_came_up_for_nobody_is_closed() -> None:
    toy = SlowToy()

    def slow_open() -> Toy:
        hal.SYSTEM_CLOCK.wait(0.1)
        return toy

    async def enter() -> None:
        async with hal.aio.open(slow_open):
            raise AssertionError("it was cancelled before")

    async def run() -> None:
        task = asyncio.create_task(enter())
        await asyncio.sleep(0.02)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await asyncio.to_thread(toy._closed.wait, 2)

    asyncio.run(run())
    assert toy._closed.is_set()
