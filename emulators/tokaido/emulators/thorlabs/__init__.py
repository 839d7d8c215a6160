"""Thorlabs devices as device models: OSW-E optical switches on a serial line, and power meters of the PM100 family."""

from tokaido.emulators.thorlabs._osw import OswSwitchModel
from tokaido.emulators.thorlabs._pm100 import PowerMeterModel

__all__ = ["OswSwitchModel", "PowerMeterModel"]
