"""The DiCon 1xN MEMS selector as a device model: five commands on one serial line."""

from tokaido.emulators.dicon._selector import SelectorModel

__all__ = ["SelectorModel"]
