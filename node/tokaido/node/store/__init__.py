"""The store of a node: durable facts in SQLite, keys sealed. `tokaido.node.core` says which facts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokaido.hal.lazy import lazily

__all__ = [
    "AlarmRow",
    "AuditAtRest",
    "AuditFinding",
    "AuditMark",
    "AuditRow",
    "CommandRow",
    "ComponentRow",
    "DeviceRow",
    "MaintenanceRow",
    "MemoryStore",
    "OutboxRow",
    "PresharedKeyRow",
    "Records",
    "ServiceRow",
    "SqliteStore",
    "Store",
    "StoreBusyError",
    "StoreError",
    "StoreThread",
    "audit_at_rest",
    "erase_store",
    "is_store",
    "new_wrapping_key",
    "wrapping_key_from_credential",
    "wrapping_key_from_file",
]

if TYPE_CHECKING:
    from tokaido.node.store._at_rest import AuditAtRest, audit_at_rest, is_store
    from tokaido.node.store._audit import AuditFinding, AuditMark, AuditRow
    from tokaido.node.store._components import ComponentRow
    from tokaido.node.store._errors import StoreBusyError, StoreError
    from tokaido.node.store._memory import MemoryStore
    from tokaido.node.store._protocol import Store
    from tokaido.node.store._record_rows import (
        AlarmRow,
        CommandRow,
        DeviceRow,
        MaintenanceRow,
        OutboxRow,
        PresharedKeyRow,
        ServiceRow,
    )
    from tokaido.node.store._records import Records
    from tokaido.node.store._sqlite import SqliteStore, erase_store
    from tokaido.node.store._thread import StoreThread
    from tokaido.node.store._wrapping_keys import new_wrapping_key, wrapping_key_from_credential, wrapping_key_from_file
else:
    __getattr__, __dir__ = lazily(
        __name__,
        {
            "StoreBusyError": "tokaido.node.store._errors",
            "StoreError": "tokaido.node.store._errors",
            "AuditAtRest": "tokaido.node.store._at_rest",
            "audit_at_rest": "tokaido.node.store._at_rest",
            "is_store": "tokaido.node.store._at_rest",
            "AuditFinding": "tokaido.node.store._audit",
            "AuditMark": "tokaido.node.store._audit",
            "AuditRow": "tokaido.node.store._audit",
            "ComponentRow": "tokaido.node.store._components",
            "PresharedKeyRow": "tokaido.node.store._record_rows",
            "AlarmRow": "tokaido.node.store._record_rows",
            "CommandRow": "tokaido.node.store._record_rows",
            "DeviceRow": "tokaido.node.store._record_rows",
            "MaintenanceRow": "tokaido.node.store._record_rows",
            "OutboxRow": "tokaido.node.store._record_rows",
            "Records": "tokaido.node.store._records",
            "ServiceRow": "tokaido.node.store._record_rows",
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
