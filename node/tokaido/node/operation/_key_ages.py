"""Since when units have their pre-shared keys, and when each of them gets too old.

The age counts from when the key was loaded, not from its use: after a loss of power two units have nothing else to
prove themselves with, so a copy of an old key is worth as much as one of a new one, whatever came of it meanwhile.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

from tokaido.node.operation._expiry import DAY_S, Ending, day
from tokaido.node.operation._preshared_lines import PresharedKeyLine
from tokaido.node.operation._survey import iso
from tokaido.node.store import PresharedKeyRow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from tokaido.node.operation._preshared_settings import PresharedSettings
    from tokaido.node.supervision import UnitRead

Name: TypeAlias = tuple[str, str, str]
"""Device, peer, path."""
OLD: Final = "PRESHARED_KEY_OLD"


class KeyAges:
    """Compares what units hold with what is written down.

    Args:
        keep: Takes a row that is to be written down.
        drop: Takes the name of one that is not true any more.
        settings: Returns what the node file says now.
        utc_s: Returns the time of day, in s since 1970-01-01 UTC.
    """

    def __init__(
        self,
        keep: Callable[[PresharedKeyRow], object],
        drop: Callable[[str, str, str], object],
        *,
        settings: Callable[[], PresharedSettings],
        utc_s: Callable[[], float],
    ) -> None:
        self._keep = keep
        self._drop = drop
        self._settings = settings
        self._utc_s = utc_s
        self._rows: dict[Name, PresharedKeyRow] = {}
        self._seen: dict[str, UnitRead | None] = {}

    def restore(self, rows: Iterable[PresharedKeyRow]) -> None:
        """Take up what was written down."""
        self._rows = {(row.device, row.peer, row.path): row for row in rows}

    def loaded(self, row: PresharedKeyRow, before: UnitRead | None) -> None:
        """Write down what was loaded by people at this node.

        Args:
            row: What was loaded.
            before: How the unit was read last: it may have been before that.
        """
        self._seen[row.device] = before
        self._write(row)

    def look(self, device: str, read: UnitRead | None) -> None:
        """See what a unit holds: a key that nobody wrote down counts from now on, and one that is gone is forgotten.

        Args:
            device: Its name.
            read: How it was read last; each reading is looked at once.
        """
        if read is None or read is self._seen.get(device):
            return
        self._seen[device] = read
        written = {name[1:] for name in self._rows if name[0] == device}
        for peer, path in read.preshared_keys - written:
            self._write(PresharedKeyRow(device, peer, path, self._utc_s(), "", ""))
        for peer, path in written - read.preshared_keys:
            del self._rows[device, peer, path]
            self._drop(device, peer, path)

    def _write(self, row: PresharedKeyRow) -> None:
        self._rows[row.device, row.peer, row.path] = row
        self._keep(row)

    def ages_s(self) -> dict[str, float]:
        """Return the age of the oldest key of each unit that has one, in s."""
        now_s = self._utc_s()
        found: dict[str, float] = {}
        for (device, _, _), row in self._rows.items():
            found[device] = max(found.get(device, 0.0), now_s - row.since_s)
        return found

    def endings(self, links: Mapping[str, str]) -> tuple[Ending, ...]:
        """Return when each key gets too old.

        Args:
            links: The link that each unit is an end of; others are told by their own name.
        """
        settings = self._settings()
        return tuple(
            Ending(
                OLD,
                links.get(row.device, row.device),
                f"the time of {_named(row)},",
                row.since_s + settings.days * DAY_S,
                settings.warn_days,
            )
            for row in self._rows.values()
        )

    def lines(self) -> tuple[PresharedKeyLine, ...]:
        """Return all keys that units hold, by unit, peer and path."""
        return tuple(
            PresharedKeyLine(
                device=row.device,
                peer=row.peer,
                path=row.path,
                since=iso(row.since_s),
                by=row.by,
                check_value=row.check_value,
            )
            for _, row in sorted(self._rows.items())
        )


def _named(row: PresharedKeyRow) -> str:
    to = f" for {row.peer}" if row.peer else ""
    path = f", path {row.path}" if row.path else ""
    how = "loaded" if row.by else "seen first"
    return f"the pre-shared key{to}{path}, {how} on {day(row.since_s)}"
