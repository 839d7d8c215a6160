"""The ledger of one-time pads: no pad is spent twice, whenever the process that spends them is killed."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tokaido.hal import AuthenticationError, KeyMaterial
from tokaido.hal.authentication import PAD_BYTES, AuthenticationPool, PadLedger, PadLedgerError, PadMarks

PADS = 4000
PRE_SHARED = random.Random(5).randbytes(32 + 2 * PADS * PAD_BYTES)
BATCH = 4
KILLS = 20

SPENDER = """
import os, random, sys
from tokaido.hal.authentication import AuthenticationPool
from tokaido.hal import KeyMaterial
from tokaido.hal.authentication import PadLedger

path, size, batch = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
account = PadLedger(path).open(key := random.Random(5).randbytes(size), "link")
pool = AuthenticationPool(
    KeyMaterial(key), end="receiver", persist=account.persist, resume=account.marks, batch=batch
)
os.write(1, b"open\\n")
while True:
    for _ in range(6):  # a proof takes a pad of the pre-shared key, and a block one of the fresh key
        os.write(1, b"%d\\n" % pool._spend(())[0])
    pool.replenish(KeyMaterial(bytes(32)))
    pool.discard_unshared(pool.segments)
    os.write(1, b"%d\\n" % pool._spend()[0])
"""


def opened(ledger: PadLedger, link: str = "link", key: bytes = PRE_SHARED) -> AuthenticationPool:
    account = ledger.open(key, link)
    return AuthenticationPool(
        KeyMaterial(key), end="receiver", persist=account.persist, resume=account.marks, batch=BATCH
    )


def spent_until_killed(path: Path, lines: int) -> list[int]:
    """Return the pads that a process was about to use when it was killed, after it said so many lines at least."""
    command = [sys.executable, "-c", SPENDER, str(path), str(len(PRE_SHARED)), str(BATCH)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        said = b""
        while said.count(b"\n") < lines:
            piece = os.read(process.stdout.fileno(), 16)
            assert piece, "the process ended by itself"
            said += piece
        process.send_signal(signal.SIGKILL)
        said += process.stdout.read()
    assert process.returncode == -signal.SIGKILL
    return [int(line) for line in said.split(b"\n")[1:] if line]


def test_no_pad_is_used_twice_and_one_reservation_at_most_is_lost_whenever_the_process_is_killed(
    tmp_path: Path,
) -> None:
    path = tmp_path / "pads"
    moments = random.Random(7)
    spent: list[int] = []
    last, crashes = -1, 0
    for _ in range(KILLS):
        found = spent_until_killed(path, moments.randint(1, 60))
        crashes += 1
        of_preshared = [index for index in found if index < 1 << 32]
        if of_preshared:
            assert of_preshared[0] - last - 1 <= BATCH * crashes
            last, crashes = of_preshared[-1], 0
        spent += found
    assert len(spent) > 10 * KILLS
    assert len(set(spent)) == len(spent)
    assert max(spent) >> 32 > KILLS / 2  # fresh key was spent too, and its numbers went on
    pool = opened(PadLedger(path))
    assert pool._spend(())[0] not in spent


def test_of_two_holders_the_older_spends_what_it_had_reserved_and_no_more(tmp_path: Path) -> None:
    path = tmp_path / "pads"
    older = opened(PadLedger(path))
    spent = [older._spend()[0]]
    younger = opened(PadLedger(path))
    spent += [younger._spend()[0] for _ in range(BATCH + 1)]
    spent += [older._spend()[0] for _ in range(BATCH - 1)]
    with pytest.raises(PadLedgerError, match="another holder has taken over"):
        older._spend()
    older.close()
    assert len(set(spent)) == len(spent) == 2 * BATCH + 1
    spent.append(opened(PadLedger(path))._spend()[0])
    assert len(set(spent)) == 2 * BATCH + 2


@pytest.mark.parametrize("durable", [True, False])
def test_marks_never_go_back_also_when_the_pool_is_closed(tmp_path: Path, durable: bool) -> None:
    ledger = PadLedger(tmp_path / "pads" if durable else None)
    assert ledger.durable is durable
    assert ("in memory only" in repr(ledger)) is not durable
    pool = opened(ledger)
    pool._spend()
    pool.close()
    assert ledger.open(PRE_SHARED, "link").marks == PadMarks(own=BATCH)
    assert opened(ledger)._spend()[0] == BATCH


def test_the_peers_pads_are_not_taken_again_after_a_restart(tmp_path: Path) -> None:
    pool = opened(PadLedger(tmp_path / "pads"))
    pool._settle(9, True)
    pool._spend()
    again = opened(PadLedger(tmp_path / "pads"))
    assert again.counts.spent == 128 * (10 + BATCH)
    with pytest.raises(AuthenticationError, match="was used"):
        again._expected(9)
    again._expected(10)


def test_a_key_belongs_to_its_link_for_ever(tmp_path: Path) -> None:
    opened(PadLedger(tmp_path / "pads"), "north").close()
    ledger = PadLedger(tmp_path / "pads")
    asked = (PRE_SHARED, "south"), (PRE_SHARED, "north"), (PRE_SHARED[::-1], "south")
    answers = [ledger.is_of_another(key, link) for key, link in asked]
    assert answers == [True, False, False]
    with pytest.raises(PadLedgerError, match="another link"):
        ledger.open(PRE_SHARED, "south")


def windows_found(key: bytes, folder: Path) -> int:
    files = [file.read_bytes() for file in folder.iterdir()]
    return sum(key[at : at + 6] in data for data in files for at in range(len(key) - 6))


def test_the_files_hold_no_key_and_are_the_owners_alone(tmp_path: Path) -> None:
    key = PRE_SHARED[:2048]
    path = tmp_path / "state" / "pads"
    pool = opened(PadLedger(path), key=key)
    spy = sqlite3.connect(path)
    try:
        spy.execute("SELECT * FROM pool").fetchall()  # a second reader keeps the write-ahead log on the disk
        for _ in range(10):
            pool._spend()
        names = sorted(file.name for file in path.parent.iterdir())
        assert names == ["pads", "pads-shm", "pads-wal"]
        assert [file.stat().st_mode & 0o777 for file in path.parent.iterdir()] == [0o600] * 3
        assert path.parent.stat().st_mode & 0o777 == 0o700
        found = [windows_found(key, path.parent)]
        (path.parent / "leak").write_bytes(b"..." + key[100:110] + b"...")
        found.append(windows_found(key, path.parent))
        assert found == [0, 5]
    finally:
        spy.close()


def test_a_commit_is_on_the_disk_before_the_pad_is_handed_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    connect = sqlite3.connect

    def traced(*args: object, **options: object) -> sqlite3.Connection:
        connection = connect(*args, **options)  # type: ignore[call-overload]
        connection.set_trace_callback(said.append)
        return connection  # type: ignore[no-any-return]

    monkeypatch.setattr(sqlite3, "connect", traced)
    pool = opened(PadLedger(tmp_path / "pads"))
    settings = {"PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL", "PRAGMA secure_delete = ON"}
    assert settings <= set(said[: said.index("BEGIN IMMEDIATE")])  # once: they hold as long as the connection
    said.clear()
    pool._spend()
    assert (said[0], said[-1]) == ("BEGIN IMMEDIATE", "COMMIT")
    said.clear()
    for _ in range(BATCH - 1):
        pool._spend()
    assert said == []


@pytest.mark.parametrize("what", ["a folder", "no ledger"])
def test_a_ledger_that_cannot_be_used_gives_no_pad(tmp_path: Path, what: str) -> None:
    path = tmp_path / "pads"
    if what == "a folder":
        path.mkdir()
    else:
        path.write_bytes(b"this is no database at all" * 100)
    with pytest.raises(PadLedgerError, match="cannot be used"):
        PadLedger(path).open(PRE_SHARED, "link")


def test_a_pool_whose_ledger_vanished_spends_no_further_than_it_had_reserved(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    pool = opened(PadLedger(folder / "pads"))
    pool._spend()
    for file in folder.iterdir():
        file.unlink()
    for _ in range(BATCH - 1):
        pool._spend()
    with pytest.raises(PadLedgerError):
        pool._spend()
    pool.close()
