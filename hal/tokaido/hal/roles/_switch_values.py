"""What an optical switch is described with: its ports, their states, its size, and what not every switch can."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from tokaido.hal._errors import ValueTypeError
from tokaido.hal._numbers import whole

if not TYPE_CHECKING:
    from tokaido.hal._records import dataclass

if TYPE_CHECKING:
    from dataclasses import dataclass


class Side(Enum):
    """Which side of a switch a port is on."""

    INPUT = "in"
    OUTPUT = "out"


@dataclass(frozen=True, slots=True)
class SwitchPort:
    """One port, counted from 1 on its own side, whatever the vendor counts."""

    side: Side
    number: int

    def __post_init__(self) -> None:
        """Keep a plain number.

        Raises:
            ValueTypeError: The side is not a `Side`, or the number is not whole.
        """
        if not isinstance(self.side, Side):
            raise ValueTypeError(f"a port is on Side.INPUT or Side.OUTPUT, not {self.side!r}")
        object.__setattr__(self, "number", whole(self.number, "a port"))

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
