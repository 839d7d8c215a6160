"""What a device model needs to speak SCPI: messages, syntax, status registers. `ScpiModel` has a worked example."""

from tokaido.emulators.scpi._core import ScpiCore
from tokaido.emulators.scpi._model import Dialect, Parameters, ScpiError, ScpiModel, command, parse_channels, short
from tokaido.emulators.scpi._status import ErrorQueue, Status, event_bit
from tokaido.emulators.scpi._syntax import compile_pattern

__all__ = [
    "Dialect",
    "ErrorQueue",
    "Parameters",
    "ScpiCore",
    "ScpiError",
    "ScpiModel",
    "Status",
    "command",
    "compile_pattern",
    "event_bit",
    "parse_channels",
    "short",
]
