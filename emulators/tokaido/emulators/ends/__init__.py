"""Wire ends: what carries a device model to the outside."""

from tokaido.emulators.ends._end import End, SharedModel
from tokaido.emulators.ends._pty import PtyEnd
from tokaido.emulators.ends._zmq import ZmqEnd

__all__ = ["End", "PtyEnd", "SharedModel", "ZmqEnd"]
