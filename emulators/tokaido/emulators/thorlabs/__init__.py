"""Thorlabs OSW-E optical switches as a device model: two states, four commands, one serial line."""

from tokaido.emulators.thorlabs._osw import OswSwitchModel

__all__ = ["OswSwitchModel"]
