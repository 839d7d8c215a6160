"""One end of a link in the node's loop: its supervisor, and the device loop that serves it."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Final, Protocol

from tokaido.node.core import Clear, Raise, Tick
from tokaido.node.supervision._device_thread import BlockOffered, DeviceEvent, NotFetchedBlock
from tokaido.node.supervision._orders import BlockDrawn, Draw, Reopen, Stop, UnitRead, Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokaido.hal import KeyBlock
    from tokaido.node.core import Fetch
    from tokaido.node.supervision._device_thread import DeviceLoop, DeviceOrder
    from tokaido.node.supervision._orders import SupervisorEvent, UnitOrder
    from tokaido.node.supervision._supervisor import Supervisor

MUTE_S: Final = 120.0
"""Longer than any deadline of a device."""


class LinkEndSurroundings(Protocol):
    """What a link end needs of its node. All of it is called in the node's loop."""

    def block_offered(self, end: LinkEnd, draw: int, block: KeyBlock) -> None:
        """A block came: it is answered by `LinkEnd.settle`, from any thread."""
        ...

    def not_fetched(self, end: LinkEnd, action: Fetch, why: str) -> None:
        """A block that was to be fetched did not come."""
        ...

    def attempt(self, end: LinkEnd, order: UnitOrder) -> None:
        """An order that may cost authentication key is due: `LinkEnd.give` gives it, once it is remembered."""
        ...

    def alarm(self, action: Raise | Clear) -> None:
        """Take note of an alarm."""
        ...


class LinkEnd:
    """One end of a link, or another device, within the node's loop.

    Args:
        supervisor: Decides.
        surroundings: The node.
        age_s: Returns the node's age in s.
    """

    def __init__(self, supervisor: Supervisor, surroundings: LinkEndSurroundings, age_s: Callable[[], float]) -> None:
        self.supervisor = supervisor
        self.answered_s = -inf
        """When the device answered last, in s of the node's age."""
        self.heard_s = age_s()
        """When the thread of the device told anything last, in s of the node's age."""
        self._complained_s = -inf
        self.last_block_s = -inf
        """When the last block of it was durable, in s of the node's age."""
        self.move = ""
        """What the last move of the link comes to, in a line; empty: none was ordered."""
        self._surroundings = surroundings
        self._age_s = age_s
        self.device: DeviceLoop | None = None
        """What serves it; set before anything is heard."""

    @property
    def name(self) -> str:
        """Name of the link, or of the device."""
        return self.supervisor.link

    @property
    def wake_s(self) -> float:
        """When `tick` is due, in s of the node's age."""
        return self.supervisor.wake_s

    def hear(self, event: DeviceEvent) -> None:
        """Take what the device loop tells; in the node's loop."""
        self.heard_s = self._age_s()
        match event:
            case BlockOffered(draw=draw, block=block):
                self._surroundings.block_offered(self, draw, block)
            case NotFetchedBlock(action=action, why=why):
                self._surroundings.not_fetched(self, action, why)
            case _:
                self.feed(event)

    def feed(self, event: SupervisorEvent) -> None:
        """Hand an event to the supervisor, and carry out what it wants."""
        now_s = self._age_s()
        if isinstance(event, UnitRead):
            self.answered_s = now_s
        elif isinstance(event, BlockDrawn):
            self.last_block_s = now_s
        for action in self.supervisor.handle(event, now_s):
            if isinstance(action, (Raise, Clear)):
                self._surroundings.alarm(action)
            elif isinstance(action, (Draw, Reopen, Stop)):
                self.give(action)
            else:
                self._surroundings.attempt(self, action)

    def tick(self) -> None:
        """Let the supervisor look at the time."""
        self.feed(Tick())

    def look(self) -> None:
        """See whether the device's thread hangs, which nothing that it tells would show; call it now and then."""
        now_s = self._age_s()
        if now_s - max(self.heard_s, self._complained_s) > self.mute_s:
            self._complained_s = now_s
            self.feed(Unreachable(f"its thread has said nothing for {self.mute_s:g} s: the driver hangs"))

    @property
    def mute_s(self) -> float:
        """A thread that told nothing for so long hangs, in s: longer than any deadline of a device, and any pause."""
        settings = self.supervisor.settings
        return max(MUTE_S, 3 * settings.poll_s, 2 * settings.longest_reopen_s)

    def fetch(self, action: Fetch) -> None:
        """Have the device fetch a block."""
        self.give(action)

    def settle(self, draw: int, why_not: str | None) -> None:
        """Say that a block is durable (None), or why it was not taken; from any thread."""
        if self.device is not None:
            self.device.settle(draw, why_not)

    def give(self, order: DeviceOrder) -> None:
        """Have the device's thread do something."""
        if self.device is not None:
            self.device.order(order)
