"""How bytes reach a device: the ways there are, and what a new one is made of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokaido.hal.lazy import lazily

__all__ = [
    "NOT_MINE",
    "Codec",
    "CurveClient",
    "CurveDoor",
    "CurveKeyFiles",
    "CurveKeyPair",
    "DescriptorPort",
    "HttpMessage",
    "HttpsTransport",
    "LateRequest",
    "LineCodec",
    "MakesMessages",
    "MakesStream",
    "NotMine",
    "Option",
    "Port",
    "RawStream",
    "Request",
    "Resource",
    "ScpiCodec",
    "ScpiDialect",
    "SerialTransport",
    "StreamTransport",
    "TextTransport",
    "TraceRecord",
    "Transport",
    "TransportKind",
    "VisaTransport",
    "ZmqTransport",
    "create_curve_keys",
    "device_error",
    "drain_errors",
    "load_curve_public",
    "load_curve_secret",
    "open_transport",
    "read_event_status",
    "read_status_byte",
    "trace",
    "transport_kind",
    "transport_kinds",
]

if TYPE_CHECKING:
    from tokaido.hal.transports._codec import NOT_MINE, Codec, LateRequest, LineCodec, NotMine, Request
    from tokaido.hal.transports._curve import (
        CurveKeyFiles,
        CurveKeyPair,
        create_curve_keys,
        load_curve_public,
        load_curve_secret,
    )
    from tokaido.hal.transports._curve_server import CurveClient, CurveDoor
    from tokaido.hal.transports._https import HttpsTransport
    from tokaido.hal.transports._kinds import (
        MakesMessages,
        MakesStream,
        Option,
        TransportKind,
        transport_kind,
        transport_kinds,
    )
    from tokaido.hal.transports._opening import open_transport
    from tokaido.hal.transports._ports import DescriptorPort, Port
    from tokaido.hal.transports._raw import RawStream
    from tokaido.hal.transports._resources import Resource
    from tokaido.hal.transports._scpi import (
        ScpiCodec,
        ScpiDialect,
        device_error,
        drain_errors,
        read_event_status,
        read_status_byte,
    )
    from tokaido.hal.transports._serial import SerialTransport
    from tokaido.hal.transports._stream import StreamTransport
    from tokaido.hal.transports._text import TextTransport
    from tokaido.hal.transports._trace import TraceRecord
    from tokaido.hal.transports._transport import Transport, trace
    from tokaido.hal.transports._visa import VisaTransport
    from tokaido.hal.transports._zmq import ZmqTransport
    from tokaido.hal.wire.http import HttpMessage
else:
    __getattr__, __dir__ = lazily(
        __name__,
        {
            "Transport": "tokaido.hal.transports._transport",
            "trace": "tokaido.hal.transports._transport",
            "StreamTransport": "tokaido.hal.transports._stream",
            "TextTransport": "tokaido.hal.transports._text",
            "SerialTransport": "tokaido.hal.transports._serial",
            "VisaTransport": "tokaido.hal.transports._visa",
            "ZmqTransport": "tokaido.hal.transports._zmq",
            "NOT_MINE": "tokaido.hal.transports._codec",
            "Codec": "tokaido.hal.transports._codec",
            "LateRequest": "tokaido.hal.transports._codec",
            "LineCodec": "tokaido.hal.transports._codec",
            "NotMine": "tokaido.hal.transports._codec",
            "Request": "tokaido.hal.transports._codec",
            "CurveClient": "tokaido.hal.transports._curve_server",
            "CurveDoor": "tokaido.hal.transports._curve_server",
            "CurveKeyFiles": "tokaido.hal.transports._curve",
            "CurveKeyPair": "tokaido.hal.transports._curve",
            "create_curve_keys": "tokaido.hal.transports._curve",
            "load_curve_public": "tokaido.hal.transports._curve",
            "load_curve_secret": "tokaido.hal.transports._curve",
            "HttpMessage": "tokaido.hal.wire.http",
            "HttpsTransport": "tokaido.hal.transports._https",
            "MakesMessages": "tokaido.hal.transports._kinds",
            "MakesStream": "tokaido.hal.transports._kinds",
            "Option": "tokaido.hal.transports._kinds",
            "TransportKind": "tokaido.hal.transports._kinds",
            "transport_kind": "tokaido.hal.transports._kinds",
            "transport_kinds": "tokaido.hal.transports._kinds",
            "Resource": "tokaido.hal.transports._resources",
            "open_transport": "tokaido.hal.transports._opening",
            "TraceRecord": "tokaido.hal.transports._trace",
            "DescriptorPort": "tokaido.hal.transports._ports",
            "Port": "tokaido.hal.transports._ports",
            "RawStream": "tokaido.hal.transports._raw",
            "ScpiCodec": "tokaido.hal.transports._scpi",
            "ScpiDialect": "tokaido.hal.transports._scpi",
            "device_error": "tokaido.hal.transports._scpi",
            "drain_errors": "tokaido.hal.transports._scpi",
            "read_event_status": "tokaido.hal.transports._scpi",
            "read_status_byte": "tokaido.hal.transports._scpi",
        },
        __all__,
    )
