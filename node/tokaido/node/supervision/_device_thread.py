"""The thread of one device: it reads, draws key blocks and gives orders, and tells all of it to the node's loop."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field
from itertools import count
from math import inf
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

from tokaido.hal import NS_PER_S, SYSTEM_CLOCK, OutcomeUnknownError, TokaidoError
from tokaido.node.core import Fetch
from tokaido.node.supervision._orders import (
    BlockDrawn,
    Done,
    Draw,
    Draws,
    Failed,
    LoadPresharedKey,
    Outcome,
    Reopen,
    SupervisorEvent,
    UnitOrder,
    UnitRead,
    Unreachable,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tokaido.hal import Clock, KeyBlock, KeyMaterial

MOST_BLOCKS: Final = 16
"""Most blocks that are drawn between two looks at the device."""
SETTLED_S: Final = 5.0
"""How long the thread waits until the store has taken a block. The source offers it again later."""
COMMITS: Final = 3
"""How often a block is committed whose source does not answer; after that it comes again, and is known."""
LONGEST_DRAW_PAUSE_S: Final = 30.0
ENDING_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class BlockOffered:
    """A block was drawn or fetched. It is answered once, by `settle` with the same number."""

    draw: int
    block: KeyBlock = field(repr=False)


@dataclass(frozen=True, slots=True)
class NotFetchedBlock:
    """The block that was to be fetched did not come, and never will."""

    action: Fetch
    why: str


DeviceEvent: TypeAlias = SupervisorEvent | BlockOffered | NotFetchedBlock
DeviceOrder: TypeAlias = UnitOrder | Draw | Reopen | Fetch | LoadPresharedKey


class Reads(Protocol):
    """A device as its thread uses it: `Source` is one."""

    name: str

    def read(self) -> UnitRead:
        """Read the device."""
        ...

    def carry_out(self, order: UnitOrder) -> Done | Failed:
        """Give an order, and tell its outcome."""
        ...

    def key_blocks(self, most: int) -> Iterator[KeyBlock]:
        """Draw the blocks that are there."""
        ...

    def fetch(self, action: Fetch) -> KeyBlock:
        """Fetch a block."""
        ...

    def load_preshared_key(self, key: KeyMaterial, peer: str, path: str) -> tuple[str, str]:
        """Load a pre-shared key, see that it is there, and return peer and path of its link."""
        ...


class DeviceLoop:
    """What the thread of a device does, turn by turn. In virtual time a test turns it by itself.

    Args:
        source: The device.
        tell: Takes what happens, in the thread of the device. It must hand it on and return.
        poll_s: How often the device is read.
        clock: Where time comes from.
    """

    def __init__(
        self, source: Reads, tell: Callable[[DeviceEvent], None], *, poll_s: float = 1.0, clock: Clock = SYSTEM_CLOCK
    ) -> None:
        self.name = source.name
        self._source = source
        self._tell_on = tell
        self._poll_ns = round(poll_s * NS_PER_S)
        self._clock = clock
        self._orders: deque[DeviceOrder] = deque()
        self._news = threading.Event()
        self._ended = threading.Event()
        self._numbers = count(1)
        self._offered = 0
        self._settled = threading.Event()
        self._why_not: str | None = None
        self._lock = threading.Lock()  # held for moments: number and answer of the block that waits
        self._reachable = True
        self._next_read_ns = clock.monotonic_ns()
        self._drawing = False
        self._next_draw_ns, self._draw_failures = 0, 0

    # --- for any thread -----------------------------------------------------------------------------------------------

    def order(self, order: DeviceOrder) -> None:
        """Have something done in the device's thread, after what was ordered before."""
        self._orders.append(order)
        self._news.set()

    def settle(self, draw: int, why_not: str | None) -> None:
        """Say that a block is durable (None), or why it was not taken. One that was not answered in time stays."""
        with self._lock:
            if draw == self._offered:
                self._why_not = why_not
                self._settled.set()

    def end(self) -> None:
        """Tell nothing any more, and turn no more."""
        self._ended.set()
        self._settled.set()
        self._news.set()

    @property
    def ended(self) -> bool:
        """Whether `end` was called."""
        return self._ended.is_set()

    # --- for the device's thread --------------------------------------------------------------------------------------

    def turn(self) -> float:
        """Do what is due, and return in how many s something is due again; an order makes it due at once."""
        self._news.clear()
        while self._orders and not self.ended:
            self._obey(self._orders.popleft())
        if self._reachable and not self.ended and self._clock.monotonic_ns() >= self._next_read_ns:
            self._read()
        now_ns = self._clock.monotonic_ns()
        if self._reachable and self._drawing and not self.ended and now_ns >= self._next_draw_ns:
            self._draw()
        if self._orders:
            return 0.0
        if not self._reachable:
            return inf
        return max(self._next_read_ns - self._clock.monotonic_ns(), 0) / NS_PER_S

    def run(self) -> None:
        """Turn until the end."""
        while not self.ended:
            wait_s = self.turn()
            if wait_s > 0 and not self.ended:
                self._clock.wait(min(wait_s, 3600.0), self._news)

    def _obey(self, order: DeviceOrder) -> None:
        match order:
            case Draw(on=on):
                self._drawing = on
                self._next_draw_ns = 0
            case Reopen():
                self._reachable = True
                self._next_read_ns = self._clock.monotonic_ns()
            case Fetch():
                self._fetch(order)
            case LoadPresharedKey():
                self._load(order)
            case _:
                try:
                    told = self._source.carry_out(order)
                except Exception as error:  # noqa: BLE001 - a driver of somebody else's
                    told = Failed(order, Outcome.UNKNOWN, _said(error))
                self._tell(told)
                self._next_read_ns = self._clock.monotonic_ns()  # what became of it is seen at once

    def _read(self) -> None:
        start_ns = self._clock.monotonic_ns()
        try:
            read = self._source.read()
        except Exception as error:  # noqa: BLE001 - a driver of somebody else's: others go on
            self._reachable = False
            self._tell(Unreachable(_said(error)))
            return
        now_ns = self._clock.monotonic_ns()
        self._next_read_ns = max(start_ns + self._poll_ns, now_ns + self._poll_ns // 10)
        self._tell(read)

    def _draw(self) -> None:
        self._next_draw_ns = self._clock.monotonic_ns() + self._poll_ns // 2
        try:
            for block in self._source.key_blocks(MOST_BLOCKS):
                if self.ended or not self._offer(block):
                    break
        except Exception as error:  # noqa: BLE001 - a driver of somebody else's
            self._draw_failures += 1
            pause_s = min(self._poll_ns / NS_PER_S * 2.0 ** min(self._draw_failures, 30), LONGEST_DRAW_PAUSE_S)
            self._next_draw_ns = self._clock.monotonic_ns() + round(pause_s * NS_PER_S)
            self._tell(Draws(_said(error)))
            return
        if self._draw_failures:
            self._draw_failures = 0
            self._tell(Draws(""))

    def _fetch(self, action: Fetch) -> None:
        try:
            block = self._source.fetch(action)
        except Exception as error:  # noqa: BLE001 - a driver of somebody else's
            self._tell(NotFetchedBlock(action, _said(error)))
            return
        self._offer(block)

    def _load(self, order: LoadPresharedKey) -> None:
        with order.key:
            if not order.done.set_running_or_notify_cancel():
                return  # the person who entered it was told that nothing was loaded
            try:
                link = self._source.load_preshared_key(order.key, order.peer, order.path)
            except Exception as error:  # noqa: BLE001 - a driver of somebody else's
                order.done.set_exception(error)
            else:
                order.done.set_result(link)
        self._next_read_ns = self._clock.monotonic_ns()

    def _offer(self, block: KeyBlock) -> bool:
        """Hand a block over, wait until it is durable, and commit it; return whether it was taken."""
        with self._lock:
            self._offered = draw = next(self._numbers)
            self._settled.clear()
        self._tell(BlockOffered(draw, block))
        settled = self._settled.is_set() or self._clock.wait(SETTLED_S, self._settled)
        with self._lock:
            self._offered, why_not = 0, self._why_not
        if not settled or self.ended or why_not is not None:
            return False
        for attempt in range(1, COMMITS + 1):
            try:
                block.commit()
                break
            except OutcomeUnknownError:
                if attempt == COMMITS:
                    raise
        self._tell(BlockDrawn())
        return True

    def _tell(self, event: DeviceEvent) -> None:
        if not self.ended:
            self._tell_on(event)


class DeviceThread(DeviceLoop):
    """A device loop in a thread of its own. A device that hangs holds up no other, and not the end of the node."""

    def __init__(
        self, source: Reads, tell: Callable[[DeviceEvent], None], *, poll_s: float = 1.0, clock: Clock = SYSTEM_CLOCK
    ) -> None:
        super().__init__(source, tell, poll_s=poll_s, clock=clock)
        self._thread = threading.Thread(target=self.run, name=f"tokaido-device-{self.name}", daemon=True)

    def start(self) -> None:
        """Let it run."""
        self._thread.start()

    def join(self, within_s: float = ENDING_S) -> bool:
        """Wait for its end, which `end` asked for; return whether it came. A thread that hangs is left behind."""
        if self._thread.ident is None:
            return True
        self._thread.join(within_s)
        return not self._thread.is_alive()


def _said(error: Exception) -> str:
    """Return what an error says, without what is another time each time: it is the text of an alarm."""
    if not isinstance(error, TokaidoError):
        return f"{type(error).__name__}: {error}"
    return f"{error.what} [{error.transport}]" if error.transport else error.what
