"""What a device is: roles, values, errors, transports, stations.

Everything a user needs has a name here; modules that begin with an underscore are private. What is costly to import
(ZeroMQ, asyncio, entry points) is imported when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from tokaido.hal._alarms import Alarm, AlarmEvent, Severity
from tokaido.hal._clock import NS_PER_S, SYSTEM_CLOCK, Clock, Deadline, SystemClock
from tokaido.hal._device import Answer, Device, Identity, Part
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
    MoveError,
    NotConnectedError,
    NotFreshError,
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
from tokaido.hal._keys import KeyBlock, KeyBlockInfo, KeyMaterial
from tokaido.hal._readings import LimitStatus, Quality, Reading, Telemetry
from tokaido.hal._resources import Resource
from tokaido.hal._roles import (
    RUNNING,
    SETUP,
    STUCK,
    Capability,
    Detector,
    LinkKey,
    LinkSelection,
    Operation,
    Receiver,
    Shutter,
    SubChannel,
    TelemetryEvent,
    Transmitter,
    Unit,
    UnitState,
)
from tokaido.hal._trace import TraceRecord, trace
from tokaido.hal._transport import NOT_MINE, Codec, LineCodec, NotMine, Request, Transport
from tokaido.hal._values import Measured, Query, Setting, lacking, measured, query, setting

if TYPE_CHECKING:
    from tokaido.hal import aio
    from tokaido.hal._authenticator import AuthenticationPool, OneTimeAuthenticator
    from tokaido.hal._curve import CurveKeyFiles, create_curve_keys
    from tokaido.hal._interlocks import LightInterlock
    from tokaido.hal._key_channel import KeyChannel
    from tokaido.hal._leases import Lease, LeaseBook, LeaseInfo
    from tokaido.hal._line_device import LineDevice, SilentCodec
    from tokaido.hal._links import Link, LinkEntry, LinkLoss
    from tokaido.hal._move_report import MoveReport, MoveStep
    from tokaido.hal._registry import DriverEntry, drivers, emulators, role_name
    from tokaido.hal._scpi import ScpiCodec, ScpiDialect, drain_errors
    from tokaido.hal._serial import SerialTransport
    from tokaido.hal._station import DeviceEntry, Station
    from tokaido.hal._stream import StreamTransport
    from tokaido.hal._switch import OpticalSwitch
    from tokaido.hal._switch_values import (
        BootMode,
        PortState,
        Side,
        SwitchCapability,
        SwitchPort,
        SwitchSize,
    )
    from tokaido.hal._visa import VisaTransport
    from tokaido.hal._zmq import ZmqTransport

_LAZY = {
    "AuthenticationPool": "tokaido.hal._authenticator",
    "BootMode": "tokaido.hal._switch_values",
    "CurveKeyFiles": "tokaido.hal._curve",
    "DeviceEntry": "tokaido.hal._station",
    "DriverEntry": "tokaido.hal._registry",
    "KeyChannel": "tokaido.hal._key_channel",
    "Lease": "tokaido.hal._leases",
    "LeaseBook": "tokaido.hal._leases",
    "LeaseInfo": "tokaido.hal._leases",
    "LightInterlock": "tokaido.hal._interlocks",
    "LineDevice": "tokaido.hal._line_device",
    "Link": "tokaido.hal._links",
    "LinkEntry": "tokaido.hal._links",
    "LinkLoss": "tokaido.hal._links",
    "MoveReport": "tokaido.hal._move_report",
    "MoveStep": "tokaido.hal._move_report",
    "OneTimeAuthenticator": "tokaido.hal._authenticator",
    "OpticalSwitch": "tokaido.hal._switch",
    "PortState": "tokaido.hal._switch_values",
    "ScpiCodec": "tokaido.hal._scpi",
    "ScpiDialect": "tokaido.hal._scpi",
    "drain_errors": "tokaido.hal._scpi",
    "SerialTransport": "tokaido.hal._serial",
    "Side": "tokaido.hal._switch_values",
    "SilentCodec": "tokaido.hal._line_device",
    "Station": "tokaido.hal._station",
    "StreamTransport": "tokaido.hal._stream",
    "SwitchCapability": "tokaido.hal._switch_values",
    "SwitchPort": "tokaido.hal._switch_values",
    "SwitchSize": "tokaido.hal._switch_values",
    "VisaTransport": "tokaido.hal._visa",
    "ZmqTransport": "tokaido.hal._zmq",
    "create_curve_keys": "tokaido.hal._curve",
    "drivers": "tokaido.hal._registry",
    "emulators": "tokaido.hal._registry",
    "role_name": "tokaido.hal._registry",
}

__all__ = [
    "NOT_MINE",
    "NS_PER_S",
    "RUNNING",
    "SETUP",
    "STUCK",
    "SYSTEM_CLOCK",
    "Alarm",
    "AlarmEvent",
    "Answer",
    "AuthenticationError",
    "AuthenticationPool",
    "BootMode",
    "Capability",
    "Clock",
    "ClosedError",
    "Codec",
    "ConfigurationError",
    "CurveKeyFiles",
    "Deadline",
    "Detector",
    "Device",
    "DeviceBusyError",
    "DeviceEntry",
    "DeviceError",
    "DeviceTimeoutError",
    "DriverEntry",
    "Identity",
    "InterlockError",
    "KeyBlock",
    "KeyBlockInfo",
    "KeyChannel",
    "KeyMaterial",
    "KeyMaterialError",
    "Lease",
    "LeaseBook",
    "LeaseError",
    "LeaseHeldError",
    "LeaseInfo",
    "LeaseLostError",
    "LightInterlock",
    "LimitStatus",
    "LineCodec",
    "LineDevice",
    "Link",
    "LinkEntry",
    "LinkKey",
    "LinkLoss",
    "LinkSelection",
    "Measured",
    "MoveError",
    "MoveReport",
    "MoveStep",
    "NotConnectedError",
    "NotFreshError",
    "NotMine",
    "OneTimeAuthenticator",
    "Operation",
    "OpticalSwitch",
    "OutcomeUnknownError",
    "Part",
    "PortState",
    "ProtocolError",
    "Quality",
    "Query",
    "RangeError",
    "Reading",
    "Receiver",
    "RefusedError",
    "Request",
    "Resource",
    "ScpiCodec",
    "ScpiDialect",
    "SerialTransport",
    "Setting",
    "Severity",
    "Shutter",
    "Side",
    "SilentCodec",
    "StateError",
    "Station",
    "StreamTransport",
    "SubChannel",
    "SwitchCapability",
    "SwitchPort",
    "SwitchSize",
    "SystemClock",
    "Telemetry",
    "TelemetryEvent",
    "TokaidoError",
    "TraceRecord",
    "Transmitter",
    "Transport",
    "TransportError",
    "Unit",
    "UnitState",
    "UnsupportedError",
    "ValueTypeError",
    "VisaTransport",
    "WrongDeviceError",
    "ZmqTransport",
    "aio",
    "create_curve_keys",
    "drain_errors",
    "drivers",
    "emulators",
    "lacking",
    "measured",
    "query",
    "role_name",
    "setting",
    "trace",
]


def __getattr__(name: str) -> Any:
    if name == "aio":
        return importlib.import_module("tokaido.hal.aio")
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
