"""Leases: one holder at a time, and a number that only ever goes up."""

from __future__ import annotations

import select
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest

import tokaido.hal as hal
from tokaido.hal.stations import _leases
from tokaido_testing.toy_clock import ToyClock


@pytest.fixture
def clock() -> ToyClock:
    return ToyClock()


@pytest.fixture
def book(tmp_path: Path, clock: ToyClock) -> hal.LeaseBook:
    return hal.LeaseBook(tmp_path / "leases.sqlite", clock=clock)


def test_one_holds_it_and_another_is_told_who_and_how_long(book: hal.LeaseBook, clock: ToyClock) -> None:
    lease = book.acquire("field", "first", 30)
    clock.wait(12)
    with pytest.raises(hal.LeaseHeldError, match=r"held by first \(token 1\) for 18\.0 s") as caught:
        book.acquire("field", "second", 30)
    assert (caught.value.holder, caught.value.remaining_s) == ("first", 18)
    assert book.inspect("field") == hal.LeaseInfo("field", "first", 1, 18)
    assert book.acquire("other", "second", 30).fencing_token == 2
    lease.release()
    assert book.inspect("field") is None
    assert book.acquire("field", "second", 30).fencing_token == 3


def test_several_names_are_taken_at_once_or_none(book: hal.LeaseBook) -> None:
    book.acquire("west", "first", 30)
    with pytest.raises(hal.LeaseHeldError, match="west"):
        book.acquire(["east", "west"], "second", 30)
    assert book.inspect("east") is None
    with book.acquire(["alice", "east"], "second", 30) as lease:
        assert [book.inspect(name) is not None for name in ("alice", "east", "west")] == [True] * 3
        assert lease.fencing_token == 2  # the refusal used no number
    assert [book.inspect(name) is not None for name in ("alice", "east", "west")] == [False, False, True]


def test_a_lease_ends_and_its_holder_learns_it(book: hal.LeaseBook, clock: ToyClock) -> None:
    lease = book.acquire("field", "first", 30)
    clock.wait(29)
    lease.renew()
    clock.wait(29)
    assert lease.check() == 1
    clock.wait(1)
    for act in (lease.check, lease.renew, lease.keep):
        with pytest.raises(hal.LeaseLostError, match="ran out"):
            act()
    second = book.acquire("field", "second", 30)
    assert second.fencing_token == 2
    for act in (lease.check, lease.renew, lease.keep):
        with pytest.raises(hal.LeaseLostError, match="taken over by second under token 2"):
            act()
    lease.release()
    assert second.check() == 30


def test_keeping_renews_only_when_half_is_gone(book: hal.LeaseBook, clock: ToyClock) -> None:
    lease = book.acquire("field", "first", 30)
    clock.wait(14)
    lease.keep()
    assert lease.check() == 16
    clock.wait(2)
    lease.keep()
    assert lease.check() == 30


def test_after_a_reboot_all_are_free_and_numbers_go_on(
    book: hal.LeaseBook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = book.acquire("field", "first", 30)
    before.check()
    boot = tmp_path / "boot_id"
    boot.write_text("another-boot\n")
    monkeypatch.setattr(_leases, "BOOT_ID", boot)
    again = hal.LeaseBook(book.path, clock=ToyClock(5))
    assert again.inspect("field") is None
    with pytest.raises(hal.LeaseLostError):
        before.check()
    assert again.acquire("field", "first", 30).fencing_token == 2


def test_a_lost_count_can_be_lifted_and_never_lowered(book: hal.LeaseBook) -> None:
    book.skip_to(40)
    assert book.acquire("field", "first", 30).fencing_token == 41
    book.skip_to(7)
    assert book.acquire("other", "first", 30).fencing_token == 42
    with pytest.raises(hal.LeaseError):
        book.skip_to(2**53)


def test_the_file_is_its_owner_s_alone_and_looking_makes_none(book: hal.LeaseBook) -> None:
    assert book.inspect("field") is None
    assert not book.path.exists()
    book.acquire("field", "first", 30)
    assert stat.S_IMODE(book.path.stat().st_mode) == 0o600


@pytest.mark.parametrize("what", ["no folder", "no database", "another's database", "locked"])
def test_what_sqlite_says_is_said_as_a_lease_error(
    what: str, book: hal.LeaseBook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_leases, "BUSY_S", 0.05)
    other = sqlite3.connect(":memory:")
    match what:
        case "no folder":
            book.path = book.path / "sub" / "leases.sqlite"
        case "no database":
            book.path.write_text("this is not a database, but it is long enough to be looked at as one" * 20)
        case "another's database":
            other = sqlite3.connect(book.path)
            other.execute("CREATE TABLE theirs (x)")
        case _:
            other = sqlite3.connect(book.path, isolation_level=None)
            other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(hal.LeaseError, match="cannot be used"):
        book.acquire("field", "first", 30)
    other.close()


@pytest.mark.parametrize("seconds", [0, -1, 1e9, float("nan")])
def test_a_lease_of_no_time_or_for_ever_is_refused(book: hal.LeaseBook, seconds: float) -> None:
    with pytest.raises(hal.LeaseError, match="lasts up to"):
        book.acquire("field", "first", seconds)


CONTENDER = """
import os, sys
import tokaido.hal as hal
book, log = hal.LeaseBook(sys.argv[1]), os.open(sys.argv[2], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
for _ in range(15):
    while True:
        try:
            lease = book.acquire("field", str(os.getpid()), 60)
            break
        except hal.LeaseHeldError:
            hal.SYSTEM_CLOCK.wait(0.001)
    for _ in range(3):
        lease.check()
        os.write(log, f"{lease.fencing_token}\\n".encode())
    lease.release()
"""


def test_two_processes_never_hold_it_together(tmp_path: Path) -> None:
    command = [sys.executable, "-c", CONTENDER, str(tmp_path / "leases.sqlite"), str(tmp_path / "log")]
    running = [subprocess.Popen(command) for _ in range(2)]
    assert [process.wait(40) for process in running] == [0, 0]
    fences = [int(line) for line in (tmp_path / "log").read_text().split()]
    assert fences == [fencing_token for fencing_token in range(1, 31) for _ in range(3)]


def test_importing_hal_loads_no_sqlite() -> None:
    code = "import sys, tokaido.hal; assert not {'sqlite3', 'concurrent.futures', 'socket'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


HOLDER = """
import sys, threading
import tokaido.hal as hal

class Clock(hal.SystemClock):
    stops = 1

    def monotonic_ns(self):
        if self.stops and threading.current_thread() is threading.main_thread():  # acquire asks if a lease has ended
            self.stops = 0
            other = threading.Thread(target=hal.LeaseBook(sys.argv[1]).inspect, args=["another"], daemon=True)
            other.start()
            other.join(0.5)
            print("inside", flush=True)
            sys.stdin.readline()
        return super().monotonic_ns()

try:
    print("holds", hal.LeaseBook(sys.argv[1], clock=Clock()).acquire("field", "first", 60).fencing_token)
except hal.LeaseHeldError:
    print("refused")
"""
ASKER = """
import sys
import tokaido.hal as hal
book = hal.LeaseBook(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
try:
    print("holds", book.acquire("field", "second", 60).fencing_token)
except hal.LeaseHeldError:
    print("refused")
"""


def started(program: str, path: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", program, str(path)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_a_thread_that_reads_the_book_breaks_no_transaction_of_its_process(tmp_path: Path) -> None:
    path = tmp_path / "leases.sqlite"
    hal.LeaseBook(path).acquire("field", "ended", 1e-9)
    with started(HOLDER, path) as holder, started(ASKER, path) as asker:
        assert holder.stdout
        assert asker.stdin
        assert asker.stdout
        assert holder.stdout.readline() == "inside\n"
        assert asker.stdout.readline() == "ready\n"
        asker.stdin.write("\n")
        asker.stdin.flush()
        select.select([asker.stdout], [], [], 1)  # time enough to take it, if the lock were gone
        said = holder.communicate("\n", 20)[0] + asker.communicate(timeout=20)[0]
    assert said.split("\n") == ["holds 2", "refused", ""]
