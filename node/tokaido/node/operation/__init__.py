"""Operation of a node: alarms, status, the control socket, metrics, logs, and what systemd is told."""

from __future__ import annotations

from tokaido.node.operation._acts import Act, Acts
from tokaido.node.operation._alarm_book import AlarmBook, AlarmChange, Change, NodeAlarm, keep
from tokaido.node.operation._audit import AuditLine, AuditVerdict, at_rest, marks, told, verdict
from tokaido.node.operation._availability import Availability, LinkNow, ServiceTimes
from tokaido.node.operation._callout import Callout
from tokaido.node.operation._causes import CONSEQUENCES, Places, causes_of
from tokaido.node.operation._control_client import ControlClient
from tokaido.node.operation._control_messages import (
    AcceptDevice,
    Acknowledge,
    CheckAudit,
    ControlRequest,
    DrainNode,
    MaintainLink,
    MoveLink,
    ReloadFile,
    ResumeLink,
    SetRelaying,
    ShowAudit,
    ShowInventory,
    Status,
)
from tokaido.node.operation._control_server import ControlServer, Operations, Peer
from tokaido.node.operation._events import Event, Events
from tokaido.node.operation._expiry import Ending, ExpirySettings, ExpiryWatch, endings_of_neighbours, own_endings
from tokaido.node.operation._inventory import InventoryDesk, InventoryLine
from tokaido.node.operation._logs import JsonFormatter, log_as_json
from tokaido.node.operation._notify import Notifier, devices_answer
from tokaido.node.operation._status import (
    EXIT_CODES,
    UNREACHABLE,
    AlarmLine,
    ApplicationLine,
    DeviceLine,
    LinkLine,
    NeighbourLine,
    NodeStatus,
    PairLine,
    StoreLine,
    judged,
)
from tokaido.node.operation._survey import survey
from tokaido.node.operation._to_do import to_do

__all__ = [
    "CONSEQUENCES",
    "EXIT_CODES",
    "UNREACHABLE",
    "AcceptDevice",
    "Acknowledge",
    "Act",
    "Acts",
    "AlarmBook",
    "AlarmChange",
    "AlarmLine",
    "ApplicationLine",
    "AuditLine",
    "AuditVerdict",
    "Availability",
    "Callout",
    "Change",
    "CheckAudit",
    "ControlClient",
    "ControlRequest",
    "ControlServer",
    "DeviceLine",
    "DrainNode",
    "Ending",
    "Event",
    "Events",
    "ExpirySettings",
    "ExpiryWatch",
    "InventoryDesk",
    "InventoryLine",
    "JsonFormatter",
    "LinkLine",
    "LinkNow",
    "MaintainLink",
    "MoveLink",
    "NeighbourLine",
    "NodeAlarm",
    "NodeStatus",
    "Notifier",
    "Operations",
    "PairLine",
    "Peer",
    "Places",
    "ReloadFile",
    "ResumeLink",
    "ServiceTimes",
    "SetRelaying",
    "ShowAudit",
    "ShowInventory",
    "Status",
    "StoreLine",
    "at_rest",
    "causes_of",
    "devices_answer",
    "endings_of_neighbours",
    "judged",
    "keep",
    "log_as_json",
    "marks",
    "own_endings",
    "survey",
    "to_do",
    "told",
    "verdict",
]
