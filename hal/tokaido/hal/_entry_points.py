"""What distributions bring by entry points, ours and other people's alike: listed without importing it.

Ours stand in a table beside this module, so that to load one costs no search (30 ms of a new process). A name of ours
is ours: somebody else's entry of the same name is not found. What a search found is good until the places where it
looked are others, or have changed.
"""

from __future__ import annotations

import os
import sys
from functools import lru_cache, reduce
from importlib import import_module
from typing import TYPE_CHECKING

from tokaido.hal._errors import ConfigurationError
from tokaido.hal._near import did_you_mean
from tokaido.hal._own_entries import DISTRIBUTION, OWN

if not TYPE_CHECKING:
    from tokaido.hal._records import dataclass

if TYPE_CHECKING:
    from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DriverEntry:
    """One registered driver, emulator, role or transport, not imported yet."""

    name: str
    target: str
    """Where it is, as "module:object"."""
    distribution: str
    """The distribution that brought it."""

    def load(self) -> object:
        """Import it.

        Raises:
            ImportError: The module is not there, or what it needs is not.
            AttributeError: The module has no such object.
        """
        module, _, name = self.target.partition(":")
        return reduce(getattr, filter(None, name.split(".")), import_module(module))


def entries(group: str) -> list[DriverEntry]:
    """Return the entries of a group by name; of two of one name ours, or one of the others."""
    unique = {entry.name: entry for entry in _search(group, tuple(map(_as_it_is, sys.path)))}
    unique |= {name: _own(group, name) for name in OWN.get(group, ())}
    return [unique[name] for name in sorted(unique)]


@lru_cache(maxsize=16)
def _search(group: str, _places: tuple[object, ...]) -> tuple[DriverEntry, ...]:
    from importlib.metadata import entry_points  # noqa: PLC0415 - 30 ms

    return tuple(
        DriverEntry(
            found.name,
            f"{found.module}:{found.attr}" if found.attr else found.module,
            found.dist.name if found.dist else "",
        )
        for found in entry_points(group=group)
    )


def _as_it_is(place: str) -> tuple[str, int, int]:
    """Return a place of `sys.path`, which folder it is, and when something was added there or taken away."""
    try:
        found = os.stat(place or os.curdir)  # noqa: PTH116 - pathlib takes ten times as long to import
    except OSError:
        return place, 0, 0
    return place, found.st_ino, found.st_mtime_ns


def load(group: str, name: str) -> object:
    """Import what is registered under `name` in `group`.

    Raises:
        ConfigurationError: Nothing is, or it cannot be imported.
    """
    if name in OWN.get(group, ()):
        entry = _own(group, name)
    else:
        known = {entry.name: entry for entry in entries(group)}
        if name not in known:
            raise ConfigurationError(
                f"there is no {name!r} among the {group.rpartition('.')[2]}",
                remedy=f"{did_you_mean(name, known)}Installed are: {', '.join(known) or 'none'}",
            )
        entry = known[name]
    try:
        return entry.load()
    except Exception as error:
        raise ConfigurationError(
            f"{name} is registered as {entry.target} and cannot be imported: {error}",
            remedy="Install what it needs, or remove its distribution",
        ) from error


def _own(group: str, name: str) -> DriverEntry:
    return DriverEntry(name, OWN[group][name], DISTRIBUTION)
