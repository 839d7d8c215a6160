"""Who may write a file that is believed: ssh's StrictModes for the files that say whom to trust and what was spent.

A file is believed if nobody but its reader and root may alter it or put another one in its place. So the file and every
folder on the way to it must belong to one of these two, and neither group nor others may write it. A folder with the
sticky bit, such as /tmp, may be written by anybody: a file in it can be replaced by its owner alone.
"""

# ruff: noqa: PTH116, PTH120 - asked before every commit of a ledger, and `Path.parents` takes most of that time

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def who_else_may_write(path: Path) -> str:
    """Return who else may alter or replace an existing file, and how to change that; nothing if nobody may.

    Links are followed as they are now, and the folders of both ends are looked at.

    Raises:
        OSError: It is not there, or cannot be looked at.
    """
    real = os.path.realpath(path)
    for place in dict.fromkeys((real, *_folders(real), *_folders(str(path.absolute())))):
        found = os.stat(place)
        mode = stat.S_IMODE(found.st_mode)
        folder = stat.S_ISDIR(found.st_mode)
        what = f"{'the folder ' if folder else ''}{place}"
        if found.st_uid not in (0, os.geteuid()):
            return f"user {found.st_uid} may write {what}; run: chown {os.geteuid()} {place}"
        if mode & 0o022 and not (folder and mode & stat.S_ISVTX):
            who = "everybody" if mode & 0o002 else f"group {found.st_gid}"
            return f"{who} may write {what} (mode {mode:04o}); run: chmod go-w {place}"
    return ""


def _folders(path: str) -> Iterator[str]:
    """Yield all folders above an absolute path, the nearest first."""
    while path != (path := os.path.dirname(path)):
        yield path
