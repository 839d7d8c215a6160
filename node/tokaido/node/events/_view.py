"""A whole network as its nodes tell of themselves: what a person watches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tokaido.hal import NS_PER_S, SYSTEM_CLOCK, ProtocolError
from tokaido.node.events._messages import Alarm, Telemetry, decode
from tokaido.node.events._subjects import Subjects

if TYPE_CHECKING:
    from tokaido.hal import Clock
    from tokaido.node.events._messages import Message

SILENT_S: Final = 10.0
"""After so long without telemetry a node counts as silent."""


@dataclass(slots=True)
class NodeView:
    """What is known of one node."""

    node: str
    telemetry: Telemetry | None = None
    heard_s: float = 0.0
    """When it was last heard, on the monotonic clock in s."""


class NetworkView:
    """The nodes of a network, from messages in any order.

    Args:
        network: Its name.
        clock: Where time comes from.
    """

    def __init__(self, network: str, *, clock: Clock = SYSTEM_CLOCK) -> None:
        self.network = network
        """Its name."""
        self._subjects = Subjects(network)
        self._clock = clock
        self.nodes: dict[str, NodeView] = {}
        """By name."""
        self.alarms: dict[tuple[str, str, str], Alarm] = {}
        """Alarms that are known to stand, by node, code and what they are about."""
        self.refused = 0
        """Messages that were not taken: malformed, or in the name of another."""

    def take(self, subject: str, payload: bytes, *, age_s: float = 0.0) -> Message | None:
        """Take a message, and return it; None if it is not one of the node whose subject it came at.

        Args:
            subject: Where it came.
            payload: What it holds.
            age_s: How old it is.
        """
        try:
            message = decode(payload)
        except ProtocolError:
            message = None
        if message is None or message.node != self._subjects.node_of(subject):
            self.refused += 1
            return None
        view = self.nodes.setdefault(message.node, NodeView(message.node))
        at_s = self.now_s - age_s
        view.heard_s = max(view.heard_s, at_s)
        if isinstance(message, Telemetry) and (view.telemetry is None or message.utc_s >= view.telemetry.utc_s):
            view.telemetry = message
        elif isinstance(message, Alarm):
            name = message.node, message.code, message.of
            if message.change in {"raised", "altered"}:
                self.alarms[name] = message
            elif message.change == "cleared":
                self.alarms.pop(name, None)
        return message

    @property
    def now_s(self) -> float:
        """The monotonic clock in s."""
        return self._clock.monotonic_ns() / NS_PER_S

    def age_s(self, node: str) -> float:
        """Return how long ago a node was last heard, in s."""
        return max(self.now_s - self.nodes[node].heard_s, 0.0)

    def silent(self, node: str) -> bool:
        """Return whether a node was not heard for long."""
        return self.age_s(node) > SILENT_S
