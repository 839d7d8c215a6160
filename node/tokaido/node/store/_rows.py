"""Rows of custody, each with a MAC, and one digest of all of them: what was damaged, lost or put back row by row shows.

The digest is the sum of all MACs modulo 2^256, a keyed hash of the set of rows that a change costs one addition
(Clarke et al. 2003, "Incremental multiset hash functions", section 5).
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from tokaido.node.store._errors import Damage
from tokaido.node.store._seals import MAC

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

    from tokaido.node.store._seals import Seals, Value

Row: TypeAlias = "tuple[Value, ...]"


@dataclass(frozen=True, slots=True)
class Table:
    """Where rows are, and what is in them."""

    name: str
    keys: tuple[str, ...]
    values: tuple[str, ...]


TABLES: Final = {
    table.name: table
    for table in (
        Table("block", ("link", "session", "number"), ("id", "size", "own_half", "key_ids", "insecure", "emulated")),
        Table("lease", ("block",), ("own", "granted", "passed", "told")),
        Table("ended", ("link", "session", "first"), ("last",)),
        Table(
            "batch",
            ("relay",),
            (
                *("neighbour", "started_here", "count", "route", "ready", "taken", "born_s"),
                *("insecure", "emulated", "sealed"),
            ),
        ),
        Table(
            "supply",
            ("key_id",),
            (
                *("neighbour", "started_here", "master", "slaves", "size", "cells", "max_age_s", "born_s", "hops"),
                *("insecure", "emulated", "sealed"),
            ),
        ),
        Table("counter", ("of", "name"), ("amount",)),
        Table("neighbour", ("name",), ("mark", "told")),
        Table("audit_end", ("one",), ("number", "digest")),
        Table("component", ("link", "path"), ("peer", "uid", "by", "at_s", "until_s", "check_value", "sealed")),
    )
}


class _Statements:
    """What is asked of one table."""

    def __init__(self, table: Table) -> None:
        columns = (*table.keys, *table.values)
        where = " AND ".join(f"{key} = ?" for key in table.keys)
        self.get = f"SELECT {', '.join(table.values)}, mac FROM {table.name} WHERE {where}"  # noqa: S608 - our names
        self.mac = f"SELECT mac FROM {table.name} WHERE {where}"  # noqa: S608
        self.drop = f"DELETE FROM {table.name} WHERE {where}"  # noqa: S608
        self.all = f"SELECT {', '.join(columns)}, mac FROM {table.name}"  # noqa: S608
        self.put = (
            f"INSERT INTO {table.name} ({', '.join(columns)}, mac) VALUES ({', '.join('?' * len(columns))}, ?)"  # noqa: S608
            f" ON CONFLICT ({', '.join(table.keys)}) DO UPDATE SET "
            + ", ".join(f"{column} = excluded.{column}" for column in (*table.values, "mac"))
        )


_STATEMENTS: Final = {name: _Statements(table) for name, table in TABLES.items()}


class Rows:
    """Reads and writes rows within a transaction that its owner begins and ends."""

    def __init__(self, database: sqlite3.Connection, seals: Seals) -> None:
        self._database = database
        self._seals = seals
        self._sum = 0

    @property
    def digest(self) -> bytes:
        """Digest of all rows."""
        return self._sum.to_bytes(MAC, "big")

    def get(self, table: str, *key: Value) -> Row | None:
        """Return the values of a row, None if there is none.

        Raises:
            Damage: It was altered.
        """
        found: Row | None = self._database.execute(_STATEMENTS[table].get, key).fetchone()
        return None if found is None else self._checked(table, (*key, *found))[len(key) :]

    def put(self, table: str, key: Row, values: Row) -> None:
        """Write a row, over the one that there was."""
        self._forget(table, key)
        mac = self._seals.mac(table, (*key, *values))
        self._database.execute(_STATEMENTS[table].put, (*key, *values, mac))
        self._add(mac, 1)

    def drop(self, table: str, *key: Value) -> None:
        """Delete a row, if it is there."""
        self._forget(table, key)
        self._database.execute(_STATEMENTS[table].drop, key)

    def all(self, table: str) -> Iterator[Row]:
        """Yield keys and values of all rows, in the order of the file.

        Raises:
            Damage: One was altered.
        """
        for row in self._database.execute(_STATEMENTS[table].all):
            yield self._checked(table, row)

    def begin(self, digest: bytes) -> None:
        """Start from the rows that are there; a file of an older form lacks tables.

        Raises:
            Damage: They are not those that were written.
        """
        self._sum = 0
        there = {name for (name,) in self._database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        for name, statements in _STATEMENTS.items():
            if name not in there:  # one that was taken out is missed in the sum
                continue
            for row in self._database.execute(statements.all):
                self._checked(name, row)
                self._add(row[-1], 1)
        if not hmac.compare_digest(self.digest, digest):
            raise Damage("rows are missing, or are older than others")

    def _checked(self, table: str, row: Row) -> Row:
        *values, mac = row
        if not isinstance(mac, bytes) or not hmac.compare_digest(self._seals.mac(table, values), mac):
            raise Damage(f"a row of table {table} was altered")
        return tuple(values)

    def _forget(self, table: str, key: Row) -> None:
        found = self._database.execute(_STATEMENTS[table].mac, key).fetchone()
        if found is not None:
            self._add(found[0], -1)

    def _add(self, mac: Value, sign: int) -> None:
        if not isinstance(mac, bytes):
            raise Damage("a row was altered")
        self._sum = (self._sum + sign * int.from_bytes(mac, "big")) % (1 << 8 * MAC)
