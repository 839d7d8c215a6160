"""Driver of repeater nodes at their control endpoint: docs/protocols/repeater.md."""

from tokaido.drivers.repeater._node import Link, Neighbour, Node, Pair

__all__ = ["Link", "Neighbour", "Node", "Pair"]
