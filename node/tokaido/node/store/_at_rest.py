"""Reads of a store what its key vouches for, and the audit log of one that nobody has open, without writing to it."""

from __future__ import annotations

import hmac
import sqlite3
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tokaido.hal.files import path_of
from tokaido.node.store._audit import EMPTY, AuditFinding, AuditMark, AuditRow, check, rows_of
from tokaido.node.store._errors import Damage, StoreBusyError, StoreError
from tokaido.node.store._rows import Rows
from tokaido.node.store._schema import APPLICATION, VERSION
from tokaido.node.store._seals import Seals, unwrap

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tokaido.hal import KeyMaterial

BUSY_MS: Final = 1000
"""How long to wait for a process that is just closing the store, in ms."""
WITH_AN_END: Final = 5
"""The form of a store from which on the end of its audit log is kept under its key."""
HEAD: Final = b"SQLite format 3\0"


@dataclass(frozen=True, slots=True)
class AuditAtRest:
    """The audit log of a store that nobody has open."""

    rows: tuple[AuditRow, ...]
    """As they stand in the file."""
    finding: AuditFinding
    end_unknown: str
    """Why the end was not compared with the one under the store's key; empty: it was."""


def audit_at_rest(path: Path | str, key: KeyMaterial | None = None, kept: Iterable[AuditMark] = ()) -> AuditAtRest:
    """Return the audit log of a store that nobody has open, and whether it is whole. Nothing is written.

    Args:
        path: The store.
        key: Its wrapping key; None: the end of the log is not checked.
        kept: Marks that were kept elsewhere.

    Raises:
        StoreError: There is not a store, a process has it open, or it cannot be read.
    """
    found = path_of(path, "the store")
    try:
        with found.open("rb") as file:
            if file.read(len(HEAD)) != HEAD:
                raise StoreError(f"{found} is not a store", remedy="Name the store's own file")
        log = Path(f"{found}-wal")
        before = None if log.exists() else found.stat().st_mtime_ns  # without a log no process has it open
        way = "mode=ro" if before is None else "immutable=1"  # which makes no files beside it, and looks at no locks
        with closing(sqlite3.connect(f"{found.absolute().as_uri()}?{way}", uri=True, isolation_level=None)) as database:
            database.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
            database.execute("PRAGMA trusted_schema = OFF")
            database.execute("BEGIN")
            version = _form(database, found)
            end, unknown, altered = _end(database, key, version)
            rows = tuple(rows_of(database))
        if before is not None and (log.exists() or found.stat().st_mtime_ns != before):
            raise StoreBusyError(f"a process has just opened the store {found}", remedy="Ask the node that runs on it")
    except (OSError, sqlite3.Error, UnicodeError) as error:
        raise _told(found, error) from error
    finding = check(rows, end, kept)
    if altered and finding.fits:
        finding = replace(finding, first_wrong=finding.rows + 1, why=f"rows may be missing from here on: {altered}")
    return AuditAtRest(rows, finding, unknown or altered)


def is_store(path: Path) -> bool:
    """Return whether a file is a database, as a store is."""
    try:
        with path.open("rb") as file:
            return file.read(len(HEAD)) == HEAD
    except OSError:
        return False


def audit_end(rows: Rows) -> AuditMark | None:
    """Return number and digest of the last row of the audit log, as the store's key vouches for it.

    Raises:
        Damage: They were altered.
    """
    row = rows.get("audit_end", 1)
    if row is None:
        return None
    number, digest = row
    if not isinstance(number, int) or not isinstance(digest, bytes):
        raise Damage("the end of the audit log was altered")
    return AuditMark(number, digest)


def stated(database: sqlite3.Connection, seals: Seals) -> tuple[float, bytes]:
    """Return the node's age in s and the digest of all rows, as they were written last.

    Raises:
        Damage: They were altered, or are missing.
    """
    row = database.execute("SELECT age_s, digest, mac FROM state").fetchone()
    if row is None or not all(isinstance(value, bytes) for value in row[1:]):
        raise Damage("its state is missing")
    if not hmac.compare_digest(seals.mac("state", row[:2]), row[2]):
        raise Damage("its state was altered")
    return row[0], row[1]


def _form(database: sqlite3.Connection, path: Path) -> int:
    (application,) = database.execute("PRAGMA application_id").fetchone()
    (version,) = database.execute("PRAGMA user_version").fetchone()
    if application != APPLICATION:
        raise StoreError(f"{path} is a database, and not a store", remedy="Name the store's own file")
    if version > VERSION:
        raise StoreError(
            f"the store {path} has form {version}, and this Tokaido knows forms up to {VERSION}",
            remedy="Install the Tokaido that wrote it, or a newer one",
        )
    return int(version)


def _end(database: sqlite3.Connection, key: KeyMaterial | None, version: int) -> tuple[AuditMark | None, str, str]:
    """Return the end that the store's key vouches for, or why there is none, or what was altered."""
    if version < WITH_AN_END:
        return None, "the store is of an older form, which keeps no end of its log", ""
    row = database.execute("SELECT id, data_key FROM store").fetchone()
    if row is None or not all(isinstance(value, bytes) for value in row):
        return None, "the store was erased, and its key with it", ""
    if key is None:
        return None, "the wrapping key of the store was not given", ""
    identity, wrapped = row
    try:
        seals = Seals(unwrap(wrapped, key, identity), identity)
    except (Damage, ValueError):
        return None, "the wrapping key does not fit the store, or its data key was altered", ""
    try:
        rows = Rows(database, seals)
        _, digest = stated(database, seals)
        rows.begin(digest)
        end = audit_end(rows) or EMPTY
    except Damage as error:
        return None, "", str(error)
    finally:
        seals.wipe()
    return end, "", ""


def _told(path: Path, error: BaseException) -> StoreError:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
        return StoreBusyError(f"the store {path} is open in another process", remedy="Ask the node that runs on it")
    if isinstance(error, FileNotFoundError):
        return StoreError(f"there is no store {path}", remedy="Correct its name")
    return StoreError(
        f"the store {path} cannot be read: {getattr(error, 'strerror', None) or error}",
        remedy="Read it as the node's own user, or as root; of a damaged one, read a copy",
    )
