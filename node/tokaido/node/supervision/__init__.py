"""Supervision of the devices of a node: what is ordered and when, without any I/O, and the threads that do it."""

from __future__ import annotations

from tokaido.node.supervision._alarm_codes import SupervisionAlarm
from tokaido.node.supervision._attempts import Attempts
from tokaido.node.supervision._device_thread import (
    BlockOffered,
    DeviceEvent,
    DeviceLoop,
    DeviceOrder,
    DeviceThread,
    NotFetchedBlock,
    Reads,
)
from tokaido.node.supervision._inventory import DeviceSeen, Inventory, Sight, described
from tokaido.node.supervision._link_end import LinkEnd, LinkEndSurroundings
from tokaido.node.supervision._orders import (
    Align,
    BlockDrawn,
    ClearFault,
    Done,
    Draw,
    Drawing,
    Draws,
    Failed,
    Hold,
    LoadPresharedKey,
    Maintenance,
    Outcome,
    PowerOn,
    Reopen,
    Resume,
    SelectLink,
    Start,
    Stop,
    SupervisorAction,
    SupervisorEvent,
    UnitOrder,
    UnitRead,
    Unreachable,
    name_of,
)
from tokaido.node.supervision._settings import SupervisionSettings
from tokaido.node.supervision._source import Source
from tokaido.node.supervision._supervisor import Supervisor
from tokaido.node.supervision._telling import Phase, Supervision

__all__ = [
    "Align",
    "Attempts",
    "BlockDrawn",
    "BlockOffered",
    "ClearFault",
    "DeviceEvent",
    "DeviceLoop",
    "DeviceOrder",
    "DeviceSeen",
    "DeviceThread",
    "Done",
    "Draw",
    "Drawing",
    "Draws",
    "Failed",
    "Hold",
    "Inventory",
    "LinkEnd",
    "LinkEndSurroundings",
    "LoadPresharedKey",
    "Maintenance",
    "NotFetchedBlock",
    "Outcome",
    "Phase",
    "PowerOn",
    "Reads",
    "Reopen",
    "Resume",
    "SelectLink",
    "Sight",
    "Source",
    "Start",
    "Stop",
    "Supervision",
    "SupervisionAlarm",
    "SupervisionSettings",
    "Supervisor",
    "SupervisorAction",
    "SupervisorEvent",
    "UnitOrder",
    "UnitRead",
    "Unreachable",
    "described",
    "name_of",
]
