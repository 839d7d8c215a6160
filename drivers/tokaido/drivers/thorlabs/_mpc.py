"""The Thorlabs MPC220 and MPC320 motorized paddles: docs/protocols/thorlabs-mpc.md."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar, Final, NamedTuple

import tokaido.hal as hal
from tokaido.drivers.thorlabs._apt import QUESTIONS, AptCodec
from tokaido.hal.driver import Answer, Codec, LineDevice, measured, unsupported, whole_in

if TYPE_CHECKING:
    from collections.abc import Mapping

MODELS: Final = re.compile("MPC[0-9]{3}.*", re.IGNORECASE)
COUNTS: Final = 1370
"""The whole way of a paddle in counts."""
DEGREES: Final = 170.0
"""The same in degrees."""
MOST_PADDLES: Final = 3
MOVING: Final = 0x10 | 0x20 | 0x40 | 0x80 | 0x200
ENABLED: Final = 0x8000_0000
STOP_AT_ONCE: Final = 1


class Status(NamedTuple):
    """What a paddle tells of itself."""

    counts: int
    velocity: int
    current_ma: int
    bits: int

    @property
    def moving(self) -> bool:
        """Whether it moves."""
        return bool(self.bits & MOVING) or (self.velocity != 0 and self.current_ma != 0)


class Paddle(hal.Retarder):
    """One motorized paddle, 0 to 170 degrees."""

    _device: PolarizationController

    position = measured(float, "position", unit="deg", absolute=(-1, 171))
    """Measure the angle of the paddle, in steps of 0.12 degrees."""

    @property
    def limits(self) -> tuple[float, float]:
        """0 to 170 degrees."""
        return 0.0, DEGREES

    def moving(self) -> bool:
        """Ask whether it moves."""
        return self._device._status(self._prefix).moving

    def _start(self, position: float) -> None:
        self._enable()
        self._device._command(f"MOT_MOVE_ABSOLUTE {self._prefix} {round(position * COUNTS / DEGREES)}")

    def _enable(self) -> None:
        """Enable all paddles if this one is not enabled: the command disables those that it does not name."""
        if not self._device._status(self._prefix).bits & ENABLED:
            every = sum(1 << i for i in range(len(self._device.retarders)))
            self._device._command(f"MOD_SET_CHANENABLESTATE {every} 1")


class PolarizationController(hal.PolarizationController, LineDevice):
    """A Thorlabs MPC220 or MPC320: two or three motorized paddles on a serial line of USB."""

    resource_kinds: ClassVar[Mapping[str, frozenset[str]]] = {"control": frozenset({"serial"})}
    serial_line: ClassVar[Mapping[str, str]] = {"baudrate": "115200", "rtscts": "1"}
    protocol: ClassVar[str] = "Thorlabs APT"
    capabilities = frozenset({hal.PolarizationCapability.HOME, hal.PolarizationCapability.STOP})

    scrambling = unsupported(bool, "its paddles go where they are told and nowhere else")
    """Not here: no message starts a scrambler."""

    _paddles: tuple[Paddle, ...] = ()

    @classmethod
    def asks(cls, text: str) -> bool:
        """Return whether a text names a message that only asks."""
        return text.split(" ", maxsplit=1)[0] in QUESTIONS

    @property
    def retarders(self) -> tuple[Paddle, ...]:
        """The paddles, from number 1 on, as many as the box told when it was opened."""
        return self._paddles

    def home(self) -> None:
        """Move every paddle to its home position, which the box keeps, and return when it is there."""
        for paddle in self._paddles:
            paddle._enable()
            self._command(f"MOT_MOVE_HOME {paddle._prefix}")
        home = whole_in(self._query("POL_REQ_PARAMS").split(",")[2]) * DEGREES / COUNTS
        self._await(lambda: all(abs(at - home) <= self.tolerance for at in self.positions()), "home")

    def stop(self) -> None:
        """Stop every paddle at once where it is, and return when nothing moves."""
        for paddle in self._paddles:
            self._command(f"MOT_MOVE_STOP {paddle._prefix} {STOP_AT_ONCE}")
        self._await(lambda: True, "stop")

    def identity(self) -> hal.Identity:
        """Get model, serial number and firmware. Any of them that is odd is a `ProtocolError`."""
        return self._read("HW_REQ_INFO", _identity)

    def _codec(self) -> Codec:
        return AptCodec()

    def _learn(self, found: hal.Identity) -> None:
        channels = self._read("HW_REQ_INFO", lambda text: whole_in(text.rsplit(",", 1)[1]))
        if not MODELS.fullmatch(found.model) or not 1 <= channels <= MOST_PADDLES:
            raise hal.WrongDeviceError(
                f"found a {found.model} of {channels} channels, which is not an MPC220 or MPC320",
                device=self.name,
                remedy="Check the cabling and the resource",
            )
        self._paddles = tuple(Paddle(self, f"retarders[{i}]", str(1 << i)) for i in range(channels))

    def _status(self, channel: str) -> Status:
        return self._read(f"MOT_REQ_USTATUSUPDATE {channel}", _status)

    def _ask(self, command: str) -> Answer:
        return Answer(repr(self._status(command.removesuffix("position")).counts * DEGREES / COUNTS))


def _status(text: str) -> Status:
    _, counts, velocity, current_ma, bits = (whole_in(field) for field in text.split(","))
    return Status(counts, velocity, current_ma, bits)


def _identity(text: str) -> hal.Identity:
    serial_number, model, _, minor, interim, major, *_ = text.split(",")
    if not model or not int(serial_number):
        raise ValueError(f"a box without a model or a serial number: {text[:40]!r}")
    return hal.Identity("Thorlabs", model, serial_number, f"{major}.{interim}.{minor}")
