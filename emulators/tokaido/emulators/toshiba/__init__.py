"""The Toshiba-style transmitter and receiver as device models (docs/protocols/toshiba.md).

Their control protocol is an invention of this project; see that page for what is claimed and what is not.
"""

from tokaido.emulators.toshiba._receiver import ReceiverModel
from tokaido.emulators.toshiba._transmitter import TransmitterModel

__all__ = ["ReceiverModel", "TransmitterModel"]
