"""What is seen of a line while it runs: the status of every node and the time of every span, once a second."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Self

import tokaido.hal as hal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path
    from types import TracebackType

    from tokaido.console._line.back_door import BackDoor
    from tokaido.node.operation import NodeStatus

EVERY_S: Final = 0.5
_AT_ONCE: Final = 8
_ANSWER_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen at one moment."""

    number: int = 0
    """Of this look, from 1; 0: nobody looked yet."""
    nodes: Mapping[str, NodeStatus | None] = field(default_factory=dict)
    """By name; None: the node does not answer."""
    emulated_s: Mapping[str, float] = field(default_factory=dict)
    """By span, how much emulated time has passed; a span whose emulation does not answer is not there."""
    speeds: Mapping[str, float] = field(default_factory=dict)
    """By span, in emulated seconds a second."""

    def runs(self, span: str) -> bool:
        """Whether both ends of a span exchange keys, as far as both know."""
        ends = [link for node in self.nodes.values() if node for link in node.links if link.name == span]
        return len(ends) == 2 and all(end.running for end in ends)

    def stock_bits(self, span: str) -> int:
        """Return the link key of a span that both of its ends have."""
        ends = [link.stock_bits for node in self.nodes.values() if node for link in node.links if link.name == span]
        return min(ends) if len(ends) == 2 else 0

    def ready(self, node: str, other: str) -> int:
        """Return how many keys a node has ready to give for another one."""
        status = self.nodes.get(node)
        return next((pair.ready for pair in status.pairs if pair.neighbour == other), 0) if status else 0


class LineWatch:
    """Looks at all nodes and spans in a thread of its own, as a context.

    Args:
        controls: Control socket of each node.
        doors: Back door of each span's emulation.
        clock: Where time comes from.
    """

    def __init__(
        self, controls: Mapping[str, Path], doors: Mapping[str, BackDoor], *, clock: hal.Clock = hal.SYSTEM_CLOCK
    ) -> None:
        self._controls = controls
        self._doors = doors
        self._clock = clock
        self._news = threading.Condition()
        self._seen = Seen()
        self._ended = False
        self._listeners: list[Callable[[Seen], None]] = []
        self._routes: dict[tuple[str, str], tuple[str, ...]] = {}
        self._thread = threading.Thread(target=self._run, name="line watch", daemon=True)

    def listen(self, listener: Callable[[Seen], None]) -> None:
        """Have `listener` told of every look, in the thread of the watch; it must not take long."""
        self._listeners.append(listener)

    @property
    def seen(self) -> Seen:
        """What was seen last."""
        with self._news:
            return self._seen

    def last_route(self, node: str, other: str) -> tuple[str, ...]:
        """Return the last route that a node had to another one: it has none while its own first hop waits for key."""
        return self._routes.get((node, other), ())

    def wait_for(self, what: str, holds: Callable[[Seen], bool], deadline: hal.Deadline) -> Seen:
        """Return the first look from now on at which something holds.

        Raises:
            DeviceTimeoutError: It did not come to hold in time.
        """
        with self._news:
            after = self._seen.number
            while True:
                if self._seen.number > after and holds(self._seen):
                    return self._seen
                if deadline.passed:
                    raise hal.DeviceTimeoutError(
                        f"waited until {what}", elapsed_s=deadline.elapsed_s, remedy="Give it more time with --seconds"
                    )
                self._news.wait(min(EVERY_S, max(deadline.remaining_s, 0.0)))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def end(self) -> None:
        """Look no more. May be called again."""
        self._ended = True
        self._thread.join()

    def _run(self) -> None:
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="line watch") as pool:
            while not self._ended:
                due = hal.Deadline(self._clock, EVERY_S)
                statuses = pool.map(self._status, self._controls)
                times = pool.map(self._time, self._doors)
                nodes = dict(statuses)
                told = {name: both for name, both in times if both is not None}
                with self._news:
                    self._seen = Seen(
                        self._seen.number + 1,
                        nodes,
                        {name: both[0] for name, both in told.items()},
                        {name: both[1] for name, both in told.items()},
                    )
                    self._news.notify_all()
                for name, status in nodes.items():
                    for pair in status.pairs if status else ():
                        if pair.route:
                            self._routes[name, pair.neighbour] = tuple(pair.route)
                for listener in self._listeners:
                    listener(self._seen)
                self._clock.wait(max(due.remaining_s, 0.05))

    def _status(self, name: str) -> tuple[str, NodeStatus | None]:
        from tokaido.node.operation import ControlClient  # noqa: PLC0415 - aiohttp, when first needed

        try:
            return name, ControlClient(self._controls[name], timeout=_ANSWER_S).status()
        except hal.TokaidoError:
            return name, None

    def _time(self, name: str) -> tuple[str, tuple[float, float] | None]:
        try:
            return name, (self._doors[name].emulated_s(), self._doors[name].speed())
        except hal.TokaidoError:
            return name, None
