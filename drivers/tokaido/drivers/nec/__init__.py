"""Drivers for NEC-style QKD units. Their wire protocol is our own invention: docs/protocols/nec.md."""

from tokaido.drivers.nec._receiver import AvalancheDetector, NanowireDetector, Receiver, ReceiverChannel
from tokaido.drivers.nec._transmitter import Transmitter, TransmitterChannel

__all__ = [
    "AvalancheDetector",
    "NanowireDetector",
    "Receiver",
    "ReceiverChannel",
    "Transmitter",
    "TransmitterChannel",
]
