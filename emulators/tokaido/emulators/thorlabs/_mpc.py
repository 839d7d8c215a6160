"""The motorized paddles MPC220 and MPC320: docs/protocols/thorlabs-mpc.md."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, ClassVar, Final, Literal

from tokaido.emulators._model import DeviceModel
from tokaido.hal import ConfigurationError

if TYPE_CHECKING:
    from tokaido.emulators._light import Band
    from tokaido.emulators._secrets import Secrets

COUNTS: Final = 1370
FULL_DEG: Final = 170.0
FASTEST_DEG_S: Final = 400.0
PADDLES: Final = {"MPC220": 2, "MPC320": 3}
LOSS_DB: Final = 0.1
"""What each paddle costs."""
FORGETS_NS: Final = 50_000_000
"""How long the beginning of a message is kept while nothing more comes."""
FORWARD, REVERSE, HOMING, HOMED, ENABLED = 0x10, 0x20, 0x200, 0x400, 0x8000_0000
CURRENT_MA: Final = 40
LONG_DATA: Final = {0x0453: 6, 0x0530: 12}
"""Length of the data of the long messages that it takes."""
SHORT: Final = {0x0005, 0x0210, 0x0211, 0x0443, 0x0465, 0x0490, 0x0531}
Completion = Literal["long", "short", "status"]


class Paddle:
    """One paddle: where it stands, and where it goes to."""

    def __init__(self, channel: int) -> None:
        self.channel = channel
        self.enabled = False
        self.homed = False
        self.homing = False
        self.from_counts = self.to_counts = 0.0
        self.left_ns = 0
        self.moving = False

    def at(self, now_ns: int, counts_s: float) -> float:
        """Return where it stands, in counts."""
        gone = (now_ns - self.left_ns) * 1e-9 * counts_s
        way = self.to_counts - self.from_counts
        return self.to_counts if gone >= abs(way) else self.from_counts + (gone if way > 0 else -gone)

    def due_ns(self, counts_s: float) -> int:
        """Return when it arrives."""
        return self.left_ns + int(abs(self.to_counts - self.from_counts) / counts_s * 1e9) + 1


class PaddlesModel(DeviceModel):
    """An MPC320 or MPC220. Light goes from `in` to `out` and back, and loses 0.1 dB a paddle; nothing is turned.

    Args:
        serial_number: Digits, as the vendor has them.
        seed: It has nothing that is random.
        secrets: It has none.
        model: MPC320 or MPC220.
        velocity: In percent of 400 degrees/s, 10 to 100.
        completion: How it tells the end of a move: a long or a short message 0x0464, or an unasked status.

    Raises:
        ConfigurationError: There is no such model, velocity or message.
    """

    SERIAL_NUMBER: ClassVar[str] = "38000001"
    STREAM_PORTS = ("control",)
    FAULTS = ("stuck",)  # takes every command and moves nothing
    wire_ends = ("pty", "emu")
    BAUD_RATE = 115200
    optical_ports = ("in", "out")

    def __init__(
        self,
        serial_number: str | None = None,
        *,
        seed: int = 0,  # noqa: ARG002 - every model takes it
        secrets: Secrets = "os",  # noqa: ARG002 - every model takes it
        model: Literal["MPC320", "MPC220"] = "MPC320",
        velocity: int = 100,
        completion: Completion = "long",
    ) -> None:
        if model not in PADDLES or not 10 <= velocity <= 100 or completion not in ("long", "short", "status"):
            raise ConfigurationError(
                f"there is no {model!r} at {velocity!r} % that says {completion!r}",
                remedy="Choose MPC320 or MPC220; 10 to 100; long, short or status",
            )
        self.serial_number = self.SERIAL_NUMBER if serial_number is None else serial_number
        self.model = model
        self.velocity = velocity
        self.completion = completion
        self.home_counts = 0
        self.jog_counts = [10, 10, 10]
        self.paddles = [Paddle(1 << i) for i in range(PADDLES[model])]
        self.provoked: set[str] = set()
        self._now_ns = 0
        self._heard_ns = 0
        self._input = bytearray()
        self._output = bytearray()

    # --- light ------------------------------------------------------------------------------------------------------

    @property
    def positions_deg(self) -> tuple[float, ...]:
        """Where the paddles stand, in degrees."""
        return tuple(round(p.at(self._now_ns, self._counts_s)) * FULL_DEG / COUNTS for p in self.paddles)

    def through(self, port: str, band: Band) -> tuple[str, float] | None:
        """Return the other port and what the paddles cost."""
        del band
        return "out" if port == "in" else "in", LOSS_DB * len(self.paddles)

    # --- DeviceModel ------------------------------------------------------------------------------------------------

    @property
    def now_ns(self) -> int:
        """Time in ns since the box came up."""
        return self._now_ns

    @property
    def _counts_s(self) -> float:
        return self.velocity / 100 * FASTEST_DEG_S * COUNTS / FULL_DEG

    def advance(self, to_ns: int) -> None:
        """Let time pass; raises ValueError for the past."""
        if to_ns < self._now_ns:
            raise ValueError(f"{to_ns} ns lies in the past of {self._now_ns} ns")
        while (due_ns := self.due_ns()) is not None and due_ns <= to_ns:
            self._now_ns = max(self._now_ns, due_ns)
            for paddle in self.paddles:
                if paddle.moving and paddle.due_ns(self._counts_s) <= self._now_ns:
                    self._arrive(paddle)
        self._now_ns = to_ns

    def due_ns(self) -> int | None:
        """Return when the next paddle arrives."""
        return min((p.due_ns(self._counts_s) for p in self.paddles if p.moving), default=None)

    def receive(self, port: str, data: bytes) -> None:
        """Take bytes; bytes that fit no message are thrown away, one by one."""
        if port != "control":
            raise KeyError(port)
        if self._now_ns - self._heard_ns >= FORGETS_NS:
            self._input.clear()
        self._heard_ns = self._now_ns
        self._input += data
        while len(self._input) >= 6:
            message, length, destination, source = struct.unpack_from("<HHBB", self._input)
            is_long = destination == 0xD0 and LONG_DATA.get(message) == length
            if source != 0x01 or not (is_long or (destination == 0x50 and message in SHORT)):
                del self._input[:1]
                continue
            end = 6 + length if is_long else 6
            if len(self._input) < end:
                return
            whole = bytes(self._input[:end])
            del self._input[:end]
            self._carry_out(message, whole)

    def take(self, port: str) -> bytes:
        """Return, once, what it has to send."""
        if port != "control":
            raise KeyError(port)
        sent, self._output = bytes(self._output), bytearray()
        return sent

    def has_output(self, port: str) -> bool:
        """Return whether it has something to send."""
        return port == "control" and bool(self._output)

    def add_fault(self, fault: str) -> None:
        """Begin a model fault."""
        if fault not in self.FAULTS:
            raise ConfigurationError(f"no fault is called {fault!r}", remedy=f"Choose one of: {', '.join(self.FAULTS)}")
        self.provoked.add(fault)

    # --- messages ---------------------------------------------------------------------------------------------------

    def _carry_out(self, message: int, whole: bytes) -> None:
        first, second = whole[2], whole[3]
        match message:
            case 0x0005:
                self._say_who()
            case 0x0210:
                for paddle in self.paddles:
                    paddle.enabled = bool(first & paddle.channel) and second == 1
            case 0x0211:
                for paddle in self._named(first):
                    self._say(0x0212, bytes([first, 1 if paddle.enabled else 2]))
            case 0x0443:
                for paddle in self._named(first):
                    self._go(paddle, self.home_counts, homing=True)
            case 0x0453:
                channel, counts = struct.unpack("<Hi", whole[6:])
                for paddle in self._named(channel):
                    self._go(paddle, min(max(counts, 0), COUNTS))
            case 0x0465:
                for paddle in self._named(first):
                    self._stop(paddle)
            case 0x0490:
                for paddle in self._named(first):
                    self._say(0x0491, data=self._status(paddle))
            case 0x0530:
                _, velocity, home, *jogs = struct.unpack("<6H", whole[6:])
                if 10 <= velocity <= 100 and home <= COUNTS:
                    for paddle in self.paddles:
                        self._hold(paddle)
                    self.velocity, self.home_counts, self.jog_counts = velocity, home, jogs
            case _:
                self._say(0x0532, data=struct.pack("<6H", 0, self.velocity, self.home_counts, *self.jog_counts))

    def _named(self, channel: int) -> list[Paddle]:
        return [paddle for paddle in self.paddles if paddle.channel == channel]

    def _go(self, paddle: Paddle, counts: int, *, homing: bool = False) -> None:
        if not paddle.enabled or "stuck" in self.provoked:
            return
        self._hold(paddle)
        paddle.to_counts, paddle.homing, paddle.moving = counts, homing, True

    def _hold(self, paddle: Paddle) -> None:
        """Let a move begin from where the paddle stands."""
        paddle.from_counts, paddle.left_ns = paddle.at(self._now_ns, self._counts_s), self._now_ns

    def _stop(self, paddle: Paddle) -> None:
        self._hold(paddle)
        paddle.to_counts = paddle.from_counts = float(round(paddle.from_counts))
        paddle.moving = paddle.homing = False
        self._say(0x0466, data=self._status(paddle))

    def _arrive(self, paddle: Paddle) -> None:
        homed, paddle.moving, paddle.homing = paddle.homing, False, False
        paddle.from_counts = paddle.to_counts
        paddle.homed = paddle.homed or homed
        if homed:
            self._say(0x0444, bytes([paddle.channel, 0]))
        elif self.completion == "short":
            self._say(0x0464, bytes([paddle.channel, 0]))
        else:
            self._say(0x0464 if self.completion == "long" else 0x0491, data=self._status(paddle))

    def _status(self, paddle: Paddle) -> bytes:
        way = paddle.to_counts - paddle.from_counts
        moving = paddle.moving and way != 0
        bits = (FORWARD if way > 0 else REVERSE) if moving else 0
        bits |= HOMING if paddle.homing else 0
        bits |= (HOMED if paddle.homed else 0) | (ENABLED if paddle.enabled else 0)
        counts = round(paddle.at(self._now_ns, self._counts_s))
        velocity, current = (self.velocity, CURRENT_MA) if moving else (0, 0)
        return struct.pack("<HiHhI", paddle.channel, counts, velocity, current, bits)

    def _say_who(self) -> None:
        number = int(self.serial_number) if self.serial_number.isdigit() else sum(self.serial_number.encode())
        firmware = bytes([4, 0, 1, 0])
        data = struct.pack(
            "<I8sH4s60xHHH", number & 0xFFFFFFFF, self.model.encode(), 16, firmware, 1, 0, len(self.paddles)
        )
        self._say(0x0006, data=data)

    def _say(self, message: int, parameters: bytes = b"\0\0", data: bytes = b"") -> None:
        if data:
            self._output += struct.pack("<HHBB", message, len(data), 0x81, 0x50) + data
        else:
            self._output += struct.pack("<H2sBB", message, parameters, 0x01, 0x50)
