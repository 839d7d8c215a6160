"""What a device model needs to speak SCPI: messages, syntax, status registers. `ScpiModel` has a worked example."""

from tokaido.emulators.scpi._model import Dialect, Parameters, ScpiError, ScpiModel, command, parse_channels, short

__all__ = ["Dialect", "Parameters", "ScpiError", "ScpiModel", "command", "parse_channels", "short"]
