"""The moves of one link at this node: does what its leader or follower wants done, and shows how it goes."""

from __future__ import annotations

import asyncio
import logging
import threading
from abc import ABC, abstractmethod
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

import msgspec

from tokaido.hal import RefusedError, TokaidoError
from tokaido.node.moving import Act, Action, Deed, Done, Failed, MoveAnswer, MoveOrder, MoveRecord, Stage, Write
from tokaido.node.peers import UnansweredError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokaido.node.moving import Outcome, Site

T = TypeVar("T")

LOG: Final = logging.getLogger("tokaido.node.moves")
RETRY_S: Final = 2.0
"""Pause before what failed is tried again."""
ENDING_S: Final = 4.0
"""How long what is being done to a device may take when the node ends."""
LONGEST: Final = 600
"""Most characters of what went wrong."""


class MoveSurroundings(Protocol):
    """What the moves of a link need of their node. All of it is called in the node's loop."""

    async def note(self, record: MoveRecord) -> None:
        """Make a record durable.

        Raises:
            TokaidoError: It is not, or nobody knows.
        """
        ...

    async def ask_move(self, neighbour: str, order: bytes, within_s: float) -> bytes:
        """Return a neighbour's answer.

        Raises:
            UnansweredError: There is none.
        """
        ...

    def hold(self, link: str, by: str) -> None:
        """Keep the node's supervision from giving orders to the unit of a link; empty: give the unit back."""
        ...

    def show(self, link: str, text: str, stuck: str) -> None:
        """Say what the last move of a link comes to, and what it waits for, if for anything."""
        ...

    def over(self, record: MoveRecord, text: str) -> None:
        """Account for a move that is over at this end, and note that this was done."""
        ...


class LinkMoves(ABC):
    """The moves of one link; `Leading` and `Following` are such.

    Args:
        site: This end of it.
        surroundings: The node.
    """

    def __init__(self, site: Site, surroundings: MoveSurroundings) -> None:
        self.link = site.entry.name
        self.neighbour = site.entry.neighbour
        self._site = site
        self._node = surroundings
        self._task: asyncio.Task[None] | None = None
        self._ending = asyncio.Event()
        self._doing = 0  # deeds that run in a thread
        self._held = False

    # --- what each end has of its own ---------------------------------------------------------------------------------

    @property
    @abstractmethod
    def record(self) -> MoveRecord | None:
        """What is noted of the last move."""

    @property
    @abstractmethod
    def trouble(self) -> str:
        """What a move waits for; empty if nothing is in the way."""

    @property
    @abstractmethod
    def _holds(self) -> bool: ...

    @abstractmethod
    def _go_on(self) -> None:
        """Go on with a move that an earlier life left open."""

    @abstractmethod
    async def begin(self, path: str, *, by: str) -> None:
        """Begin to move the link, if it can be moved; return when that is noted.

        Raises:
            ConfigurationError: The station file has no such path, or lacks something.
            RefusedError: A move is under way, the other end leads, or something is in the way: nothing was touched.
            TokaidoError: Anything else that was in the way before a device was touched.
        """

    @abstractmethod
    async def hear(self, order: MoveOrder) -> MoveAnswer:
        """Return the answer to an order of the neighbour.

        Raises:
            BusyError: The node is ending, or its store cannot be written.
        """

    @abstractmethod
    def _take(self, record: MoveRecord) -> None:
        """Take a move that a person had forgotten."""

    # --- what is the same at both -------------------------------------------------------------------------------------

    @property
    def open(self) -> bool:
        """Whether a move is not over here."""
        return self.record is not None and not self.record.ended

    def resume(self) -> None:
        """Go on with what an earlier life left; before the units of the node get any order."""
        record = self.record
        if record is None:
            return
        if not record.ended:
            self._go_on()
            return
        self._show()
        if not record.accounted:  # the node died between the two
            self._node.over(record, self._text())

    async def forget(self, *, by: str) -> None:
        """Note that a move that waits is over, as a person says who saw to both switches; give the unit back.

        Raises:
            RefusedError: None is under way, or it goes on by itself.
        """
        record = self.record
        if record is None or record.ended:
            raise RefusedError(f"link {self.link} is not being moved")
        if self._doing or not self.trouble:
            raise RefusedError(f"the move of link {self.link} goes on by itself", remedy="Wait, and look at its status")
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
        ended = msgspec.structs.replace(record, stage=Stage.CANCELLED, why=f"{by} had it forgotten")
        await self._node.note(ended)
        self._take(ended)
        await self._in_thread(self._site.release)
        self._show()
        self._node.over(ended, self._text())

    async def close(self) -> None:
        """Begin nothing more; an order that a device carries out may end."""
        self._ending.set()
        if self._task is not None and not self._task.done():
            await asyncio.wait({self._task}, timeout=ENDING_S)
            self._task.cancel()

    async def _carry_out(self, action: Action) -> Outcome:
        try:
            return await self._done(action)
        except (TokaidoError, UnansweredError) as error:
            LOG.warning("link %s: %s", self.link, error)
            why = str(error)
        except Exception as error:  # a driver of somebody else's
            LOG.exception("link %s", self.link)
            why = f"{type(error).__name__}: {error}"
        if isinstance(action, Write):
            await set_within(self._ending, RETRY_S)
        return Failed(why[:LONGEST])

    async def _done(self, action: Action) -> Done:
        """Carry an action out, or raise what was in the way."""
        match action:
            case Write(record=record):
                await self._node.note(record)
                LOG.info("link %s: the move to %s is %s", self.link, record.path, record.stage.value)
                return Done()
            case Act(deed=deed, record=record):
                return Done(await self._in_thread(lambda: self._do(deed, record)))
            case _:
                await set_within(self._ending, RETRY_S)
                return Done()

    def _do(self, deed: Deed, record: MoveRecord | None) -> Any:
        """Do something to the devices; in a thread."""
        assert record is not None
        return self._site.do(deed, record)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        """Return what `work` returns, in a thread that nobody waits for if a device hangs."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()

        def settle(value: T | None, error: BaseException | None) -> None:
            self._doing -= 1
            if future.done():
                return
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(value)  # type: ignore[arg-type]

        def run() -> None:
            value, error = None, None
            try:
                value = work()
            except BaseException as raised:  # noqa: BLE001 - raised again where it is awaited
                error = raised
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(settle, value, error)

        self._doing += 1
        threading.Thread(target=run, name=f"tokaido-move-{self.link}", daemon=True).start()
        return await future

    # --- what is seen of it -------------------------------------------------------------------------------------------

    def _hold(self, by: str) -> None:
        if by or self._held:
            self._node.hold(self.link, by)
        self._held = bool(by)

    def _show(self) -> None:
        text = self._text()
        self._hold(text if self._holds else "")
        self._node.show(self.link, text, self.trouble if self.open else "")

    def _text(self) -> str:
        record = self.record
        if record is None:
            return ""
        if record.stage is Stage.FINISHED:
            return f"moved to {record.path}"
        if record.stage in {Stage.CANCELLING, Stage.CANCELLED}:
            known = "" if record.ended else f"; {self.neighbour} is not told yet"
            return f"not moved to {record.path}: {record.why or 'the other end went back'}{known}"
        waits = f", waits: {self.trouble}" if self.trouble else ""
        return f"moving to {record.path}: {record.stage.value}{waits}"


async def set_within(event: asyncio.Event, seconds: float) -> bool:
    """Return whether an event is set within so many s."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True
