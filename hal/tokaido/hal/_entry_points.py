"""What distributions bring by entry points, ours and other people's alike: listed without importing it."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import TYPE_CHECKING

from tokaido.hal._errors import ConfigurationError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint


def entries(group: str) -> list[EntryPoint]:
    """Return the entry points of a group by name; of two of one name, one."""
    unique = {entry.name: entry for entry in entry_points(group=group)}
    return [unique[name] for name in sorted(unique)]


def load(group: str, name: str) -> object:
    """Import what is registered under `name` in `group`.

    Raises:
        ConfigurationError: Nothing is, or it cannot be imported.
    """
    known = entries(group)
    for entry in known:
        if entry.name == name:
            try:
                return entry.load()
            except Exception as error:
                raise ConfigurationError(
                    f"{name} is registered as {entry.value} and cannot be imported: {error}",
                    remedy="Install what it needs, or remove its distribution",
                ) from error
    raise ConfigurationError(
        f"there is no {name!r} among the {group.rpartition('.')[2]}",
        remedy=f"Installed are: {', '.join(entry.name for entry in known) or 'none'}",
    )
