"""The tables of a store, and how a file of an older form becomes one of this form."""

from __future__ import annotations

from typing import Final

APPLICATION: Final = 0x544B4453
"""SQLite's `application_id` of a store: TKDS."""

MIGRATIONS: Final = (
    """
    CREATE TABLE store (one INTEGER PRIMARY KEY CHECK (one = 1), id BLOB NOT NULL, data_key BLOB);
    CREATE TABLE state (
        one INTEGER PRIMARY KEY CHECK (one = 1), age_s REAL NOT NULL, digest BLOB NOT NULL, mac BLOB NOT NULL);

    CREATE TABLE block (
        id INTEGER PRIMARY KEY, link TEXT NOT NULL, session TEXT NOT NULL, number INTEGER NOT NULL,
        size INTEGER NOT NULL, own_half INTEGER NOT NULL, key_ids BLOB NOT NULL, insecure INTEGER NOT NULL,
        emulated INTEGER NOT NULL, mac BLOB NOT NULL, UNIQUE (link, session, number));
    CREATE TABLE lease (
        block INTEGER PRIMARY KEY, own INTEGER NOT NULL, granted INTEGER NOT NULL, passed INTEGER NOT NULL,
        told INTEGER NOT NULL, mac BLOB NOT NULL);
    CREATE TABLE segment (id INTEGER PRIMARY KEY, sealed BLOB NOT NULL);
    CREATE TABLE ended (
        link TEXT NOT NULL, session TEXT NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL, mac BLOB NOT NULL,
        PRIMARY KEY (link, session, first)) WITHOUT ROWID;

    CREATE TABLE batch (
        relay BLOB NOT NULL UNIQUE, neighbour TEXT NOT NULL, started_here INTEGER NOT NULL, count INTEGER NOT NULL,
        route BLOB NOT NULL, ready INTEGER NOT NULL, taken INTEGER NOT NULL, born_s REAL NOT NULL,
        insecure INTEGER NOT NULL, emulated INTEGER NOT NULL, sealed BLOB, mac BLOB NOT NULL);
    CREATE TABLE supply (
        key_id BLOB NOT NULL UNIQUE, neighbour TEXT NOT NULL, started_here INTEGER NOT NULL, master TEXT NOT NULL,
        slaves BLOB NOT NULL, size INTEGER NOT NULL, cells BLOB NOT NULL, max_age_s REAL NOT NULL,
        born_s REAL NOT NULL, hops INTEGER NOT NULL, insecure INTEGER NOT NULL, emulated INTEGER NOT NULL, sealed BLOB,
        mac BLOB NOT NULL);
    CREATE TABLE counter (
        of TEXT NOT NULL, name TEXT NOT NULL, amount INTEGER NOT NULL, mac BLOB NOT NULL,
        PRIMARY KEY (of, name)) WITHOUT ROWID;
    CREATE TABLE neighbour (
        name TEXT PRIMARY KEY, mark INTEGER NOT NULL, told INTEGER NOT NULL, mac BLOB NOT NULL) WITHOUT ROWID;

    CREATE TABLE alarm (
        id INTEGER PRIMARY KEY, code TEXT NOT NULL, of TEXT NOT NULL, severity TEXT NOT NULL, text TEXT NOT NULL,
        latched INTEGER NOT NULL, raised_s REAL NOT NULL, cleared_s REAL, acknowledged_s REAL,
        acknowledged_by TEXT NOT NULL DEFAULT '', note TEXT NOT NULL DEFAULT '');
    CREATE TABLE audit (
        number INTEGER PRIMARY KEY, at_s REAL NOT NULL, who TEXT NOT NULL, place TEXT NOT NULL, what TEXT NOT NULL,
        why TEXT NOT NULL, previous BLOB NOT NULL, digest BLOB NOT NULL);
    CREATE TABLE outbox (
        id INTEGER PRIMARY KEY AUTOINCREMENT, subject TEXT NOT NULL, payload BLOB NOT NULL, state TEXT NOT NULL);
    CREATE TABLE topology (network TEXT PRIMARY KEY, serial INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE device (
        name TEXT PRIMARY KEY, serial_number TEXT NOT NULL, accepted INTEGER NOT NULL) WITHOUT ROWID;
    """,
    "CREATE TABLE attempt (device TEXT NOT NULL, at_s REAL NOT NULL);",
    "CREATE TABLE move (link TEXT PRIMARY KEY, record BLOB NOT NULL) WITHOUT ROWID;",
    """
    CREATE TABLE command (
        id TEXT PRIMARY KEY, by TEXT NOT NULL, until_s REAL NOT NULL, answer BLOB) WITHOUT ROWID;
    """,
    """
    CREATE TABLE audit_end (
        one INTEGER PRIMARY KEY CHECK (one = 1), number INTEGER NOT NULL, digest BLOB NOT NULL, mac BLOB NOT NULL);
    """,
    """
    ALTER TABLE device ADD COLUMN vendor TEXT NOT NULL DEFAULT '';
    ALTER TABLE device ADD COLUMN model TEXT NOT NULL DEFAULT '';
    ALTER TABLE device ADD COLUMN firmware TEXT NOT NULL DEFAULT '';
    ALTER TABLE device ADD COLUMN at_s REAL NOT NULL DEFAULT 0;
    ALTER TABLE device ADD COLUMN by TEXT NOT NULL DEFAULT '';
    """,
    """
    CREATE TABLE maintenance (link TEXT PRIMARY KEY, by TEXT NOT NULL, until_s REAL NOT NULL) WITHOUT ROWID;
    """,
    """
    CREATE TABLE service (
        link TEXT PRIMARY KEY, up_s REAL NOT NULL, down_s REAL NOT NULL, maintenance_s REAL NOT NULL,
        at_s REAL NOT NULL) WITHOUT ROWID;
    """,
    """
    CREATE TABLE component (
        link TEXT NOT NULL, path TEXT NOT NULL, peer TEXT NOT NULL, uid INTEGER NOT NULL, by TEXT NOT NULL,
        at_s REAL NOT NULL, until_s REAL NOT NULL, check_value TEXT NOT NULL, sealed BLOB NOT NULL, mac BLOB NOT NULL,
        UNIQUE (link, path));
    CREATE TABLE preshared_key (
        device TEXT NOT NULL, peer TEXT NOT NULL, path TEXT NOT NULL, since_s REAL NOT NULL, by TEXT NOT NULL,
        check_value TEXT NOT NULL, PRIMARY KEY (device, peer, path)) WITHOUT ROWID;
    """,
)
"""The statements that make form `n + 1` of form `n`. Published ones stay as they are; a new form is appended."""

VERSION: Final = len(MIGRATIONS)
"""Of the form: SQLite's `user_version`."""

CUSTODY: Final = (
    *("block", "lease", "segment", "ended", "batch", "supply", "counter", "neighbour", "audit_end", "component"),
    "state",
)
"""Tables that are worth nothing without the data key."""
