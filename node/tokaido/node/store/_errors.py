"""What goes wrong with a store."""

from __future__ import annotations

from tokaido.hal import TokaidoError


class StoreError(TokaidoError):
    """The store cannot be opened, read or written. One that failed is of no more use: close it, and open it again."""


class StoreBusyError(StoreError):
    """Another process has the store open."""


class Damage(Exception):  # noqa: N818 - it never leaves this package
    """The file does not hold what was written, or was asked for what it does not hold; told as a `StoreError`."""
