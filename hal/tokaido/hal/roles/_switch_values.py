"""What an optical switch is described with: its ports, their states, its size, and what not every switch can."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Side(Enum):
    """Which side of a switch a port is on."""

    INPUT = "in"
    OUTPUT = "out"


@dataclass(frozen=True, slots=True)
class SwitchPort:
    """One port, counted from 1 on its own side, whatever the vendor counts."""

    side: Side
    number: int

    def __str__(self) -> str:
        return f"{self.side.value} {self.number}"


@dataclass(frozen=True, slots=True)
class SwitchSize:
    """How many ports a switch has on either side."""

    inputs: int
    outputs: int


class PortState(Enum):
    """What a port is fit for."""

    ENABLED = "ENABLED"
    DISABLED = "DISABLED"
    """Its shutter is closed."""
    FAILED = "FAILED"


class BootMode(Enum):
    """Which map a switch has after power came back."""

    DARK = "DARK"
    """None."""
    RESTORE = "RESTORE"
    """The one that was saved."""
    AUTOSAVE = "AUTOSAVE"
    """The last one."""


class SwitchCapability(Enum):
    """What a switch can that not every switch can."""

    DISCONNECT = "leave an input without an output"
    PORT_STATES = "states and shutters of ports"
    POWER_MONITORS = "power monitors"
    BOOT_MODE = "boot mode"
