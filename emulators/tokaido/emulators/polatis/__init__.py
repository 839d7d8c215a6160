"""The Polatis matrix switch as a device model: SCPI on a TCP socket or a serial line."""

from tokaido.emulators.polatis._matrix import MatrixSwitchModel

__all__ = ["MatrixSwitchModel"]
