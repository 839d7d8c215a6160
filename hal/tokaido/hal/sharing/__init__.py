"""Devices that another program has the ports of: the messages of a device server, and the transport that they make.

The contract is docs/protocols/device-server.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokaido.hal.lazy import lazily

__all__ = [
    "MAX_BODY",
    "PROTOCOL",
    "Acquire",
    "AnyAsk",
    "Describe",
    "Exchange",
    "HeldDevice",
    "Hello",
    "Holders",
    "Lines",
    "Release",
    "Reply",
    "ServedDevice",
    "ServedInterlock",
    "ServedTransport",
    "Verdict",
    "decode_ask",
    "refusal",
]

if TYPE_CHECKING:
    from tokaido.hal.sharing._messages import (
        MAX_BODY,
        PROTOCOL,
        Acquire,
        AnyAsk,
        Describe,
        Exchange,
        HeldDevice,
        Hello,
        Holders,
        Lines,
        Release,
        Reply,
        ServedDevice,
        ServedInterlock,
        Verdict,
        decode_ask,
        refusal,
    )
    from tokaido.hal.sharing._served import ServedTransport
else:
    _MESSAGES = "tokaido.hal.sharing._messages"
    __getattr__, __dir__ = lazily(
        __name__,
        {name: _MESSAGES for name in __all__ if name != "ServedTransport"}
        | {"ServedTransport": "tokaido.hal.sharing._served"},
        __all__,
    )
