"""The store of a node: durable facts in SQLite, keys sealed. The names of all writes are here, too."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokaido.hal.lazy import lazily

__all__ = [
    "AlarmRow",
    "AuditRow",
    "Batch",
    "Block",
    "BlockName",
    "Commit",
    "Count",
    "Delivered",
    "DeviceRow",
    "DropBatch",
    "DropBlock",
    "DropSupply",
    "MemoryStore",
    "NeighbourMarks",
    "OutboxRow",
    "PutBatch",
    "PutBlock",
    "PutSupply",
    "Range",
    "Records",
    "SetBatch",
    "SetMarks",
    "SetNeighbour",
    "Snapshot",
    "SqliteStore",
    "Store",
    "StoreBusyError",
    "StoreError",
    "StoreThread",
    "SupplyRow",
    "Write",
    "erase_store",
    "new_wrapping_key",
    "wrapping_key_from_credential",
    "wrapping_key_from_file",
]

if TYPE_CHECKING:
    from tokaido.node.core._actions import Commit
    from tokaido.node.core._writes import (
        Batch,
        Block,
        BlockName,
        Count,
        Delivered,
        DropBatch,
        DropBlock,
        DropSupply,
        NeighbourMarks,
        PutBatch,
        PutBlock,
        PutSupply,
        Range,
        SetBatch,
        SetMarks,
        SetNeighbour,
        Snapshot,
        SupplyRow,
        Write,
    )
    from tokaido.node.store._errors import StoreBusyError, StoreError
    from tokaido.node.store._memory import MemoryStore
    from tokaido.node.store._protocol import Store
    from tokaido.node.store._records import AlarmRow, AuditRow, DeviceRow, OutboxRow, Records
    from tokaido.node.store._sqlite import SqliteStore, erase_store
    from tokaido.node.store._thread import StoreThread
    from tokaido.node.store._wrapping_keys import new_wrapping_key, wrapping_key_from_credential, wrapping_key_from_file
else:
    __getattr__, __dir__ = lazily(
        __name__,
        {
            "Commit": "tokaido.node.core._actions",
            "Batch": "tokaido.node.core._writes",
            "Block": "tokaido.node.core._writes",
            "BlockName": "tokaido.node.core._writes",
            "Count": "tokaido.node.core._writes",
            "Delivered": "tokaido.node.core._writes",
            "DropBatch": "tokaido.node.core._writes",
            "DropBlock": "tokaido.node.core._writes",
            "DropSupply": "tokaido.node.core._writes",
            "NeighbourMarks": "tokaido.node.core._writes",
            "PutBatch": "tokaido.node.core._writes",
            "PutBlock": "tokaido.node.core._writes",
            "PutSupply": "tokaido.node.core._writes",
            "Range": "tokaido.node.core._writes",
            "SetBatch": "tokaido.node.core._writes",
            "SetMarks": "tokaido.node.core._writes",
            "SetNeighbour": "tokaido.node.core._writes",
            "Snapshot": "tokaido.node.core._writes",
            "SupplyRow": "tokaido.node.core._writes",
            "Write": "tokaido.node.core._writes",
            "StoreBusyError": "tokaido.node.store._errors",
            "StoreError": "tokaido.node.store._errors",
            "AlarmRow": "tokaido.node.store._records",
            "AuditRow": "tokaido.node.store._records",
            "DeviceRow": "tokaido.node.store._records",
            "OutboxRow": "tokaido.node.store._records",
            "Records": "tokaido.node.store._records",
            "MemoryStore": "tokaido.node.store._memory",
            "Store": "tokaido.node.store._protocol",
            "SqliteStore": "tokaido.node.store._sqlite",
            "erase_store": "tokaido.node.store._sqlite",
            "StoreThread": "tokaido.node.store._thread",
            "new_wrapping_key": "tokaido.node.store._wrapping_keys",
            "wrapping_key_from_credential": "tokaido.node.store._wrapping_keys",
            "wrapping_key_from_file": "tokaido.node.store._wrapping_keys",
        },
        __all__,
    )
