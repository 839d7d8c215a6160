"""What a driver is written with: values, codecs, requests, devices of lines, units, key channels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokaido.hal._change_log import LoggedChange
from tokaido.hal._declarations import measured, query, setting, unsupported
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
from tokaido.hal._further_settings import FurtherSetting, Plain
from tokaido.hal._keys import KeyBlock, KeyBlockFacts, KeyBlockInfo, KeyMaterial
from tokaido.hal._numbers import flag, is_no_value, real, real_in, whole, whole_in
from tokaido.hal._readings import Quality, Reading, Telemetry
from tokaido.hal._value_texts import decode, encode, not_negative
from tokaido.hal._values import Answer, Light, Measured, Query, Setting, States, Valued
from tokaido.hal.lazy import lazily
from tokaido.hal.transports._codec import NOT_MINE, Codec, LateRequest, LineCodec, NotMine, Request

__all__ = [
    "EVENT",
    "NOT_MINE",
    "AlarmLedger",
    "Answer",
    "AuthenticationError",
    "ClosedError",
    "Codec",
    "ConfigurationError",
    "Device",
    "DeviceBusyError",
    "DeviceError",
    "DeviceTimeoutError",
    "FurtherSetting",
    "Identity",
    "InterlockError",
    "KeyBlock",
    "KeyBlockFacts",
    "KeyBlockInfo",
    "KeyChannel",
    "KeyMaterial",
    "KeyMaterialError",
    "LateRequest",
    "LeaseError",
    "LeaseHeldError",
    "LeaseLostError",
    "Light",
    "LineCodec",
    "LineDevice",
    "LoggedChange",
    "Measured",
    "NoDataError",
    "NotConnectedError",
    "NotMine",
    "OutcomeUnknownError",
    "Part",
    "Plain",
    "ProtocolError",
    "PushedBlock",
    "PushedKeys",
    "Quality",
    "Query",
    "RangeError",
    "Reading",
    "RefusedError",
    "Request",
    "Resource",
    "ScpiCodec",
    "ScpiDevice",
    "ScpiDialect",
    "Setting",
    "SilentCodec",
    "StateError",
    "States",
    "StreamTransport",
    "Telemetry",
    "TextTransport",
    "TokaidoError",
    "Transport",
    "TransportError",
    "UnitDriver",
    "UnsupportedError",
    "ValueTypeError",
    "Valued",
    "WatchdogHolder",
    "WrongDeviceError",
    "ZmqTransport",
    "decode",
    "device_error",
    "drain_errors",
    "encode",
    "flag",
    "is_no_value",
    "measured",
    "not_negative",
    "open_transport",
    "query",
    "read_event_status",
    "read_status_byte",
    "real",
    "real_in",
    "setting",
    "shown",
    "trace",
    "unsupported",
    "weakly",
    "whole",
    "whole_in",
]

if TYPE_CHECKING:
    from tokaido.hal._alarm_ledger import AlarmLedger
    from tokaido.hal._key_channel import EVENT, KeyChannel
    from tokaido.hal._line_device import LineDevice, SilentCodec, weakly
    from tokaido.hal._pushed_keys import PushedBlock, PushedKeys
    from tokaido.hal._scpi_device import ScpiDevice
    from tokaido.hal._shown import shown
    from tokaido.hal._unit_driver import UnitDriver
    from tokaido.hal._watchdog import WatchdogHolder
    from tokaido.hal.transports._opening import open_transport
    from tokaido.hal.transports._resources import Resource
    from tokaido.hal.transports._scpi import (
        ScpiCodec,
        ScpiDialect,
        device_error,
        drain_errors,
        read_event_status,
        read_status_byte,
    )
    from tokaido.hal.transports._stream import StreamTransport
    from tokaido.hal.transports._text import TextTransport
    from tokaido.hal.transports._transport import Transport, trace
    from tokaido.hal.transports._zmq import ZmqTransport
else:
    __getattr__, __dir__ = lazily(
        __name__,
        {
            "AlarmLedger": "tokaido.hal._alarm_ledger",
            "EVENT": "tokaido.hal._key_channel",
            "KeyChannel": "tokaido.hal._key_channel",
            "LineDevice": "tokaido.hal._line_device",
            "SilentCodec": "tokaido.hal._line_device",
            "weakly": "tokaido.hal._line_device",
            "PushedBlock": "tokaido.hal._pushed_keys",
            "PushedKeys": "tokaido.hal._pushed_keys",
            "ScpiDevice": "tokaido.hal._scpi_device",
            "shown": "tokaido.hal._shown",
            "UnitDriver": "tokaido.hal._unit_driver",
            "WatchdogHolder": "tokaido.hal._watchdog",
            "Transport": "tokaido.hal.transports._transport",
            "trace": "tokaido.hal.transports._transport",
            "StreamTransport": "tokaido.hal.transports._stream",
            "TextTransport": "tokaido.hal.transports._text",
            "ZmqTransport": "tokaido.hal.transports._zmq",
            "Resource": "tokaido.hal.transports._resources",
            "open_transport": "tokaido.hal.transports._opening",
            "ScpiCodec": "tokaido.hal.transports._scpi",
            "ScpiDialect": "tokaido.hal.transports._scpi",
            "device_error": "tokaido.hal.transports._scpi",
            "drain_errors": "tokaido.hal.transports._scpi",
            "read_event_status": "tokaido.hal.transports._scpi",
            "read_status_byte": "tokaido.hal.transports._scpi",
        },
        __all__,
    )
