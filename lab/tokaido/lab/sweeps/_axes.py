"""What a sweep sets: settings of devices, connections of switches, and anything that a callable sets."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import tokaido.hal as hal
from tokaido.hal.driver import Measured, Setting, encode, real, whole

if TYPE_CHECKING:
    from tokaido.hal.driver import Valued


@dataclass(frozen=True, slots=True)
class Knob:
    """Anything that a callable sets: an instrument of another library, two settings at once."""

    name: str
    """Of its dimension in the data set."""
    set_to: Callable[[Any], object]
    """Called with each value; what it raises ends the sweep."""
    unit: str = ""
    """Unit of measure."""
    range: tuple[float, float] | None = None
    """Lowest and highest value that it may be set to. Default: whatever it takes."""
    read: Callable[[], Any] | None = None
    """Returns what is in force: what is put back at the end. Not needed otherwise."""


@dataclass(frozen=True, slots=True)
class Connection:
    """The output that an input of an optical switch is joined to, as something to sweep; 0 stands for none.

    Other inputs stay as they are; an output that another input is joined to is refused by the switch.
    """

    switch: hal.OpticalSwitch
    """The switch, opened."""
    input: int
    """The input, from 1."""
    force: str = ""
    """Why an interlock may be overruled; it is logged. Empty: it may not."""


Swept: TypeAlias = (
    tuple[str, hal.Device] | tuple[Setting[Any], hal.Device] | Connection | Knob | Callable[[Any], object]
)
"""What can be swept: `("attenuation", tx)`, `(hal.Transmitter.attenuation, tx)`, a part's by its path
`("detectors[0].bias", rx)`, a `Connection`, a `Knob`, or a function that is called with each value and names it."""


class Axis(Protocol):
    """One thing that a sweep sets."""

    name: str
    """Its own name."""
    unit: str
    device: hal.Device | None
    calibration: str
    """JSON text of what corrects it; empty: nothing does."""

    def check(self, value: object) -> Any:
        """Return a value as the plain one that it will be set to; raises if it cannot be."""
        ...

    def set_to(self, value: Any) -> None:
        """Set it."""
        ...

    def now(self) -> Any:
        """Return what is in force."""
        ...


class SettingAxis:
    """A setting of a device or of a part of it."""

    def __init__(self, device: hal.Device, path: str, owner: Valued, setting: Setting[Any]) -> None:
        self.name, self.unit = path, setting.unit
        self.device: hal.Device | None = device
        self.calibration = "" if setting.calibration is None else json.dumps(setting.calibration.record())
        self._owner, self._setting = owner, setting

    def check(self, value: object) -> Any:
        """Return a value within the declared range; a word may stand for a member of an enumeration."""
        if isinstance(value, str) and issubclass(self._setting.kind, Enum):
            value = next((member for member in self._setting.kind if encode(member) == value), value)
        return self._setting.check(value)

    def set_to(self, value: Any) -> None:
        """Set it, and let the driver read it back."""
        self._owner.write(self._setting, value)

    def now(self) -> Any:
        """Ask for it."""
        return self._owner.read(self._setting)


class ConnectionAxis:
    """An input of a switch."""

    calibration = ""

    def __init__(self, connection: Connection) -> None:
        self.device: hal.Device | None = connection.switch
        self.name, self.unit = f"in{connection.input}", ""
        self._switch, self._connection = connection.switch, connection
        size = connection.switch.size()
        self._input = _port(connection.switch, "input", connection.input, 1, size.inputs)
        self._outputs = size.outputs
        self._parts = hal.SwitchCapability.DISCONNECT in connection.switch.capabilities

    def check(self, value: object) -> int:
        """Return an output that the switch has."""
        if value == 0 and not self._parts:
            raise hal.RangeError("this switch parts no connection", device=self._switch.name, remedy="Leave out 0")
        return _port(self._switch, "output", value, 0, self._outputs)

    def set_to(self, value: int) -> None:
        """Join the input to that output alone, or to none."""
        joins = {self._input: value} if value else {}
        self._switch.reroute(disconnect=[self._input], connect=joins, force=self._connection.force)

    def now(self) -> int:
        """Ask for the output; 0 for none."""
        return self._switch.connections().get(self._input, 0)


class KnobAxis:
    """Whatever a callable sets."""

    device: hal.Device | None = None
    calibration = ""

    def __init__(self, knob: Knob) -> None:
        self.name, self.unit = knob.name, knob.unit
        self._knob = knob

    def check(self, value: object) -> Any:
        """Return the value, a number within the range if there is one."""
        if self._knob.range is None:
            return value
        low, high = self._knob.range
        number = real(value, self.name)
        if not low <= number <= high:
            raise hal.RangeError(f"{self.name} takes {low:.10g} to {high:.10g} {self.unit}".rstrip())
        return number

    def set_to(self, value: Any) -> None:
        """Call what sets it."""
        self._knob.set_to(value)

    def now(self) -> Any:
        """Call what reads it.

        Raises:
            ConfigurationError: Nothing does.
        """
        if self._knob.read is None:
            raise hal.ConfigurationError(
                f"{self.name} cannot be put back: nothing reads it", remedy="Give its Knob a `read`"
            )
        return self._knob.read()


def axis_of(swept: object) -> Axis:
    """Return what a caller wants to sweep.

    Raises:
        ConfigurationError: It is nothing that can be, or the device has no such setting.
        RangeError: The switch has no such input.
        TransportError: A switch could not be asked how large it is.
    """
    if isinstance(swept, Connection):
        return ConnectionAxis(swept)
    if isinstance(swept, Knob):
        return KnobAxis(swept)
    if isinstance(swept, tuple) and len(swept) == 2 and isinstance(swept[1], hal.Device):
        value, device = swept
        if isinstance(value, (str, Measured)):
            path = value if isinstance(value, str) else value.name
            owner, found = device.find(path)
            if not isinstance(found, Setting):
                raise hal.ConfigurationError(f"{path} of {device.name} is measured and cannot be set")
            return SettingAxis(device, path, owner, found)
    if callable(swept):
        return KnobAxis(Knob(name_of(swept, "Knob"), swept))
    raise hal.ConfigurationError(
        f"{swept!r} cannot be swept", remedy='Sweep ("attenuation", device), a Connection, a Knob or a function'
    )


def name_of(function: Callable[..., object], instead: str) -> str:
    """Return the name of a function, which is to name what it sets or reads.

    Raises:
        ConfigurationError: It has none: a lambda, say.
    """
    name = getattr(function, "__name__", "")
    if not isinstance(name, str) or not name.isidentifier():
        raise hal.ConfigurationError(f"{function!r} has no name to be called by", remedy=f"Take a {instead}")
    return name


def _port(switch: hal.OpticalSwitch, side: str, number: object, low: int, high: int) -> int:
    port = whole(number, side)
    if not low <= port <= high:
        raise hal.RangeError(f"there is no {side} {port}", device=switch.name, remedy=f"It has 1 to {high}")
    return port
