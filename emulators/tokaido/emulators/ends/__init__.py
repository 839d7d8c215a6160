"""Wire ends: what carries a device model to the outside.

Nothing here is imported before it is used: ZeroMQ, pyserial and PyVISA are loaded by those who need them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokaido.hal.lazy import lazily

__all__ = [
    "VISA_SCHEME",
    "End",
    "HislipEnd",
    "HttpsEnd",
    "InProcessEnd",
    "InProcessMessages",
    "ModelLock",
    "PtyEnd",
    "SharedModel",
    "TcpEnd",
    "UnpluggedError",
    "Wire",
    "ZmqEnd",
    "find_in_process",
    "in_process_names",
]

if TYPE_CHECKING:
    from tokaido.emulators.ends._end import End
    from tokaido.emulators.ends._hislip import HislipEnd
    from tokaido.emulators.ends._https import HttpsEnd
    from tokaido.emulators.ends._inprocess import (
        VISA_SCHEME,
        InProcessEnd,
        UnpluggedError,
        find_in_process,
        in_process_names,
    )
    from tokaido.emulators.ends._inprocess_messages import InProcessMessages
    from tokaido.emulators.ends._pty import PtyEnd
    from tokaido.emulators.ends._shared import ModelLock, SharedModel
    from tokaido.emulators.ends._tcp import TcpEnd
    from tokaido.emulators.ends._wire import Wire
    from tokaido.emulators.ends._zmq import ZmqEnd
else:
    __getattr__, __dir__ = lazily(
        __name__,
        {
            "End": "tokaido.emulators.ends._end",
            "HislipEnd": "tokaido.emulators.ends._hislip",
            "HttpsEnd": "tokaido.emulators.ends._https",
            "VISA_SCHEME": "tokaido.emulators.ends._inprocess",
            "InProcessEnd": "tokaido.emulators.ends._inprocess",
            "InProcessMessages": "tokaido.emulators.ends._inprocess_messages",
            "UnpluggedError": "tokaido.emulators.ends._inprocess",
            "find_in_process": "tokaido.emulators.ends._inprocess",
            "in_process_names": "tokaido.emulators.ends._inprocess",
            "PtyEnd": "tokaido.emulators.ends._pty",
            "TcpEnd": "tokaido.emulators.ends._tcp",
            "ModelLock": "tokaido.emulators.ends._shared",
            "SharedModel": "tokaido.emulators.ends._shared",
            "Wire": "tokaido.emulators.ends._wire",
            "ZmqEnd": "tokaido.emulators.ends._zmq",
        },
        __all__,
    )
