"""Supervision of the devices of a node: who is ordered what and when, without any I/O, and the threads that do it."""

from __future__ import annotations

from tokaido.node.supervision._settings import SupervisionSettings

__all__ = ["SupervisionSettings"]
