"""Wire ends: what carries a device model to the outside.

Nothing here is imported before it is used: ZeroMQ, pyserial and PyVISA are loaded by those who need them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokaido.emulators.ends._end import End
    from tokaido.emulators.ends._hislip import HislipEnd
    from tokaido.emulators.ends._inprocess import InProcessEnd
    from tokaido.emulators.ends._pty import PtyEnd
    from tokaido.emulators.ends._tcp import TcpEnd
    from tokaido.emulators.ends._wire import SharedModel, Wire
    from tokaido.emulators.ends._zmq import ZmqEnd

__all__ = ["End", "HislipEnd", "InProcessEnd", "PtyEnd", "SharedModel", "TcpEnd", "Wire", "ZmqEnd"]

_HOMES = {
    "End": "_end",
    "HislipEnd": "_hislip",
    "InProcessEnd": "_inprocess",
    "PtyEnd": "_pty",
    "SharedModel": "_wire",
    "TcpEnd": "_tcp",
    "Wire": "_wire",
    "ZmqEnd": "_zmq",
}


def __getattr__(name: str) -> object:
    """Import a public name when it is first used (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415 - with the name that it is for

    value: object = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
