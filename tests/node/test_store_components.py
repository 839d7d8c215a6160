"""Components of pre-shared keys in a store: sealed, destroyed, and never put back unnoticed."""

from __future__ import annotations

import os
import sqlite3
from typing import TYPE_CHECKING

import pytest

from tokaido.hal import KeyMaterial
from tokaido.node.store import ComponentRow, PresharedKeyRow, SqliteStore, StoreError, audit_at_rest
from tokaido_testing.toy_clock import ToyClock

if TYPE_CHECKING:
    from pathlib import Path

KEY = bytes(range(32))
ROW = ComponentRow("field", "A", "TKRX0001", 1001, "ann", 1.8e9, 1.8e9 + 86400, "4f1c 09a7")
BYTES = os.urandom(4096)


def opened(path: Path, clock: ToyClock | None = None) -> SqliteStore:
    return SqliteStore.open(path, KeyMaterial(KEY), create=True, clock=clock or ToyClock())


def on_disk(path: Path) -> bytes:
    return b"".join(each.read_bytes() for each in path.parent.iterdir())


def test_a_component_outlives_its_store_and_is_nowhere_in_the_clear(tmp_path: Path) -> None:
    path = tmp_path / "state" / "store"
    store = opened(path)
    store.keep_component(ROW, KeyMaterial(BYTES))
    assert all(BYTES[at : at + 8] not in on_disk(path) for at in range(0, 4096, 64))
    store.close()
    store = opened(path)
    assert store.components() == (ROW,)
    component = store.component("field", "A")
    assert component is not None
    assert bytes(component.reveal()) == BYTES
    assert store.component("field", "B") is None
    store.close()
    assert BYTES[:8] not in on_disk(path)
    with_end = audit_at_rest(path, KeyMaterial(KEY))
    assert (with_end.finding.fits, with_end.end_unknown) == (True, "")


def test_what_was_dropped_is_gone_even_sealed(tmp_path: Path) -> None:
    path, clock = tmp_path / "state" / "store", ToyClock()
    store = opened(path, clock)
    store.keep_component(ROW, KeyMaterial(BYTES))
    database = sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)
    database.close()
    assert store.drop_component("field", "A")
    assert not store.drop_component("field", "A")
    assert (store.components(), store.component("field", "A")) == ((), None)
    clock.wait(2.0)
    store.tend()
    assert b"4f1c 09a7" not in on_disk(path)
    store.close()


def test_nobody_alters_who_entered_it_and_nobody_puts_it_back(tmp_path: Path) -> None:
    path = tmp_path / "state" / "store"
    store = opened(path)
    store.keep_component(ROW, KeyMaterial(BYTES))
    store.close()

    def by_hand(*statements: str) -> None:
        database = sqlite3.connect(path)
        for statement in statements:
            database.execute(statement)
        database.commit()
        database.close()

    by_hand("CREATE TABLE kept AS SELECT * FROM component", "UPDATE component SET uid = 1002, by = 'bob'")
    with pytest.raises(StoreError, match="table component was altered"):
        opened(path)
    by_hand("DELETE FROM component", "INSERT INTO component SELECT * FROM kept", "DROP TABLE kept")
    store = opened(path)
    store.drop_component("field", "A")
    store.close()
    by_hand(
        "INSERT INTO component VALUES ('field', 'A', 'x', 1, 'ann', 1.0, 9e9, '', x'00', x'00')",
    )
    with pytest.raises(StoreError, match="altered"):
        opened(path)


def test_erasing_a_store_takes_components_with_it(tmp_path: Path) -> None:
    path = tmp_path / "state" / "store"
    store = opened(path)
    store.keep_component(ROW, KeyMaterial(BYTES))
    store.erase()
    store = opened(path)
    assert store.components() == ()
    store.close()


def test_it_is_known_since_when_a_unit_has_a_key(tmp_path: Path) -> None:
    store = opened(tmp_path / "store")
    first = PresharedKeyRow("alice", "TKRX0001", "A", 1.8e9, "ann and bob", "4f1c 09a7")
    store.records.set_preshared_key(first)
    found = PresharedKeyRow("alice", "", "", 1.9e9, "", "")
    store.records.set_preshared_key(found)
    assert store.records.preshared_keys() == (found, first)
    store.records.drop_preshared_key("alice", "", "")
    assert store.records.preshared_keys() == (first,)
    store.close()
