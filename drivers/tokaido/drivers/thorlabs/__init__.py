"""Drivers for Thorlabs devices, compatible with their published commands.

The OSW-E fibre switches (docs/protocols/thorlabs.md), the PM100 power meters (docs/protocols/thorlabs-pm100.md) and the
polarization controllers MPC220 and MPC320 (docs/protocols/thorlabs-mpc.md).
"""

from tokaido.drivers.thorlabs._mpc import Paddle, PolarizationController
from tokaido.drivers.thorlabs._osw import OswSwitch
from tokaido.drivers.thorlabs._pm100 import PowerMeter

__all__ = ["OswSwitch", "Paddle", "PolarizationController", "PowerMeter"]
