"""Operation of a node: alarms, status, the control socket, metrics, logs, and what systemd is told."""

from __future__ import annotations

from tokaido.node.operation._acts import Account, Act, Acts
from tokaido.node.operation._alarm_book import AlarmBook, AlarmChange, Change, NodeAlarm, keep
from tokaido.node.operation._audit import AuditLine, AuditVerdict, at_rest, marks, told, verdict
from tokaido.node.operation._availability import Availability, LinkNow, ServiceTimes
from tokaido.node.operation._callout import Callout
from tokaido.node.operation._causes import CONSEQUENCES, Places, causes_of
from tokaido.node.operation._components import (
    COMPONENT_BYTES,
    component_check_value,
    component_from_file,
    component_from_stdin,
    joined,
    key_check_value,
    make_component,
)
from tokaido.node.operation._control_client import ControlClient
from tokaido.node.operation._control_messages import (
    AcceptDevice,
    Acknowledge,
    CheckAudit,
    ControlRequest,
    DiscardComponent,
    DrainNode,
    EnterComponent,
    MaintainLink,
    MoveLink,
    ReloadFile,
    ResumeLink,
    SetRelaying,
    ShowAudit,
    ShowInventory,
    ShowPresharedKeys,
    Status,
)
from tokaido.node.operation._control_server import ControlServer, Operations, Peer
from tokaido.node.operation._events import Event, Events
from tokaido.node.operation._expiry import Ending, ExpirySettings, ExpiryWatch, endings_of_neighbours, own_endings
from tokaido.node.operation._inventory import InventoryDesk, InventoryLine
from tokaido.node.operation._key_ages import KeyAges
from tokaido.node.operation._logs import JsonFormatter, log_as_json
from tokaido.node.operation._notify import Notifier, devices_answer
from tokaido.node.operation._preshared import PresharedDesk
from tokaido.node.operation._preshared_lines import Entered, PresharedKeyLine, PresharedKeys, WaitingLine
from tokaido.node.operation._preshared_settings import PresharedSettings
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
    "COMPONENT_BYTES",
    "CONSEQUENCES",
    "EXIT_CODES",
    "UNREACHABLE",
    "AcceptDevice",
    "Account",
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
    "DiscardComponent",
    "DrainNode",
    "Ending",
    "EnterComponent",
    "Entered",
    "Event",
    "Events",
    "ExpirySettings",
    "ExpiryWatch",
    "InventoryDesk",
    "InventoryLine",
    "JsonFormatter",
    "KeyAges",
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
    "PresharedDesk",
    "PresharedKeyLine",
    "PresharedKeys",
    "PresharedSettings",
    "ReloadFile",
    "ResumeLink",
    "ServiceTimes",
    "SetRelaying",
    "ShowAudit",
    "ShowInventory",
    "ShowPresharedKeys",
    "Status",
    "StoreLine",
    "WaitingLine",
    "at_rest",
    "causes_of",
    "component_check_value",
    "component_from_file",
    "component_from_stdin",
    "devices_answer",
    "endings_of_neighbours",
    "joined",
    "judged",
    "keep",
    "key_check_value",
    "log_as_json",
    "make_component",
    "marks",
    "own_endings",
    "survey",
    "to_do",
    "told",
    "verdict",
]
