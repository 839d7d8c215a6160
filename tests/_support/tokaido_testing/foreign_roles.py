"""Roles and drivers of another package, of which only their ancestors matter."""

from __future__ import annotations

from abc import ABC
from typing import ClassVar

import tokaido.hal as hal
from tokaido.drivers.dicon import Selector
from tokaido.emulators.conformance import Contract
from tokaido.hal.driver import LineDevice


class Plain(hal.Device, ABC):
    """A role without a contract."""


class Lamp(hal.Device, ABC):
    """A role that may be filled beside another."""


class SpecialSwitch(hal.OpticalSwitch, ABC):
    """A switch of which nothing more is asked."""


class LampContract(Contract):
    """What is asked of a lamp."""


class PlainBox(LineDevice, Plain):
    """Fills a role without a contract."""

    resource_kinds: ClassVar = {"control": frozenset({"serial"})}


class Special(Selector, SpecialSwitch):
    """Fills a role that inherits from one of ours."""


class SwitchWithLamp(Selector, Lamp):
    """Fills two roles."""
