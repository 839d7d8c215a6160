"""Driver for Thorlabs OSW-E fibre switches, compatible with their published commands: docs/protocols/thorlabs.md."""

from tokaido.drivers.thorlabs._osw import OswSwitch

__all__ = ["OswSwitch"]
