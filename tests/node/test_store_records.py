"""Alarms, audit log, outbox and devices of a node, as its store keeps them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tokaido.hal import KeyMaterial, Severity
from tokaido.node.store import AlarmRow, DeviceRow, OutboxRow, SqliteStore, StoreError, erase_store
from tokaido_testing.toy_clock import ToyClock

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


def test_an_alarm_that_lasts_is_one_alarm(store: SqliteStore) -> None:
    first = store.records.raise_alarm("LINK_DOWN", "gotemba-hakone", Severity.MINOR, "dark", raised_s=10.0)
    assert first == AlarmRow(first.id, "LINK_DOWN", "gotemba-hakone", Severity.MINOR, "dark", False, 10.0)
    again = store.records.raise_alarm("LINK_DOWN", "gotemba-hakone", Severity.MAJOR, "dark for 1 h", raised_s=20.0)
    other = store.records.raise_alarm("LINK_DOWN", "hakone-numazu", Severity.MAJOR, "dark", raised_s=21.0)
    assert again == AlarmRow(first.id, "LINK_DOWN", "gotemba-hakone", Severity.MAJOR, "dark for 1 h", False, 10.0)
    assert store.records.alarms() == (again, other)
    assert store.records.clear_alarm("LINK_DOWN", "gotemba-hakone", cleared_s=30.0)
    assert not store.records.clear_alarm("LINK_DOWN", "gotemba-hakone", cleared_s=31.0)
    assert store.records.alarms() == (other,)
    anew = store.records.raise_alarm("LINK_DOWN", "gotemba-hakone", Severity.MAJOR, "dark", raised_s=40.0)
    assert anew.id not in {first.id, other.id}
    assert [(row.id, row.cleared_s) for row in store.records.alarms(standing=False)] == [
        (first.id, 30.0),
        (other.id, None),
        (anew.id, None),
    ]


def test_a_latched_alarm_stands_until_somebody_has_seen_it(store: SqliteStore) -> None:
    alarm = store.records.raise_alarm("TAMPER", "cabinet", Severity.CRITICAL, "door", raised_s=1.0, latched=True)
    store.records.clear_alarm("TAMPER", "cabinet", cleared_s=2.0)
    assert [row.id for row in store.records.alarms()] == [alarm.id]
    assert store.records.acknowledge_alarm(alarm.id, by="officer", note="was me", at_s=3.0)
    assert store.records.acknowledge_alarm(alarm.id, by="viewer", note="no", at_s=4.0)
    assert not store.records.acknowledge_alarm(alarm.id + 1, by="officer", note="", at_s=3.0)
    assert store.records.alarms() == ()
    (row,) = store.records.alarms(standing=False)
    assert (row.cleared_s, row.acknowledged_s, row.acknowledged_by, row.note) == (2.0, 3.0, "officer", "was me")


def test_the_audit_log_is_a_chain(store: SqliteStore, path: Path) -> None:
    rows = [
        store.records.audit(who="officer", place="10.0.0.7", what=f"act {number}", why="trial", at_s=float(number))
        for number in range(4)
    ]
    assert store.records.audit_log() == tuple(rows)
    assert [row.previous for row in rows] == [bytes(32), *(row.digest for row in rows[:-1])]
    assert len({row.digest for row in rows}) == 4
    store.close()
    again = SqliteStore.open(path, KeyMaterial(KEY))
    assert again.records.audit_log() == tuple(rows)
    again.close()


def test_the_outbox_gives_messages_in_order_until_they_are_taken(store: SqliteStore) -> None:
    ids = [store.records.post("node.alarms", bytes([number])) for number in range(5)]
    assert ids == sorted(ids)
    assert store.records.outbox(most=2) == (
        OutboxRow(ids[0], "node.alarms", b"\0", "waiting"),
        OutboxRow(ids[1], "node.alarms", b"\1", "waiting"),
    )
    store.records.set_outbox_state(ids[:2], "sent")
    assert [row.id for row in store.records.outbox(state="waiting")] == ids[2:]
    store.records.take_from_outbox([ids[0], ids[4]])
    assert [row.id for row in store.records.outbox()] == ids[1:4]
    assert store.records.post("node.alarms", b"") > ids[4]


def test_devices_are_known_by_name(store: SqliteStore) -> None:
    alice = DeviceRow("alice", "TKTX0001", True, "Toshiba", "TX", "1.2", 9.0, "ann")
    for row in (DeviceRow("bob", "TKRX0001", False), alice, DeviceRow("bob", "TKRX0002", True)):
        store.records.set_device(row)
    assert store.records.devices() == (alice, DeviceRow("bob", "TKRX0002", True))
    store.records.drop_device("alice")
    assert [row.name for row in store.records.devices()] == ["bob"]


def test_attempts_are_as_long_ago_as_the_node_was_alive_since(path: Path) -> None:
    clock = ToyClock()
    store = SqliteStore.open(path, KeyMaterial(KEY), create=True, clock=clock)
    clock.wait(4000.0)
    store.records.set_attempts("alice", (3000.0, 5.0))
    store.records.set_attempts("bob", (1.0,))
    store.records.set_attempts("bob", ())
    clock.wait(100.0)
    store.tend()
    store.close()
    clock.wait(7200.0)  # nobody counts while the store is closed, so no attempt is forgotten too early
    store = SqliteStore.open(path, KeyMaterial(KEY), clock=clock)
    assert store.records.attempts() == {"alice": pytest.approx((3100.0, 105.0))}
    store.close()
    erase_store(path)
    store = SqliteStore.open(path, KeyMaterial(KEY), create=True, clock=clock)
    assert store.records.attempts() == {}
    store.close()


def test_a_text_that_is_none_is_refused_and_ends_the_store(store: SqliteStore) -> None:
    with pytest.raises(StoreError, match="surrogates"):
        store.records.set_device(DeviceRow("\ud800", "TKRX0001", False))
    with pytest.raises(StoreError, match="failed before"):
        store.records.devices()


def test_the_last_move_of_each_link_outlives_the_keys(store: SqliteStore, path: Path) -> None:
    assert store.records.moves() == {}
    store.records.set_move("field", b"to B")
    store.records.set_move("field", b"to A")
    store.records.set_move("spur", b"to C")
    store.close()
    erase_store(path)
    again = SqliteStore.open(path, KeyMaterial(KEY), create=True)
    assert again.records.moves() == {"field": b"to A", "spur": b"to C"}
    again.close()
