"""Emulated NEC-style units, after docs/protocols/nec.md.

The two models know no socket and no clock. `tokaido.emulators.launch("nec.transmitter")` puts one on its wires.
"""

from tokaido.emulators.nec._receiver import ReceiverModel
from tokaido.emulators.nec._transmitter import TransmitterModel

__all__ = ["ReceiverModel", "TransmitterModel"]
