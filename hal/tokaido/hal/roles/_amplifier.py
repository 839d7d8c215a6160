"""The role of an optical amplifier: classical light only, and never onto a single-photon receiver."""

from __future__ import annotations

from abc import ABC, abstractmethod
from enum import Enum
from typing import TYPE_CHECKING, TypeVar

from tokaido.hal._declarations import measured, setting
from tokaido.hal._device import Device
from tokaido.hal._errors import UnsupportedError
from tokaido.hal._forcing import forced
from tokaido.hal._values import Measured, Setting

if TYPE_CHECKING:
    from tokaido.hal.roles._interlocks import AmplifierInterlock

T = TypeVar("T")


class AmplifierMode(Enum):
    """What an amplifier holds constant."""

    CONSTANT_GAIN = "constant gain"
    CONSTANT_POWER = "constant power"
    CONSTANT_CURRENT = "constant current"


class AmplifierCapability(Enum):
    """What not every amplifier has."""

    CONSTANT_GAIN = "constant gain"
    CONSTANT_POWER = "constant power"
    CONSTANT_CURRENT = "constant current"
    INPUT_MONITOR = "input monitor"


class AmplifierAlarm(Enum):
    """What is wrong with an amplifier."""

    INPUT_LOST = "no light at the input"
    OUTPUT_LOW = "too little light at the output"
    PUMP_CURRENT = "pump current at its limit"
    TEMPERATURE = "too hot or too cold"


class OpticalAmplifier(Device, ABC):
    """Amplifies classical light. Its safe state is off."""

    enabled: Setting[bool] = setting(bool, light="source")
    """Control whether the pump emits. Interlocks watch over switching it on."""

    mode: Setting[AmplifierMode] = setting(AmplifierMode)
    """Control what is held constant; see the capabilities. Some amplifiers switch off when it changes."""

    target_gain: Setting[float] = setting(float, unit="dB", light="more")
    """Control the gain of the mode CONSTANT_GAIN."""

    target_power: Setting[float] = setting(float, unit="dBm", light="more")
    """Control the output power of the mode CONSTANT_POWER."""

    target_current: Setting[float] = setting(float, unit="mA", light="more")
    """Control the pump current of the mode CONSTANT_CURRENT."""

    output_power: Measured[float] = measured(float, unit="dBm")
    """Measure the power at the output, noise included."""

    input_power: Measured[float] = measured(float, unit="dBm")
    """Measure the power at the input; see the capability INPUT_MONITOR."""

    pump_current: Measured[float] = measured(float, unit="mA")
    """Measure the current of the pump laser."""

    @abstractmethod
    def alarms(self) -> frozenset[AmplifierAlarm]:
        """Ask what is wrong now."""

    def apply_safe_state(self) -> None:
        """Switch it off."""
        self.enabled = False

    # --- interlocks -------------------------------------------------------------------------------------------------

    _interlocks: tuple[AmplifierInterlock, ...] = ()

    def add_interlock(self, interlock: AmplifierInterlock) -> None:
        """Enforce an interlock from now on, whenever the amplifier is switched on."""
        self._interlocks = (*self._interlocks, interlock)

    def enable(self, *, force: str = "") -> None:
        """Switch it on, as `enabled = True` does.

        Args:
            force: Why an interlock may be overruled; it is logged. Empty: it may not.

        Raises:
            InterlockError: Its light would reach a single-photon receiver that is open; nothing was sent.
            DeviceError: The amplifier refused, or is not on afterwards.
            OutcomeUnknownError: The reply was lost; read `enabled`.
        """
        self._check_interlocks(force)
        with forced(force):
            super().write(type(self).enabled, True)

    def write(self, value: Setting[T], to: T) -> None:
        """Set one value as any device does; before it is switched on, the interlocks are asked.

        Raises:
            UnsupportedError: The mode is one that this amplifier does not have; nothing was sent.
            InterlockError: Its light would reach a single-photon receiver that is open; nothing was sent.
        """
        if isinstance(to, AmplifierMode) and AmplifierCapability[to.name] not in self.capabilities:
            raise UnsupportedError(
                f"this amplifier does not hold {to.value}; nothing was sent",
                device=self.name,
                remedy="See its capabilities",
            )
        if value.name == "enabled" and to:
            self._check_interlocks("")
        super().write(value, to)

    def check_text(self, text: str, *, force: str = "") -> None:
        """Ask the interlocks about a text of the vendor's that `switches_on`."""
        if self._interlocks and self.switches_on(text):
            self._check_interlocks(force)

    def switches_on(self, text: str) -> bool:  # noqa: ARG002 - for drivers, which know
        """Return whether a text of the vendor's may switch it on. Default: it cannot be told, so it may."""
        return True

    def _check_interlocks(self, force: str) -> None:
        for interlock in self._interlocks:
            interlock.check(self.name, force)
