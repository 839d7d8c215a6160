"""Drivers for Thorlabs devices, compatible with their published commands.

The OSW-E fibre switches (docs/protocols/thorlabs.md) and the PM100 power meters (docs/protocols/thorlabs-pm100.md).
"""

from tokaido.drivers.thorlabs._osw import OswSwitch
from tokaido.drivers.thorlabs._pm100 import PowerMeter

__all__ = ["OswSwitch", "PowerMeter"]
