"""What units do differently: their rating plate, their ports, and the hardware behind the state machine."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar, Protocol

from tokaido.emulators._model import DeviceModel
from tokaido.emulators.units._alarms import ALARMS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokaido.emulators._model import Message
    from tokaido.emulators.units._alarms import AlarmChange, AlarmKind
    from tokaido.emulators.units._faults import UnitSide
    from tokaido.emulators.units._keychannel import KeyServer
    from tokaido.emulators.units._keyformat import KeyFormat
    from tokaido.emulators.units._thermal import Body


class ControlPort(Protocol):
    """What speaks a vendor's control protocol at the port `control`.

    It may have a property `has_output`, whether `take` would return something; wire ends look often without it.
    """

    def receive(self, data: bytes) -> None:
        """Take bytes that arrive."""
        ...

    def take(self) -> bytes:
        """Return, once, what is to be sent."""
        ...

    def tell_alarm(self, change: AlarmChange) -> None:
        """Take a change of an alarm; the protocol decides what follows."""
        ...


class Box(DeviceModel):
    """The rating plate and the hardware of one unit, as its state machine sees them.

    A vendor's family gives the constants and the two ports; a transmitter and a receiver give the hardware. A constant
    that is not a `ClassVar` may be the box's own, where a family builds boxes with options.
    """

    MAY_WAIT_S = 0.01
    STREAM_PORTS = ("control",)
    MESSAGE_PORTS = ("keys",)
    VENDOR: ClassVar[str]
    MODEL: ClassVar[str]
    FIRMWARE: ClassVar[str]
    SIDE: ClassVar[UnitSide]
    SERIAL_NUMBER: ClassVar[str]
    """Serial number, if no other is given."""
    ALARMS: ClassVar[Mapping[str, AlarmKind]] = ALARMS
    """The alarms of this unit, by code."""
    MODEL_FAULTS: ClassVar[Mapping[str, str]]
    """The faults of this unit, and the alarm that each one leads to."""
    PULSES: ClassVar[str]
    """Kind of pulses that it sends or detects; units of one kind understand each other."""
    ALIGNMENT: ClassVar[Mapping[str, float]]
    """Steps of an alignment in their order, and how long each one takes in s: of BIAS (the first), POL, SYNC, DELAY,
    PHASE and GATES, those that the unit needs."""
    KEY_FORMAT: ClassVar[KeyFormat]
    """How the messages of the key channel are written."""
    INTENSITY_TOLERANCE: ClassVar[float] = 0.05
    """How far the light may be off the set mean photon numbers, as a fraction: keys are as short as that asks for."""
    PSK_BYTES: ClassVar[int] = 4096
    """Length of a pre-shared key."""
    TEMPERATURE_ALARM: ClassVar[str]
    WARMUP_LIMIT_S: float
    TEMPERATURE_LIMIT: float
    """Deviation of a critical body beyond which the alarm comes."""
    RUNAWAY: float
    """How far the fault of a runaway temperature drives a body off its set point."""

    control: ControlPort
    keychannel: KeyServer
    channels: int = 1
    """Sub-channels: each is a stream of pulses of its own, with two detectors. A unit that has several says so before
    it is initialised as a unit."""

    @property
    def channels_on(self) -> tuple[int, ...]:
        """The sub-channels that are switched on, from 0."""
        return tuple(range(self.channels))

    def identity(self) -> dict[str, str]:
        """Vendor, model, serial number and firmware."""
        return {
            "vendor": self.VENDOR,
            "model": self.MODEL,
            "serial_number": self.serial_number,
            "firmware": self.FIRMWARE,
        }

    @abstractmethod
    def _delivery(self) -> dict[str, float]:
        """Return the settings at delivery, by their neutral name."""

    @abstractmethod
    def _build_control(self) -> ControlPort:
        """Return what speaks at the port `control`."""

    @abstractmethod
    def telemetry(self) -> dict[str, float | str | None]:
        """Return the values of the telemetry stream, under the names of the vendor's protocol; None for no value."""

    def telemetry_ages(self) -> dict[str, float]:
        """Return how old those values are in s, by name; one that is not named was measured just now."""
        return {}

    @abstractmethod
    def touch(self) -> None:
        """Take note that something came from outside: the next look at the state machine must not wait."""

    def receive(self, port: str, data: bytes) -> None:
        """Take bytes that arrive at the control port."""
        self.touch()
        self._stream(port).receive(data)

    def take(self, port: str) -> bytes:
        """Return, once, what the control port has to send."""
        return self._stream(port).take()

    def has_output(self, port: str) -> bool | None:
        """Return whether a port has something to send; None if the control port does not tell."""
        if port == "keys":
            return self.keychannel.has_output
        waits: bool | None = getattr(self.control, "has_output", None)
        return waits

    def host_due_ns(self) -> int | None:
        """Return when a draw that waits is to be answered in the hosts' time."""
        return self.keychannel.host_due_ns()

    def receive_message(self, peer: bytes, client_key: str, frames: list[bytes]) -> None:
        """Take one message at the key channel."""
        self.touch()
        self.keychannel.receive(peer, client_key, frames)

    def note_host_time(self, now_ns: int) -> None:
        """Take note of the time that hosts live in: draws that wait end in it."""
        self.keychannel.note_host_time(now_ns)

    def take_messages(self) -> list[Message]:
        """Return, once, what the key channel has to send."""
        return self.keychannel.take()

    def _stream(self, port: str) -> ControlPort:
        return {"control": self.control}[port]

    @abstractmethod
    def bodies(self) -> tuple[Body, ...]:
        """Everything whose temperature must settle."""

    @abstractmethod
    def _critical_bodies(self) -> tuple[Body, ...]:
        """Everything whose temperature may raise the temperature alarm."""

    @abstractmethod
    def _go_safe(self) -> None:
        """Bring the hardware into the safe state."""

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
    def _watch_light(self) -> None:
        """Raise the alarms of this unit's monitors of light."""

    @abstractmethod
    def _follow_hardware(self) -> None:
        """Raise and clear the alarms of this unit's hardware."""

    @abstractmethod
    def _hardware_fault(self, name: str, *, present: bool) -> None:
        """Begin or end a fault of this unit's hardware."""

    @abstractmethod
    def imagine_light(self) -> None:
        """Suppose light that suits every state."""
