"""What every device model is: bytes in, bytes out, and integer nanoseconds."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, Protocol

from tokaido.hal import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tokaido.emulators._envelope import Envelope
    from tokaido.emulators._light import Band, Beam, SwitchModel

Message = tuple[bytes, list[bytes]]
"""A peer's routing id and the frames of one message from or to it."""


class BenchSpot(Protocol):
    """A spot on a bench. The model that takes it says once what it is there."""

    def passage(self, model: DeviceModel) -> None:
        """It lets light through, as `optical_ports` and `through` say."""

    def switch(self, model: SwitchModel) -> None:
        """It is a switch, with ports `in1` and so on, and `out1` and so on."""

    def transmitter(self, unit: DeviceModel) -> None:
        """It sends the pulses of a QKD link: a `TransmitterUnit` of `tokaido.emulators.units`."""

    def receiver(self, unit: DeviceModel) -> None:
        """It detects the pulses of a QKD link: a `ReceiverUnit` of `tokaido.emulators.units`."""


class DeviceModel(ABC):
    """A box without its plugs: it knows no socket, no thread and no wall clock.

    What it does is a function of its inputs, its seed and the time it is given, in integer nanoseconds since it came
    up; how that time is cut into steps makes no difference. It is not thread-safe: threads that share it take one lock.
    """

    STREAM_PORTS: ClassVar[Sequence[str]] = ()
    """Names of the ports that carry bytes."""
    MESSAGE_PORTS: ClassVar[Sequence[str]] = ()
    """Names of the ports that carry multipart messages."""
    PUSHES: ClassVar[bool] = False
    """Whether the message port only sends, to all who subscribe (a ZeroMQ PUB socket), and hears nothing."""

    FAULTS: ClassVar[Sequence[str]] = ()
    """Names of the faults that `add_fault` knows."""
    wire_ends: ClassVar[Sequence[str]] = ("pty", "emu")
    """What may carry the port `control`: some of `WIRE_ENDS` in `_plugs`, the usual one first."""
    plain_control: ClassVar[bool] = False
    """Whether the port `control` of a device with a key channel may be on a wire end that neither hides nor
    authenticates anything; no key and no pre-shared key ever goes over it."""
    envelope: ClassVar[Callable[[], Envelope] | None] = None
    """Makes the envelope that a replay renews around each reply at port `control`; None: the protocol has none."""
    wire_end: str = ""
    """What carries the port `control`, set when the box is plugged in; a box may end its lines accordingly."""
    BAUD_RATE: ClassVar[int] = 115200
    """What its serial line is set to, 8 bits, no parity, 1 stop bit."""
    MAY_WAIT_S: ClassVar[float] = 0.0
    """How long on the wall what is due may wait, so that a device with a clock of its own does not wake its wire end
    all the time when its time passes fast."""
    service_request_enable: int = 0
    """Bits of the status byte that request service (IEEE 488.2, 11.3.2)."""

    serial_number: str
    """Serial number of the emulated box."""

    @property
    @abstractmethod
    def now_ns(self) -> int:
        """Time in ns since the box came up."""

    @abstractmethod
    def advance(self, to_ns: int) -> None:
        """Let time pass until `to_ns` (ns since the box came up).

        Raises:
            ValueError: `to_ns` lies in the past.
        """

    @abstractmethod
    def receive(self, port: str, data: bytes) -> None:
        """Take bytes that arrive at a stream port now.

        Raises:
            KeyError: There is no such stream port.
        """

    @abstractmethod
    def take(self, port: str) -> bytes:
        """Return, once, the bytes that a stream port has to send.

        Raises:
            KeyError: There is no such stream port.
        """

    def has_output(self, port: str) -> bool | None:  # noqa: ARG002 - for a model that knows
        """Return whether a port has something to send; None if that cannot be told, and a wire end has to look often.

        It changes nothing and takes no time. A model that can tell says by `due_ns` when it is to be looked at again
        though nothing comes in; until then its wire ends sleep. A subclass that overrides `take` or `take_messages` and
        not this cannot tell.
        """
        return None

    def receive_message(self, peer: bytes, client_key: str, frames: list[bytes]) -> None:
        """Take one message at the message port: from which connection, under which public key (z85), and its frames.

        Raises:
            KeyError: There is no message port.
        """
        raise KeyError(f"no message port for {len(frames)} frames of {client_key or peer.hex()}")

    def take_messages(self) -> list[Message]:
        """Return, once, the messages that the message port has to send, oldest first."""
        return []

    def note_host_time(self, now_ns: int) -> None:  # noqa: B027 - a device may promise nothing in that time
        """Take note of the time that hosts live in, in ns of their clock.

        The wire end of the message port tells it, before a message and often in between. Emulated time may lag behind:
        what a device promised to a host in seconds it keeps in whichever time they pass first.
        """

    @abstractmethod
    def add_fault(self, fault: str) -> None:
        """Begin the model fault of this name at once.

        Raises:
            ConfigurationError: This model has no such fault.
        """

    def warm(self) -> None:
        """Be as a box that has long been on, temperatures settled.

        Raises:
            ConfigurationError: This model has nothing that warms up.
        """
        raise ConfigurationError(f"{self.serial_number} has nothing that warms up", remedy="Leave `warm` out")

    def lose_power(self) -> None:  # noqa: B027 - a device may be as before when it is back
        """Be as a box whose mains fail. It stays so until somebody switches it on."""

    def forget_secrets(self) -> None:  # noqa: B027 - a device may have none
        """Erase every key: the emulator ends."""

    # --- what a bench asks for: where light goes ----------------------------------------------------------------------

    optical_ports: Sequence[str] = ()
    """Names of the ports that light enters and leaves by; a device that no light meets has none."""

    def through(self, port: str, band: Band) -> tuple[str, float] | None:  # noqa: ARG002 - a device without ports
        """Return the port by which light leaves now that enters by `port`, and the loss in dB; None while it is dark.

        Args:
            port: One of `optical_ports`.
            band: Which light: "quantum", the pulses, or "clock", the bright light that a receiver's clock follows.
        """
        return None

    def note_light(self, powers_dbm: Mapping[str, float]) -> None:  # noqa: B027 - a device may measure none
        """Take note of the light of both bands that enters now: its power in dBm by port, of the ports that are lit."""

    def note_beams(self, beams: Mapping[str, Sequence[Beam]]) -> None:  # noqa: B027 - as `note_light`
        """Take note of the same light source by source, for a device that sees pulses or single photons."""

    def take_place(self, spot: BenchSpot) -> None:
        """Say what this is on a bench: a passage for light if it has optical ports, else something in the dark."""
        if self.optical_ports:
            spot.passage(self)

    # --- what a message end asks for besides bytes (IEEE 488.1: serial poll, device clear, trigger) -------------------

    def due_ns(self) -> int | None:
        """Return when the model next does something unasked, in ns since it came up; None if nobody waits for it."""
        return None

    def host_due_ns(self) -> int | None:
        """Return when something that was promised to a host is due, in ns of `note_host_time`; None if nothing is."""
        return None

    @property
    def occupied(self) -> bool:
        """Whether a message that was taken still has to be carried out, so that the next one's reply would wait."""
        return False

    def status_byte(self, *, message_available: bool) -> int:
        """Return the status byte as a serial poll finds it, with the master summary status in bit 6."""
        return 0x10 if message_available else 0

    def clear_device(self) -> None:  # noqa: B027 - a device may have nothing to clear
        """Forget input that was not parsed and output that was not sent (IEEE 488.2, 5.8); nothing else changes."""

    def trigger(self) -> None:  # noqa: B027 - a device may know none
        """Do what a group execute trigger does."""

    def query_error(self, code: int) -> None:  # noqa: B027 - a device may have no error queue
        """Take note that a reply was not read (-410), that there was none (-420), or of a misplaced trigger (-105)."""
