"""What a transmitter and a receiver do differently: their rating plate, and the hardware behind the state machine."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar, Literal

from tokaido.emulators._model import DeviceModel

if TYPE_CHECKING:
    from tokaido.emulators.toshiba._commands import Command
    from tokaido.emulators.toshiba._thermal import Body


class Box(DeviceModel):
    """The hardware of one unit, as its state machine sees it."""

    STREAM_PORTS = ("control",)
    MESSAGE_PORTS = ("keys",)
    VENDOR = "TOSHIBA-STYLE"
    FIRMWARE = "1.0.0"
    MODEL: ClassVar[str]
    SIDE: ClassVar[Literal["transmitter", "receiver"]]
    SERIAL_NUMBER: ClassVar[str]
    ROWS: ClassVar[tuple[Command, ...]]
    WARMUP_LIMIT_S: ClassVar[float]
    TEMPERATURE_ALARM: ClassVar[str]
    TEMPERATURE_LIMIT: ClassVar[float]
    """Deviation of a critical body, in degC, beyond which the alarm comes."""

    def identity(self) -> dict[str, str]:
        """Vendor, model, serial number and firmware."""
        return {
            "vendor": self.VENDOR,
            "model": self.MODEL,
            "serial_number": self.serial_number,
            "firmware": self.FIRMWARE,
        }

    @abstractmethod
    def bodies(self) -> tuple[Body, ...]:
        """Everything whose temperature must settle."""

    @abstractmethod
    def _critical_bodies(self) -> tuple[Body, ...]:
        """Everything whose temperature may raise the temperature alarm."""

    @abstractmethod
    def _go_safe(self) -> None:
        """Take the safe state of section 4."""

    @abstractmethod
    def arm(self) -> None:
        """Leave the safe state: an alignment begins."""

    @abstractmethod
    def _step_possible(self, step: str) -> bool:
        """Whether this step of the alignment can go on."""

    @abstractmethod
    def step_done(self, step: str) -> None:
        """Take over what a step of the alignment found."""

    @abstractmethod
    def _servo_moved(self) -> None:
        """Take over what the servo found."""

    @abstractmethod
    def _follow_hardware(self) -> None:
        """Raise and clear the alarms of this unit's hardware."""

    @abstractmethod
    def _hardware_fault(self, name: str, *, present: bool) -> None:
        """Begin or end a fault of this unit's hardware."""

    @abstractmethod
    def imagine_light(self) -> None:
        """Suppose light that suits every state."""
