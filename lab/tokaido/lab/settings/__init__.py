"""Settings of devices: saved to a file, compared with what is in force, and restored in a safe order.

Settings are what a driver declares as settable, and what a method of its role sets: the map of a switch, where a
retarder stands. Readings and states are none, nor is what switches a light source on; keys and watchdogs never are.
"""

from __future__ import annotations

from tokaido.hal.driver import FurtherSetting, Plain, shown
from tokaido.lab.settings._changes import Change, RestoreError
from tokaido.lab.settings._settings import DeviceSettings, Settings, save

__all__ = ["Change", "DeviceSettings", "FurtherSetting", "Plain", "RestoreError", "Settings", "save", "shown"]
