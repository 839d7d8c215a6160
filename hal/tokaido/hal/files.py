"""Files that are whole or absent: a call that fails leaves nothing half-made, and can be repeated.

And files that are believed: nobody but their reader and root may alter them or put another one in their place.
"""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tokaido.hal._errors import ConfigurationError, TokaidoError
from tokaido.hal._file_trust import who_else_may_write

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "MODE_OF_SECRETS",
    "path_of",
    "read_believed",
    "settle",
    "who_else_may_write",
    "write_new",
    "write_whole",
]

MODE_OF_SECRETS: Final = 0o600
"""Mode of a file that holds a secret: its owner may read and write it, nobody else."""


def path_of(given: object, what: str) -> Path:
    """Return the path that a caller names by text or as a path.

    Args:
        given: What the caller gave.
        what: What errors call the file: "the station file".

    Raises:
        ConfigurationError: It is something else, is empty, or has a NUL in it.
    """
    if not isinstance(given, (str, os.PathLike)) or not isinstance(named := os.fspath(given), str):
        raise ConfigurationError(f"{what} is named by text or a path, not by {type(given).__name__} {given!r}"[:200])
    if not named or "\0" in named:
        raise ConfigurationError(f"{named!r} cannot be the name of {what}", remedy="Choose another name")
    return Path(named)


def read_believed(path: Path, what: str, *, longest: int, closed: int = 0, absent: str = "Correct its name") -> bytes:
    """Return what a file holds, if nobody but the user of this process and root may write it or replace it.

    Args:
        path: The file.
        what: What errors call it: "secret key".
        longest: How many bytes are read, at most.
        closed: Bits of its mode that must not be set: 0o077 for a secret.
        absent: What to do if it cannot be read.

    Raises:
        ConfigurationError: It cannot be read, is open to others, or others may write it or put another one in its
            place.
    """
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)  # of the very file that is read
            data = file.read(longest)
        other = who_else_may_write(path)
    except OSError as error:
        raise ConfigurationError(f"the {what} file {path} cannot be read: {error.strerror}", remedy=absent) from error
    if mode & closed:
        raise ConfigurationError(
            f"the {what} file {path} is open to others (mode {mode:04o})", remedy=f"Run: chmod 600 {path}"
        )
    if other:
        raise ConfigurationError(f"the {what} file {path} is not believed: {other}", remedy="Then check its key")
    return data


def write_new(path: Path, data: bytes, *, mode: int = 0o644, durable: bool = True) -> None:
    """Write a new file and let it be on the disk; a file that is there is never overwritten.

    Args:
        path: Its folder must exist, on a file system that has hard links.
        data: All that will be in it.
        mode: Its permissions, whatever the process's mask is.
        durable: Whether it must outlive a power cut; a file of one run need not.

    Raises:
        ConfigurationError: A file of that name exists, or no file can have that name.
        TokaidoError: It could not be written; nothing of it is left.
    """
    with _told(path):
        temporary = _beside(path, data, mode, durable=durable)
        try:
            os.link(temporary, path)
        finally:
            temporary.unlink()
        try:
            if durable:
                settle(path.parent)
        except BaseException:
            path.unlink()
            raise


def write_whole(path: Path, data: bytes) -> None:
    """Write a file in one step, over what was there: who reads it sees the old content or the new one.

    Other things than plain files (`/dev/stdout`, a pipe) are written as they are. A file that is there keeps its mode.

    Raises:
        ConfigurationError: No file can have that name.
        TokaidoError: It could not be written; the old content is still there.
    """
    with _told(path):
        if path.exists() and not path.is_file():
            path.write_bytes(data)
            return
        target = Path(os.path.realpath(path))  # a link stays a link
        temporary = _beside(target, data, target.stat().st_mode & 0o7777 if target.exists() else None)
        try:
            temporary.replace(target)
        except BaseException:
            temporary.unlink()
            raise
        settle(target.parent)


@contextlib.contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except FileExistsError as error:
        raise ConfigurationError(f"{path} exists, and is not overwritten", remedy="Choose another name") from error
    except OSError as error:
        raise TokaidoError(f"{path} could not be written: {error.strerror or error}") from error
    except ValueError as error:  # a NUL, or a lone surrogate
        raise ConfigurationError(f"{str(path)!r} cannot be the name of a file", remedy="Choose another name") from error


def _beside(path: Path, data: bytes, mode: int | None, *, durable: bool = True) -> Path:
    """Write a file of a name of its own into the same folder, and return its path; mode None: as the mask says."""
    first = 0o666 if mode is None else MODE_OF_SECRETS
    temporary = path.with_name(f".{os.urandom(8).hex()}.new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, first)
    try:
        with os.fdopen(descriptor, "wb") as file:
            if mode is not None:
                os.fchmod(descriptor, mode)
            file.write(data)
            file.flush()
            if durable:
                os.fsync(descriptor)
    except BaseException:
        temporary.unlink()
        raise
    return temporary


def settle(folder: Path) -> None:
    """Let the names in a folder be on the disk, too."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
