"""Driver for Polatis matrix switches, compatible with their published SCPI commands: docs/protocols/polatis.md."""

from tokaido.drivers.polatis._matrix import MatrixSwitch

__all__ = ["MatrixSwitch"]
