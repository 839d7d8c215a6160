"""Driver for DiCon 1xN MEMS modules, compatible with their published commands: docs/protocols/dicon.md."""

from tokaido.drivers.dicon._selector import Selector

__all__ = ["Selector"]
