"""What it takes to reserve one-time pads durably, beside one bare commit of SQLite with the same durability.

A reservation of `PadLedger` reads the whole book, checks who may write the file, the digest of the book and the MAC of
the row, and commits the new marks: write-ahead log, `synchronous = FULL`, so that each commit waits for the disk. The
bare side commits one row in a file of its own with the same settings. Both take turns, on a disk and in memory, where
a commit costs no wait. A link reserves four pads at a time, of which a block takes two.
"""

from __future__ import annotations

import itertools
import os
import sqlite3
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from measuring import Figure, Side, Spread, in_turns, spread

if TYPE_CHECKING:
    from collections.abc import Callable

PLACES = (("on a disk", "/var/tmp", 20, 20), ("in memory", "/dev/shm", 40, 100))


def measure() -> list[Figure]:
    rows: list[Figure] = []
    for where, folder, rounds, repeats in PLACES:
        if Path(folder).is_dir():
            bare, ours = _taken(folder, rounds, repeats)
            rows += [
                _a_second(bare).figure(f"bare durable commits of SQLite {where}", "/s"),
                _a_second(ours).figure(f"reservations of pads {where}", "/s", ">= 5000 /s" if "mem" in where else ""),
                ours.over(bare).figure(f"a reservation of pads over a bare commit {where}", "x"),
                ours.cpu_over(bare).figure(f"CPU of a reservation of pads beyond a bare commit {where}", "us"),
            ]
    return rows


def _taken(place: str, rounds: int, repeats: int) -> tuple[Side, Side]:
    from tokaido.hal.authentication import PadLedger, PadMarks

    with tempfile.TemporaryDirectory(dir=place) as folder:
        account = PadLedger(Path(folder) / "pads").open(os.urandom(4096), "link")
        pads = itertools.count(1)
        bare, ours = in_turns(
            [_bare(Path(folder) / "bare"), lambda: account.persist(PadMarks(own=next(pads)))],
            rounds=rounds,
            repeats=repeats,
        )
    return bare, ours


def _bare(path: Path) -> Callable[[], None]:
    """Return what commits one row durably."""
    database = sqlite3.connect(path, isolation_level=None)
    for statement in (
        "PRAGMA journal_mode = WAL",
        "PRAGMA synchronous = FULL",
        "CREATE TABLE mark (one INTEGER PRIMARY KEY, own INTEGER NOT NULL)",
    ):
        database.execute(statement)
    numbers = itertools.count(1)

    def commit() -> None:
        database.execute("BEGIN IMMEDIATE")
        database.execute("INSERT OR REPLACE INTO mark VALUES (1, ?)", (next(numbers),))
        database.execute("COMMIT")

    return commit


def _a_second(side: Side) -> Spread:
    return spread(1e6 / taken for taken in side.wall)
