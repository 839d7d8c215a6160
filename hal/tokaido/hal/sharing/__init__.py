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
    "EndLease",
    "Exchange",
    "HeldDevice",
    "Hello",
    "Holders",
    "KeepLease",
    "LeaseLink",
    "Lines",
    "Release",
    "Reply",
    "ServedDevice",
    "ServedHalfLink",
    "ServedInterlock",
    "ServedLink",
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
        EndLease,
        Exchange,
        HeldDevice,
        Hello,
        Holders,
        KeepLease,
        LeaseLink,
        Lines,
        Release,
        Reply,
        ServedDevice,
        ServedHalfLink,
        ServedInterlock,
        ServedLink,
        Verdict,
        decode_ask,
        refusal,
    )
    from tokaido.hal.sharing._served import ServedTransport
else:
    __getattr__, __dir__ = lazily(
        __name__,
        {
            "ServedHalfLink": "tokaido.hal.sharing._messages",
            "ServedLink": "tokaido.hal.sharing._messages",
            "LeaseLink": "tokaido.hal.sharing._messages",
            "KeepLease": "tokaido.hal.sharing._messages",
            "EndLease": "tokaido.hal.sharing._messages",
            "MAX_BODY": "tokaido.hal.sharing._messages",
            "PROTOCOL": "tokaido.hal.sharing._messages",
            "Acquire": "tokaido.hal.sharing._messages",
            "AnyAsk": "tokaido.hal.sharing._messages",
            "Describe": "tokaido.hal.sharing._messages",
            "Exchange": "tokaido.hal.sharing._messages",
            "HeldDevice": "tokaido.hal.sharing._messages",
            "Hello": "tokaido.hal.sharing._messages",
            "Holders": "tokaido.hal.sharing._messages",
            "Lines": "tokaido.hal.sharing._messages",
            "Release": "tokaido.hal.sharing._messages",
            "Reply": "tokaido.hal.sharing._messages",
            "ServedDevice": "tokaido.hal.sharing._messages",
            "ServedInterlock": "tokaido.hal.sharing._messages",
            "ServedTransport": "tokaido.hal.sharing._served",
            "Verdict": "tokaido.hal.sharing._messages",
            "decode_ask": "tokaido.hal.sharing._messages",
            "refusal": "tokaido.hal.sharing._messages",
        },
        __all__,
    )
