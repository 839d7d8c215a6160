"""The inventory of a node, as people see it: what stands under each name, what waits, and who accepted it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

import msgspec

from tokaido.hal import Identity, RefusedError, Severity
from tokaido.hal.structs import learn
from tokaido.node.core import Clear, Raise
from tokaido.node.operation._survey import iso
from tokaido.node.store import DeviceRow
from tokaido.node.supervision import Sight, described

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tokaido.node.supervision import DeviceSeen, Inventory

CHANGED = "DEVICE_CHANGED"


class InventoryLine(msgspec.Struct, frozen=True, kw_only=True):
    """One device."""

    device: str
    vendor: str
    model: str
    serial_number: str
    firmware: str
    accepted: str
    """When the box was, ISO 8601; empty: it is not written down yet."""
    accepted_by: str
    """Who accepted it; `first seen`: nobody had to."""
    waiting: str
    """The other box that stands there now and is not used, in words; empty: none does."""


class Notes(Protocol):
    """Takes what is to be written down."""

    def __call__(self, what: str, rows: Iterable[DeviceRow]) -> None:
        """An act of the node itself for the audit log, and rows of the inventory."""
        ...


class InventoryDesk:
    """Tells of boxes that change, and lets people accept them.

    Args:
        take: Takes alarms.
        note: Takes what is to be written down.
        utc_s: Returns the time of day, in s since 1970-01-01 UTC.
    """

    def __init__(self, take: Callable[[Raise | Clear], object], note: Notes, utc_s: Callable[[], float]) -> None:
        self._take = take
        self._note = note
        self._utc_s = utc_s
        self._rows: dict[str, DeviceRow] = {}
        self._inventory: Inventory | None = None

    def begin(self, inventory: Inventory, rows: Iterable[DeviceRow]) -> None:
        """Take up what was accepted before.

        Args:
            inventory: The one that the devices' threads ask.
            rows: What the store says.
        """
        self._inventory = inventory
        self._rows = {row.name: row for row in rows if row.accepted}
        inventory.know({row.name: _identity(row) for row in self._rows.values()})

    def seen(self, event: DeviceSeen) -> None:
        """Take what became of the inventory; in the node's loop."""
        device, found = event.device, event.found
        match event.sight:
            case Sight.FIRST:
                row = _row(device, found, self._utc_s(), "first seen")
                self._rows[device] = row
                self._note(f"take {device} as first seen: {described(found)}", [row])
            case Sight.UPDATED:
                row = self._rows.get(device) or _row(device, found, self._utc_s(), "first seen")
                self._rows[device] = row = replace(row, firmware=found.firmware)
                self._note(f"see {device} with another firmware: {described(found)}", [row])
            case Sight.CHANGED:
                was = "" if event.accepted is None else f"; accepted was {described(event.accepted)}"
                self._note(f"refuse {device}: {described(found)}{was}", [])
                text = f"another box stands there: {described(found)}{was}. It is not used"
                self._take(Raise(CHANGED, Severity.CRITICAL, device, text))
            case Sight.BACK:
                self._note(f"take {device} back: {described(found)}", [])
                self._take(Clear(CHANGED, device))

    def wanted(self, device: str, serial_number: str, by: str) -> tuple[DeviceRow, Identity]:
        """Return the row of the box that a person wants to accept, and the box; `accepted` is next, once it is durable.

        Raises:
            ConfigurationError: No other box waits under this name.
            RefusedError: It is not the one that the person saw.
        """
        if self._inventory is None:
            raise RefusedError("the node is starting", remedy="Try again")
        found = self._inventory.waiting(device)
        if serial_number and serial_number != found.serial_number:
            raise RefusedError(
                f"another box waits there: {described(found)}", remedy="Look at it, then accept that one"
            )
        return _row(device, found, self._utc_s(), by), found

    def accepted(self, row: DeviceRow, found: Identity) -> None:
        """Let a box be used whose row is durable."""
        self._rows[row.name] = row
        if self._inventory is not None:
            self._inventory.accept(row.name, found)
        self._take(Clear(CHANGED, row.name))

    def lines(self) -> tuple[InventoryLine, ...]:
        """Return all devices that were ever opened, by name."""
        accepted, waiting = ({}, {}) if self._inventory is None else self._inventory.boxes()
        return tuple(
            InventoryLine(
                device=name,
                vendor=one.vendor,
                model=one.model,
                serial_number=one.serial_number,
                firmware=one.firmware,
                accepted=iso(row.at_s) if (row := self._rows.get(name)) is not None else "",
                accepted_by="" if row is None else row.by,
                waiting=described(waiting[name]) if name in waiting else "",
            )
            for name, one in sorted(accepted.items())
        )


def _row(device: str, found: Identity, at_s: float, by: str) -> DeviceRow:
    return DeviceRow(device, found.serial_number, True, found.vendor, found.model, found.firmware, at_s, by)


def _identity(row: DeviceRow) -> Identity:
    return Identity(row.vendor, row.model, row.serial_number, row.firmware)


learn(InventoryLine)
