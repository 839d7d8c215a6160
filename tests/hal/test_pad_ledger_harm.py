"""A ledger of one-time pads that is forked, put back, altered, full or open to others: no pad is spent twice."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tokaido.hal import AuthenticationError, KeyMaterial, KeyMaterialError
from tokaido.hal.authentication import AuthenticationPool, OneTimeAuthenticator, PadLedger, PadLedgerError, PadMarks
from tokaido_testing.forks import in_a_fork

if TYPE_CHECKING:
    from collections.abc import Iterator

KEY = random.Random(5).randbytes(32 + 2 * 400 * 16)
OTHER_KEY = random.Random(6).randbytes(32 + 2 * 400 * 16)
BATCH = 4


def opened(ledger: PadLedger, key: bytes = KEY, link: str = "link") -> AuthenticationPool:
    account = ledger.open(key, link)
    return AuthenticationPool(
        KeyMaterial(key), end="receiver", persist=account.persist, resume=account.marks, batch=BATCH
    )


# --- forks ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("durable", [True, False])
def test_a_child_that_leaves_a_with_block_moves_no_mark_of_its_parent(tmp_path: Path, durable: bool) -> None:
    ledger = PadLedger(tmp_path / "pads" if durable else None)
    pool = opened(ledger)
    spent = [pool._spend()[0]]
    assert in_a_fork(pool.close) == ""
    spent += [pool._spend()[0] for _ in range(2)]
    if durable:
        spent.append(opened(PadLedger(tmp_path / "pads"))._spend()[0])
    assert spent == ([0, 1, 2, BATCH] if durable else [0, 1, 2])


@pytest.mark.parametrize("durable", [True, False])
def test_a_child_spends_no_pad_and_takes_none_of_the_peer(tmp_path: Path, durable: bool) -> None:
    ledger = PadLedger(tmp_path / "pads" if durable else None)
    pool = opened(ledger)
    pool._spend()

    def use() -> None:
        with pytest.raises(PadLedgerError, match=f"process {os.getppid()} has these one-time pads"):
            OneTimeAuthenticator(pool).tag(b"x")
        with pytest.raises(PadLedgerError):
            OneTimeAuthenticator(pool).prove(b"x", ())
        with pytest.raises(AuthenticationError):
            OneTimeAuthenticator(pool).verify(0, b"x", bytes(16))

    assert in_a_fork(use) == ""
    assert pool._spend()[0] == 1


def test_a_child_may_take_over_what_is_on_disk_and_then_its_parent_spends_no_more(tmp_path: Path) -> None:
    ledger = PadLedger(tmp_path / "pads")
    pool = opened(ledger)
    pool._spend()

    def take_over() -> None:
        assert opened(ledger)._spend()[0] == BATCH

    assert in_a_fork(take_over) == ""
    for _ in range(BATCH - 1):
        pool._spend()
    with pytest.raises(PadLedgerError, match="another holder"):
        pool._spend()


def test_a_copy_of_a_ledger_in_memory_is_refused_in_a_fork() -> None:
    ledger = PadLedger()
    opened(ledger)

    def use() -> None:
        with pytest.raises(PadLedgerError, match="give it a path"):
            ledger.open(KEY, "link")

    assert in_a_fork(use) == ""


# --- older files ------------------------------------------------------------------------------------------------------


def copied(folder: Path, to: Path) -> None:
    shutil.rmtree(to, ignore_errors=True)
    shutil.copytree(folder, to)


def test_a_file_that_is_put_back_while_the_pool_is_open_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    pool = opened(PadLedger(folder / "pads"))
    pool._spend()
    database = sqlite3.connect(folder / "pads")
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    copied(folder, tmp_path / "copy")
    spent = [pool._spend()[0] for _ in range(3 * BATCH - 1)]
    copied(tmp_path / "copy", folder)
    with pytest.raises(PadLedgerError, match="put back from a copy"):
        pool._spend()
    assert len(set(spent)) == len(spent)


@pytest.mark.parametrize("durable", [True, False])
def test_no_mark_is_ever_lowered(tmp_path: Path, durable: bool) -> None:
    account = PadLedger(tmp_path / "pads" if durable else None).open(KEY, "link")
    account.persist(PadMarks(8, 8, 8))
    for lower in (PadMarks(7, 8, 8), PadMarks(8, 7, 8), PadMarks(8, 8, 7), PadMarks()):
        with pytest.raises(PadLedgerError, match="only rise"):
            account.persist(lower)
    account.persist(PadMarks(8, 9, 8))


# --- altered files ----------------------------------------------------------------------------------------------------


def pages(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield the file with one byte flipped, a byte in four of all that is not zero."""
    whole = path.read_bytes()
    for at in [at for at in range(len(whole)) if whole[at]][::4]:
        yield at, whole[:at] + bytes([whole[at] ^ 0x41]) + whole[at + 1 :]


def test_no_flipped_byte_gives_a_pad_again(tmp_path: Path) -> None:
    path = tmp_path / "pads"
    for key in (KEY, OTHER_KEY):
        pool = opened(PadLedger(path), key, str(len(key)))
        for _ in range(3 * BATCH):
            pool._spend()
        del pool
    database = sqlite3.connect(path)
    database.execute("PRAGMA journal_mode = DELETE")
    database.close()
    refused = 0
    flipped = list(pages(path))
    harmed = tmp_path / "harmed" / "pads"
    harmed.parent.mkdir()
    for at, content in flipped:
        shutil.rmtree(harmed.parent)
        harmed.parent.mkdir()
        harmed.write_bytes(content)
        try:
            account = PadLedger(harmed).open(KEY, str(len(KEY)))
        except PadLedgerError:
            refused += 1
        else:
            assert account.marks.own == 3 * BATCH, f"byte {at}"
    assert refused > len(flipped) / 4


@pytest.mark.parametrize("column", ["own", "peer", "segment", "epoch", "link", "id", "mac"])
def test_a_row_that_somebody_altered_is_refused_with_its_remedy(tmp_path: Path, column: str) -> None:
    path = tmp_path / "pads"
    pool = opened(PadLedger(path))
    pool._spend()
    database = sqlite3.connect(path)
    database.execute(f"UPDATE pool SET {column} = ?", (b"x" * 32 if column in ("link", "id", "mac") else 3,))
    database.commit()
    database.close()
    for _ in range(BATCH - 1):
        pool._spend()  # what was reserved
    for use in (pool._spend, lambda: PadLedger(path).open(KEY, "link"), lambda: PadLedger(path).is_of_another(KEY, "")):
        with pytest.raises(PadLedgerError, match=r"damaged.*Load a new pre-shared key at both ends"):
            use()


def test_a_row_whose_digest_was_made_to_fit_still_needs_the_key(tmp_path: Path) -> None:
    path = tmp_path / "pads"
    opened(PadLedger(path))._spend()
    ledger = PadLedger(path)
    forger: Any = ledger

    def lower(book: Any) -> None:
        (row,) = book._rows.values()
        book.put(type(row)(row.name, row.link, row.epoch, PadMarks()), b"not the key")

    forger._transact(lower)
    with pytest.raises(PadLedgerError, match="was altered"):
        PadLedger(path).open(KEY, "link")


@pytest.mark.parametrize(("place", "mode"), [("pads", 0o666), ("pads", 0o620), ("", 0o777), ("", 0o775)])
def test_a_ledger_that_others_may_write_is_refused(tmp_path: Path, place: str, mode: int) -> None:
    folder = tmp_path / "state"
    opened(PadLedger(folder / "pads")).close()
    (folder / place).chmod(mode)
    with pytest.raises(PadLedgerError, match=r"is not believed: .* may write"):
        PadLedger(folder / "pads").open(KEY, "link")


# --- a full disk ------------------------------------------------------------------------------------------------------


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 128 KiB."""
    place = tmp_path / "tiny"
    place.mkdir(mode=0o700)
    options = ["mount", "-t", "tmpfs", "-o", "size=128k,mode=700", "tokaido-test", str(place)]
    if os.geteuid() != 0 or shutil.which("mount") is None or subprocess.call(options, stderr=subprocess.DEVNULL):
        pytest.skip("no file system may be mounted here")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_full_disk_spends_no_pad_and_says_so(tiny_disk: Path) -> None:
    ledger = PadLedger(tiny_disk / "pads")
    pool = opened(ledger)
    authenticator = OneTimeAuthenticator(pool)
    assert [authenticator.tag(b"x")[0] for _ in range(BATCH)] == list(range(BATCH))
    filler = tiny_disk / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(bytes(512)):
            pass
    left = pool.counts
    failures: list[str] = []
    for _ in range(64):
        try:
            authenticator.tag(b"x")
        except KeyMaterialError as error:
            failures.append(str(error))
    filler.unlink()
    assert failures
    assert all("cannot be used" in text and "a local disk with room" in text for text in failures)
    assert left.remaining - pool.counts.remaining == 128 * (64 - len(failures))
    assert authenticator.tag(b"x")[0] == BATCH + 64 - len(failures)


def test_a_ledger_that_cannot_be_written_spends_no_pad() -> None:
    full = True

    def persist(marks: PadMarks) -> None:
        if full:
            raise PadLedgerError("the ledger cannot be used: database or disk is full")

    pool = AuthenticationPool(KeyMaterial(KEY), end="transmitter", persist=persist, batch=BATCH)
    before = pool.counts
    for _ in range(100):
        with pytest.raises(PadLedgerError, match="disk is full"):
            pool._spend()
    assert pool.counts == before
    full = False
    assert pool._spend()[0] == 0


# --- what the two ends tell each other --------------------------------------------------------------------------------


def test_an_end_that_hears_of_pads_it_never_spent_spends_none_any_more() -> None:
    pool = AuthenticationPool(KeyMaterial(KEY), end="transmitter")
    for _ in range(3):
        pool._spend()
    pool.hear(3)
    with pytest.raises(PadLedgerError, match=r"has seen 4 one-time pads of this end, whose ledger knows of 3: it went"):
        pool.hear(4)
    for _ in range(2):
        with pytest.raises(PadLedgerError, match="new pre-shared key"):
            pool._spend()
    with pytest.raises(PadLedgerError):
        pool.hear(0)


def test_a_seal_is_of_the_key_the_end_and_the_words() -> None:
    tx = AuthenticationPool(KeyMaterial(KEY), end="transmitter")
    rx = AuthenticationPool(KeyMaterial(KEY), end="receiver")
    stranger = AuthenticationPool(KeyMaterial(OTHER_KEY), end="receiver")
    seal = tx.seal(b"heard 3")
    rx.check_seal(b"heard 3", seal)
    for pool, said, given in [
        (rx, b"heard 4", seal), (tx, b"heard 3", seal), (stranger, b"heard 3", seal), (rx, b"heard 3", b""),
    ]:  # fmt: skip
        with pytest.raises(AuthenticationError, match="seal is wrong"):
            pool.check_seal(said, given)
    assert tx.counts.spent == 0
