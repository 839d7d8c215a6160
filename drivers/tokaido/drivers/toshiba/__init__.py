"""Drivers for Toshiba-style QKD units. Their wire protocol is our own invention: docs/protocols/toshiba.md."""

from tokaido.drivers.toshiba._receiver import Detector, Receiver
from tokaido.drivers.toshiba._transmitter import Transmitter

__all__ = ["Detector", "Receiver", "Transmitter"]
