"""The asyncio face: typed, one thread a device, never two exchanges at once."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any, cast

import pytest

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


class Drawn(Toy):
    """Gives key blocks, each when it is told to, and notes what becomes of them."""

    def __init__(self) -> None:
        super().__init__({"POW": "-0.5"})
        self._gate = threading.Semaphore(0)
        self._threads: list[str] = []
        self._committed: list[int] = []
        self._keys: list[hal.KeyMaterial] = []
        self._left = threading.Event()

    def key_blocks(self, timeout: float, *, limit: int | None = None) -> Iterator[hal.KeyBlock]:
        """Give a block for every opening of the gate, until none comes for `timeout` s."""
        number = 0
        try:
            while (limit is None or number < limit) and self._gate.acquire(timeout=timeout):
                self._threads.append(threading.current_thread().name)
                key = hal.KeyMaterial(bytes([number] * 32))
                self._keys.append(key)
                facts = hal.KeyBlockFacts("S1", number, 256, "lim2014", "chernoff", 1e-10, True, True)
                yield hal.KeyBlock(hal.KeyBlockInfo.of(facts, "TOY0001"), key, lambda n=number: self._commit(n))  # type: ignore[misc]
                number += 1
        finally:
            self._left.set()

    def _commit(self, number: int) -> None:
        self._committed.append(number)
        self._threads.append(threading.current_thread().name)


def drawn(toy: Drawn) -> Any:
    """Open the toy as a unit, whose key blocks it has."""
    return hal.aio.open(lambda: cast("hal.Unit", toy))


def test_key_blocks_are_drawn_and_committed_in_a_thread_beside_the_device() -> None:
    toy = Drawn()

    async def run() -> list[int]:
        numbers = []
        async with drawn(toy) as device:
            toy._gate.release(3)
            async for block in device.key_blocks(0.05):
                async with block:
                    numbers.append(block.info.number)
                assert block.committed
        return numbers

    assert asyncio.run(run()) == [0, 1, 2]
    assert toy._committed == [0, 1, 2]
    assert {name.partition("_")[0] for name in toy._threads} == {"tokaido-draws"}
    assert toy._left.wait(2)


def test_a_wait_for_the_next_block_delays_no_reading() -> None:
    toy = Drawn()

    async def run() -> None:
        async with drawn(toy) as device:
            drawing = asyncio.create_task(anext(device.key_blocks(20)))
            await asyncio.sleep(0.05)
            assert await asyncio.wait_for(device.get(Toy.power), 5) == -0.5
            assert not drawing.done()
            toy._gate.release()
            assert (await drawing).info.number == 0

    asyncio.run(run())


def test_an_exception_leaves_a_block_offered() -> None:
    toy = Drawn()

    async def run() -> None:
        async with drawn(toy) as device:
            toy._gate.release()
            async for block in device.key_blocks(0.05):
                with pytest.raises(ZeroDivisionError):
                    async with block:
                        raise ZeroDivisionError

    asyncio.run(run())
    assert toy._committed == []


def test_a_block_that_comes_when_nobody_waits_any_more_is_wiped() -> None:
    toy = Drawn()

    async def run() -> None:
        async with drawn(toy) as device:
            drawing = asyncio.create_task(anext(device.key_blocks(20)))
            await asyncio.sleep(0.05)
            drawing.cancel()
            await asyncio.gather(drawing, return_exceptions=True)
            toy._gate.release()
            while not toy._keys:
                await asyncio.sleep(0.01)
            for _ in range(200):
                if toy._keys[0].wiped:
                    break
                await asyncio.sleep(0.01)

    asyncio.run(run())
    assert toy._keys[0].wiped
    assert toy._left.wait(2)


def test_a_loop_that_is_left_ends_the_iteration_in_its_own_thread() -> None:
    toy = Drawn()

    async def run() -> None:
        async with drawn(toy) as device:
            toy._gate.release(2)
            async for item in device.each(Drawn.key_blocks, 5.0):
                assert item.info.number == 0
                break

    asyncio.run(run())
    assert toy._left.wait(2)


def test_a_call_does_not_hand_out_a_generator() -> None:
    toy = Drawn()

    async def run() -> None:
        async with drawn(toy) as device:
            with pytest.raises(hal.ValueTypeError, match="key_blocks gives one thing after another"):
                await device.call(Drawn.key_blocks, 1.0)

    asyncio.run(run())
