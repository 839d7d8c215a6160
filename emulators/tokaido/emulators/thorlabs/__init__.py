"""Thorlabs devices as device models: optical switches OSW-E, power meters PM100, polarization controllers MPC."""

from tokaido.emulators.thorlabs._mpc import PaddlesModel
from tokaido.emulators.thorlabs._osw import OswSwitchModel
from tokaido.emulators.thorlabs._pm100 import PowerMeterModel

__all__ = ["OswSwitchModel", "PaddlesModel", "PowerMeterModel"]
