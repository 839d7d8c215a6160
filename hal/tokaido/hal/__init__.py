"""All that a user of devices needs: roles, values, errors, stations.

Authors of drivers find the rest in `tokaido.hal.driver`, authors of transports in `tokaido.hal.transports`; tags of
messages are made by `tokaido.hal.authentication`. Modules that begin with an underscore are private. Costly imports
(OpenSSL, ZeroMQ, asyncio, entry points) wait until a name that needs them is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokaido.hal._clock import NS_PER_S, SYSTEM_CLOCK, Clock, Deadline, SystemClock
from tokaido.hal._device import Device, Identity, Part
from tokaido.hal._errors import (
    AuthenticationError,
    ClosedError,
    ConfigurationError,
    DeviceBusyError,
    DeviceError,
    DeviceTimeoutError,
    InterlockError,
    KeyMaterialError,
    LeaseError,
    LeaseHeldError,
    LeaseLostError,
    NoDataError,
    NotConnectedError,
    OutcomeUnknownError,
    ProtocolError,
    RangeError,
    RefusedError,
    StateError,
    TokaidoError,
    TransportError,
    UnsupportedError,
    ValueTypeError,
    WrongDeviceError,
)
from tokaido.hal._keys import KeyBlock, KeyBlockFacts, KeyBlockInfo, KeyMaterial
from tokaido.hal._readings import LimitStatus, Quality, Reading, Telemetry
from tokaido.hal.lazy import lazily
from tokaido.hal.roles._alarms import Alarm, AlarmEvent, Severity
from tokaido.hal.roles._ended_blocks import EndedBlock
from tokaido.hal.roles._key_sources import KeyEnd, KeySource
from tokaido.hal.roles._unit_values import (
    RUNNING,
    SETUP,
    STUCK,
    Capability,
    LinkKey,
    LinkSelection,
    Shutter,
    TelemetryEvent,
    UnitState,
)
from tokaido.hal.roles._units import Detector, Receiver, SubChannel, Transmitter, Unit
from tokaido.hal.transports._resources import Resource
from tokaido.hal.transports._trace import TraceRecord
from tokaido.hal.transports._transport import Transport, trace

__all__ = [
    "NS_PER_S",
    "RUNNING",
    "SETUP",
    "STUCK",
    "SYSTEM_CLOCK",
    "Alarm",
    "AlarmEvent",
    "AlarmHook",
    "AlarmWatch",
    "AmplifierAlarm",
    "AmplifierCapability",
    "AmplifierInterlock",
    "AmplifierInterlockEntry",
    "AmplifierMode",
    "AttenuatorCapability",
    "AuthenticationError",
    "BootMode",
    "Calibration",
    "Capability",
    "Clock",
    "ClosedError",
    "ConfigurationError",
    "CurveKeyFiles",
    "Deadline",
    "DetectionMode",
    "Detector",
    "Device",
    "DeviceBusyError",
    "DeviceEntry",
    "DeviceError",
    "DeviceTimeoutError",
    "DriverEntry",
    "EndedBlock",
    "HalfLink",
    "HalfLinkEntry",
    "HeldLease",
    "HookQueue",
    "Identity",
    "InterlockEntry",
    "InterlockError",
    "KeyBlock",
    "KeyBlockFacts",
    "KeyBlockInfo",
    "KeyEnd",
    "KeyMaterial",
    "KeyMaterialError",
    "KeySource",
    "Lease",
    "LeaseBook",
    "LeaseError",
    "LeaseHeldError",
    "LeaseInfo",
    "LeaseLostError",
    "LightInterlock",
    "LimitStatus",
    "Link",
    "LinkEntry",
    "LinkKey",
    "LinkLoss",
    "LinkOfRepeater",
    "LinkSelection",
    "LinkStatus",
    "MailHook",
    "MoveError",
    "MoveReport",
    "MoveStep",
    "MovedEnd",
    "NeighbourOfRepeater",
    "NoDataError",
    "NodeAlarm",
    "NodeEvent",
    "NodeEvents",
    "NotConnectedError",
    "OpticalAmplifier",
    "OpticalSwitch",
    "OutcomeUnknownError",
    "PairOfRepeater",
    "Part",
    "PhotonDetectorCapability",
    "PolarizationCapability",
    "PolarizationController",
    "PortPairs",
    "PortState",
    "PowerMeter",
    "PowerMeterCapability",
    "ProgramHook",
    "ProtocolError",
    "PumpInterlock",
    "Quality",
    "RangeError",
    "Reading",
    "Receiver",
    "RefusedError",
    "RemoteStation",
    "RepeaterCapability",
    "RepeaterNode",
    "RepeaterState",
    "Resource",
    "Retarder",
    "Severity",
    "Shutter",
    "ShutterInterlock",
    "Side",
    "SinglePhotonDetector",
    "StateError",
    "Station",
    "StationAlarm",
    "SubChannel",
    "SwitchCapability",
    "SwitchPort",
    "SwitchSize",
    "SystemClock",
    "TaggerCapability",
    "Telemetry",
    "TelemetryEvent",
    "TimeTagger",
    "TokaidoError",
    "TraceRecord",
    "Transmitter",
    "Transport",
    "TransportError",
    "Unit",
    "UnitState",
    "UnsupportedError",
    "ValueTypeError",
    "VariableAttenuator",
    "WebHook",
    "WrongDeviceError",
    "aio",
    "create_curve_keys",
    "drivers",
    "emulators",
    "installed",
    "load_driver",
    "role_name",
    "roles_of",
    "trace",
]

if TYPE_CHECKING:
    from tokaido.hal import aio
    from tokaido.hal._calibrations import Calibration
    from tokaido.hal._entry_points import DriverEntry
    from tokaido.hal._registry import drivers, emulators, installed, load_driver, role_name, roles_of
    from tokaido.hal.roles._amplifier import AmplifierAlarm, AmplifierCapability, AmplifierMode, OpticalAmplifier
    from tokaido.hal.roles._attenuator import AttenuatorCapability, VariableAttenuator
    from tokaido.hal.roles._interlocks import AmplifierInterlock, LightInterlock, PumpInterlock, ShutterInterlock
    from tokaido.hal.roles._link_status import LinkStatus
    from tokaido.hal.roles._photon_detector import DetectionMode, PhotonDetectorCapability, SinglePhotonDetector
    from tokaido.hal.roles._polarization import PolarizationCapability, PolarizationController, Retarder
    from tokaido.hal.roles._power_meter import PowerMeter, PowerMeterCapability
    from tokaido.hal.roles._repeaters import (
        LinkOfRepeater,
        NeighbourOfRepeater,
        NodeAlarm,
        NodeEvent,
        NodeEvents,
        PairOfRepeater,
        RepeaterCapability,
        RepeaterNode,
        RepeaterState,
    )
    from tokaido.hal.roles._switch import OpticalSwitch
    from tokaido.hal.roles._switch_values import BootMode, PortState, Side, SwitchCapability, SwitchPort, SwitchSize
    from tokaido.hal.roles._time_tagger import TaggerCapability, TimeTagger
    from tokaido.hal.stations._alarm_hooks import AlarmHook, MailHook, ProgramHook, WebHook
    from tokaido.hal.stations._alarm_looks import StationAlarm
    from tokaido.hal.stations._alarm_watch import AlarmWatch
    from tokaido.hal.stations._entries import (
        AmplifierInterlockEntry,
        DeviceEntry,
        HalfLinkEntry,
        InterlockEntry,
        LinkEntry,
        PortPairs,
    )
    from tokaido.hal.stations._half_links import HalfLink, LinkLoss
    from tokaido.hal.stations._hook_queue import HookQueue
    from tokaido.hal.stations._leases import HeldLease, Lease, LeaseBook, LeaseInfo
    from tokaido.hal.stations._links import Link
    from tokaido.hal.stations._move_ends import MovedEnd
    from tokaido.hal.stations._move_report import MoveError, MoveReport, MoveStep
    from tokaido.hal.stations._remote import RemoteStation
    from tokaido.hal.stations._station import Station
    from tokaido.hal.transports._curve import CurveKeyFiles, create_curve_keys
else:
    __getattr__, __dir__ = lazily(
        __name__,
        {
            "aio": "tokaido.hal.aio",
            "Calibration": "tokaido.hal._calibrations",
            "DriverEntry": "tokaido.hal._entry_points",
            "drivers": "tokaido.hal._registry",
            "emulators": "tokaido.hal._registry",
            "installed": "tokaido.hal._registry",
            "load_driver": "tokaido.hal._registry",
            "role_name": "tokaido.hal._registry",
            "roles_of": "tokaido.hal._registry",
            "AmplifierAlarm": "tokaido.hal.roles._amplifier",
            "AmplifierCapability": "tokaido.hal.roles._amplifier",
            "AmplifierMode": "tokaido.hal.roles._amplifier",
            "OpticalAmplifier": "tokaido.hal.roles._amplifier",
            "AttenuatorCapability": "tokaido.hal.roles._attenuator",
            "VariableAttenuator": "tokaido.hal.roles._attenuator",
            "AmplifierInterlock": "tokaido.hal.roles._interlocks",
            "LightInterlock": "tokaido.hal.roles._interlocks",
            "PumpInterlock": "tokaido.hal.roles._interlocks",
            "ShutterInterlock": "tokaido.hal.roles._interlocks",
            "LinkStatus": "tokaido.hal.roles._link_status",
            "DetectionMode": "tokaido.hal.roles._photon_detector",
            "PhotonDetectorCapability": "tokaido.hal.roles._photon_detector",
            "SinglePhotonDetector": "tokaido.hal.roles._photon_detector",
            "PolarizationCapability": "tokaido.hal.roles._polarization",
            "PolarizationController": "tokaido.hal.roles._polarization",
            "Retarder": "tokaido.hal.roles._polarization",
            "PowerMeter": "tokaido.hal.roles._power_meter",
            "PowerMeterCapability": "tokaido.hal.roles._power_meter",
            "LinkOfRepeater": "tokaido.hal.roles._repeaters",
            "NeighbourOfRepeater": "tokaido.hal.roles._repeaters",
            "NodeAlarm": "tokaido.hal.roles._repeaters",
            "NodeEvent": "tokaido.hal.roles._repeaters",
            "NodeEvents": "tokaido.hal.roles._repeaters",
            "PairOfRepeater": "tokaido.hal.roles._repeaters",
            "RepeaterCapability": "tokaido.hal.roles._repeaters",
            "RepeaterNode": "tokaido.hal.roles._repeaters",
            "RepeaterState": "tokaido.hal.roles._repeaters",
            "OpticalSwitch": "tokaido.hal.roles._switch",
            "BootMode": "tokaido.hal.roles._switch_values",
            "PortState": "tokaido.hal.roles._switch_values",
            "Side": "tokaido.hal.roles._switch_values",
            "SwitchCapability": "tokaido.hal.roles._switch_values",
            "SwitchPort": "tokaido.hal.roles._switch_values",
            "SwitchSize": "tokaido.hal.roles._switch_values",
            "AlarmHook": "tokaido.hal.stations._alarm_hooks",
            "MailHook": "tokaido.hal.stations._alarm_hooks",
            "ProgramHook": "tokaido.hal.stations._alarm_hooks",
            "WebHook": "tokaido.hal.stations._alarm_hooks",
            "StationAlarm": "tokaido.hal.stations._alarm_looks",
            "AlarmWatch": "tokaido.hal.stations._alarm_watch",
            "TaggerCapability": "tokaido.hal.roles._time_tagger",
            "TimeTagger": "tokaido.hal.roles._time_tagger",
            "DeviceEntry": "tokaido.hal.stations._entries",
            "AmplifierInterlockEntry": "tokaido.hal.stations._entries",
            "HalfLink": "tokaido.hal.stations._half_links",
            "HookQueue": "tokaido.hal.stations._hook_queue",
            "HalfLinkEntry": "tokaido.hal.stations._entries",
            "InterlockEntry": "tokaido.hal.stations._entries",
            "LinkEntry": "tokaido.hal.stations._entries",
            "PortPairs": "tokaido.hal.stations._entries",
            "HeldLease": "tokaido.hal.stations._leases",
            "Lease": "tokaido.hal.stations._leases",
            "LeaseBook": "tokaido.hal.stations._leases",
            "LeaseInfo": "tokaido.hal.stations._leases",
            "Link": "tokaido.hal.stations._links",
            "LinkLoss": "tokaido.hal.stations._half_links",
            "MovedEnd": "tokaido.hal.stations._move_ends",
            "MoveError": "tokaido.hal.stations._move_report",
            "MoveReport": "tokaido.hal.stations._move_report",
            "MoveStep": "tokaido.hal.stations._move_report",
            "RemoteStation": "tokaido.hal.stations._remote",
            "Station": "tokaido.hal.stations._station",
            "CurveKeyFiles": "tokaido.hal.transports._curve",
            "create_curve_keys": "tokaido.hal.transports._curve",
        },
        __all__,
    )
