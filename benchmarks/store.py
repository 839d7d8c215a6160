"""What a node's store takes for durable commits, beside bare SQLite that commits rows of the same size as durably.

*Stock*: batches of 64 keys, each in a commit of its own, as a relay's end stores them: sealed, with MACs and a counter.
One commit a transaction, and four, which is how many relays a neighbour has in flight.
The bare side writes the 2 KiB of keys in the clear, one row a batch, with an index on its id, and one counter.
*Clients*: 50 at once, each of which waits until its own commit is durable: a key leaves the stock and becomes a supply.
`StoreThread` commits what waits together. The bare side commits one row of 32 bytes for each client, one after another,
as a server without group commit does, in the same process and without a thread.
Both take turns, on a disk and in memory, where a sync costs nothing; logs are cut about as often.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import sqlite3
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from measuring import Figure, in_turns, spread

if TYPE_CHECKING:
    from collections.abc import Callable

PLACES = (("on a disk", "/var/tmp", 15, 20), ("in memory", "/dev/shm", 15, 50))
ROUTE = "odawara", "hakone", "mishima", "numazu"
BATCH = 64
IN_FLIGHT = 4
CLIENTS = 50
CUT = 500
"""So many bare commits are between two cuts of the log: about those of a second on a disk."""


def measure() -> list[Figure]:
    rows: list[Figure] = []
    for where, place, rounds, repeats in PLACES:
        if Path(place).is_dir():
            with tempfile.TemporaryDirectory(dir=place) as folder:
                rows += _stock(Path(folder), where, rounds, repeats)
            with tempfile.TemporaryDirectory(dir=place) as folder:
                rows += _clients(Path(folder), where, rounds, max(1, repeats // 10))
    return rows


def _stock(folder: Path, where: str, rounds: int, repeats: int) -> list[Figure]:
    from tokaido.hal import KeyMaterial
    from tokaido.node.core import Batch, Commit, Count, PutBatch
    from tokaido.node.store import SqliteStore

    store = SqliteStore.open(folder / "ours" / "store", KeyMaterial(os.urandom(32)), create=True)
    bare, relays = _bare(folder / "bare"), itertools.count(1)
    cells = KeyMaterial(os.urandom(32 * BATCH))

    def one() -> Commit:
        batch = Batch(os.urandom(16), "numazu", True, BATCH, ROUTE, ready=False)
        return Commit(next(relays), (PutBatch(batch, cells), Count("pair:numazu", {"held": BATCH})))

    def put(number: int) -> None:
        store.commit([one() for _ in range(number)])
        store.tend()

    sides = [lambda: bare(bytes(cells.reveal())), lambda: put(1), lambda: put(IN_FLIGHT)]
    theirs, ours, four = in_turns(sides, rounds=rounds, repeats=repeats)
    store.close()
    goal = ">= 20000 /s" if "disk" in where else ""
    return [
        spread(BATCH * 1e6 / taken for taken in ours.wall).figure(f"keys put in stock, durably, {where}", "/s", goal),
        spread(IN_FLIGHT * BATCH * 1e6 / taken for taken in four.wall).figure(
            f"the same, {IN_FLIGHT} batches a transaction, {where}", "/s", goal
        ),
        ours.over(theirs).figure(f"a batch of 64 keys put in stock over a bare commit {where}", "x"),
        ours.cpu_over(theirs).figure(f"CPU of a batch of 64 keys beyond a bare commit {where}", "us"),
    ]


def _clients(folder: Path, where: str, rounds: int, repeats: int) -> list[Figure]:
    from tokaido.hal import KeyMaterial
    from tokaido.node.core import Batch, Commit, Count, PutBatch, PutSupply, SetBatch, SupplyRow
    from tokaido.node.store import SqliteStore, StoreThread

    key, wrapping = KeyMaterial(os.urandom(32)), KeyMaterial(os.urandom(32))
    bare, tokens = _bare(folder / "bare"), itertools.count(1)
    rounds_done = itertools.count()
    cells, relays = KeyMaterial(os.urandom(32 * BATCH)), [b""] * CLIENTS

    def request(relay: bytes, number: int) -> Commit:
        cell = ((relay, number, 1),)
        row = SupplyRow(os.urandom(16), "numazu", False, "a", ("b",), 256, cell, 3600.0, 0.0, 3)
        writes = PutSupply(row, key), SetBatch(relay, taken=number + 1), Count("pair:numazu", {"supplied": 1})
        return Commit(next(tokens), writes)

    async def all_at_once(thread: StoreThread) -> None:
        number = next(rounds_done) % BATCH
        if number == 0:  # a batch a client, and a new one when it is used up
            relays[:] = [os.urandom(16) for _ in relays]
            batches = [PutBatch(Batch(relay, "numazu", True, BATCH, ROUTE, True), cells) for relay in relays]
            await thread.commit(Commit(next(tokens), tuple(batches)))
        await asyncio.gather(*(thread.commit(request(relay, number)) for relay in relays))

    def one_by_one() -> None:
        for _ in range(CLIENTS):
            bare(bytes(key.reveal()))

    loop = asyncio.new_event_loop()
    thread = StoreThread(lambda: SqliteStore.open(folder / "ours" / "store", wrapping, create=True))
    loop.run_until_complete(thread.start())
    theirs, ours = in_turns(
        [one_by_one, lambda: loop.run_until_complete(all_at_once(thread))], rounds=rounds, repeats=repeats
    )
    loop.run_until_complete(thread.close())
    loop.close()
    milliseconds = spread(taken / 1000 for taken in ours.wall)
    return [
        milliseconds.figure(f"{CLIENTS} clients at once, until the last has its commit, {where}", "ms"),
        ours.over(theirs).figure(f"{CLIENTS} clients at once over as many bare commits {where}", "x"),
    ]


def _bare(path: Path) -> Callable[[bytes], None]:
    """Return what commits one row durably."""
    database = sqlite3.connect(path, isolation_level=None)
    for statement in (
        "PRAGMA locking_mode = EXCLUSIVE",
        "PRAGMA journal_mode = WAL",
        "PRAGMA synchronous = FULL",
        "PRAGMA wal_autocheckpoint = 0",
        "CREATE TABLE batch (relay BLOB NOT NULL UNIQUE, cells BLOB NOT NULL)",
        "CREATE TABLE counter (one INTEGER PRIMARY KEY, amount INTEGER NOT NULL)",
    ):
        database.execute(statement)
    numbers = itertools.count(1)

    def commit(cells: bytes) -> None:
        number = next(numbers)
        database.execute("BEGIN IMMEDIATE")
        database.execute("INSERT INTO batch VALUES (?, ?)", (os.urandom(16), cells))
        database.execute("INSERT OR REPLACE INTO counter VALUES (1, ?)", (number,))
        database.execute("COMMIT")
        if number % CUT == 0:
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    return commit
