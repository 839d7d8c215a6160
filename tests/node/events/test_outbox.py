"""The outbox of a node: what is dropped when there is no room, and that it goes with what it tells of."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tokaido.hal import KeyMaterial, Severity
from tokaido.node.core import Batch, Commit, Post, PutBatch
from tokaido.node.store import CommandRow, SqliteStore, StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEY = bytes(range(32))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStore]:
    opened = SqliteStore.open(path, KeyMaterial(KEY), create=True)
    yield opened
    opened.close()


def states(store: SqliteStore) -> list[tuple[str, str]]:
    return [(row.subject, row.state) for row in store.records.outbox()]


def test_telemetry_is_dropped_first_then_relays_and_never_what_waits(store: SqliteStore) -> None:
    for number in range(4):
        store.records.post(f"alarm {number}", b"{}")
        store.records.post(f"relay {number}", b"{}", "relay")
        store.records.post(f"telemetry {number}", b"{}", "telemetry")
    assert store.records.trim_outbox(10, ("telemetry", "relay")) == 2
    assert [name for name, _ in states(store) if "tele" in name] == ["telemetry 2", "telemetry 3"]
    assert store.records.trim_outbox(7, ("telemetry", "relay")) == 3
    assert [name for name, _ in states(store) if "alarm" not in name] == ["relay 1", "relay 2", "relay 3"]
    assert store.records.trim_outbox(1, ("telemetry", "relay")) == 3
    assert store.records.trim_outbox(1, ("telemetry", "relay")) == 0
    assert states(store) == [(f"alarm {number}", "waiting") for number in range(4)]
    assert store.records.outbox_count() == 4


def test_a_message_is_there_with_what_it_tells_of_or_neither_is(path: Path) -> None:
    store = SqliteStore.open(path, KeyMaterial(KEY), create=True)
    records = store.records

    def work() -> None:
        records.raise_alarm("LOS", "span", Severity.MAJOR, "dark", raised_s=1.0)
        records.post("alarm", b"{}")
        records.audit(who="ann", place="here", what="x", why="", at_s=1.0)
        raise ValueError("torn")

    with pytest.raises(StoreError):
        records.together(work)
    store.close()
    again = SqliteStore.open(path, KeyMaterial(KEY))
    assert (again.records.alarms(), again.records.outbox(), again.records.audit_log()) == ((), (), ())
    again.records.together(lambda: again.records.post("alarm", b"{}"))
    assert again.records.outbox_count() == 1
    again.close()


def test_a_commit_of_a_core_carries_its_message(store: SqliteStore) -> None:
    batch = Batch(relay=bytes(16), neighbour="otsu", started_here=True, count=1, route=("a", "otsu"), ready=False)
    writes = PutBatch(batch, KeyMaterial(bytes(32))), Post("relay", b"{}", "relay")
    store.commit([Commit(1, writes)])
    assert states(store) == [("relay", "relay")]
    assert len(store.snapshot().batches) == 1


def test_a_command_is_begun_once_and_remembered_for_its_time(path: Path) -> None:
    store = SqliteStore.open(path, KeyMaterial(KEY), create=True)
    records = store.records
    assert records.begin_command("aa", "ann", now_s=10.0, until_s=100.0) is None
    assert records.begin_command("aa", "bob", now_s=11.0, until_s=100.0) == CommandRow("ann", None)
    records.answer_command("aa", b"{}")
    store.close()
    store = SqliteStore.open(path, KeyMaterial(KEY))
    assert store.records.begin_command("aa", "ann", now_s=99.0, until_s=100.0) == CommandRow("ann", b"{}")
    assert store.records.begin_command("aa", "ann", now_s=101.0, until_s=200.0) is None
    store.close()
