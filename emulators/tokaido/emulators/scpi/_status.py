"""Status reporting of a SCPI instrument: registers, error queue, and how the dialects of vendors differ.

IEEE 488.2-1992 chapter 11 (status registers) and SCPI-99 volume 1 chapter 9, volume 2 chapter 21.8 (error queue).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final, Literal

ERRORS: Final = {
    0: "No error",
    -100: "Command error",
    -101: "Invalid character",
    -102: "Syntax error",
    -103: "Invalid separator",
    -104: "Data type error",
    -105: "GET not allowed",
    -108: "Parameter not allowed",
    -109: "Missing parameter",
    -113: "Undefined header",
    -114: "Header suffix out of range",
    -170: "Expression error",
    -171: "Invalid expression",
    -200: "Execution error",
    -221: "Settings conflict",
    -222: "Data out of range",
    -224: "Illegal parameter value",
    -230: "Data corrupt or stale",
    -240: "Hardware error",
    -310: "System error",
    -350: "Queue overflow",
    -363: "Input buffer overrun",
    -410: "Query INTERRUPTED",
    -420: "Query UNTERMINATED",
    -430: "Query DEADLOCKED",
}
"""Texts of the error numbers of SCPI-99 volume 2, 21.8, that emulated instruments use."""

OPC, RQC, QYE, DDE, EXE, CME, URQ, PON = (1 << bit for bit in range(8))
"""Bits of the standard event status register (IEEE 488.2, 11.5.1)."""
ERROR_QUEUE: Final = 1 << 2
QUESTIONABLE: Final = 1 << 3
MAV: Final = 1 << 4
ESB: Final = 1 << 5
MSS: Final = 1 << 6
OPERATION: Final = 1 << 7
"""Bits of the status byte (IEEE 488.2, 11.2; SCPI-99 volume 1, 9)."""


class ScpiError(Exception):
    """What a command handler raises: the error goes into the queue and the command has no reply.

    Args:
        code: An SCPI error number, or a positive one of the device.
        info: Device-dependent text, appended after a semicolon (SCPI-99 volume 2, 21.8.1).
        text: Text of an error that is not among `ERRORS`.
    """

    def __init__(self, code: int, info: str = "", *, text: str | None = None) -> None:
        message = text if text is not None else ERRORS.get(code, "Device-specific error")
        self.code = code
        self.message = f"{message};{info}" if info else message
        super().__init__(f"{code}, {self.message}")


@dataclass(frozen=True, slots=True)
class Dialect:
    """What instruments that all speak SCPI do differently."""

    error_format: str = '{code},"{text}"'
    """Reply to SYST:ERR?. Polatis '{code}, "{text}"', Keysight '{code:+d},"{text}"', DiCon '{code:+d}, {text}'."""
    no_error: str = "No error"
    queue_size: int = 20
    overflow: Literal["replace_last", "drop_new"] = "replace_last"
    """A full error queue: -350 in place of the last entry (SCPI), or new errors are lost (DiCon MXS-9100)."""
    terminator: bytes = b"\n"
    """Ends every reply."""
    join: str = ";"
    """Between the replies to one message (IEEE 488.2, 8.4.1)."""
    version: str = "1999.0"
    """Reply to SYST:VERS?."""
    reset_clears_errors: bool = False
    """Whether *RST empties the error queue, as Keysight's does; IEEE 488.2, 10.32, says no."""
    opc_blocks: bool = False
    """Whether *OPC waits like *WAI, as Keysight's does."""
    leading_colon: bool = True
    """Whether a header may begin with a colon; DiCon's GP600 refuses it."""
    stop_after_command_error: bool = False
    """Whether the rest of a message is thrown away after an error -1xx (IEEE 488.2, 6.1.6.1.1, allows both)."""


def event_bit(code: int) -> int:
    """Return the bit of the standard event status register that an error sets (SCPI-99 volume 2, 21.8.2)."""
    if code == 0:
        return 0
    if -200 < code <= -100:
        return CME
    if -300 < code <= -200:
        return EXE
    if -500 < code <= -400:
        return QYE
    return DDE


class ErrorQueue:
    """First in, first out; when it is full the dialect decides what is lost."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._entries: deque[tuple[int, str]] = deque()

    def __len__(self) -> int:
        return len(self._entries)

    def push(self, code: int, text: str) -> int:
        """Queue an error and return the number that was queued, 0 if it was lost."""
        if len(self._entries) < self._dialect.queue_size:
            self._entries.append((code, text))
            return code
        if self._dialect.overflow == "drop_new":
            return 0
        self._entries[-1] = (-350, ERRORS[-350])
        return -350

    def pop(self) -> str:
        """Return the oldest error as SYST:ERR? replies it, and forget it."""
        code, text = self._entries.popleft() if self._entries else (0, self._dialect.no_error)
        return self._dialect.error_format.format(code=code, text=text)[:255]

    def pop_code(self) -> int:
        """Return the number of the oldest error, 0 if there is none, and forget it."""
        return self._entries.popleft()[0] if self._entries else 0

    def clear(self) -> None:
        """Forget every error."""
        self._entries.clear()


@dataclass(slots=True)
class Register:
    """A SCPI status register set with positive transitions (SCPI-99 volume 1, 9.1): 16 bits, bit 15 always 0."""

    condition: int = 0
    event: int = 0
    enable: int = 0

    @property
    def summary(self) -> bool:
        """Whether an enabled event was latched."""
        return bool(self.event & self.enable)

    def set(self, bit: int, *, on: bool) -> None:
        """Set or clear one bit of the condition; setting it latches the event."""
        mask = 1 << bit
        if on and not self.condition & mask:
            self.event |= mask
        self.condition = self.condition | mask if on else self.condition & ~mask

    def read_event(self) -> int:
        """Return the event register and clear it."""
        event, self.event = self.event, 0
        return event


@dataclass(slots=True)
class Status:
    """Every status register of one instrument (IEEE 488.2, figure 11-1)."""

    errors: ErrorQueue
    event: int = PON
    event_enable: int = 0
    service_enable: int = 0
    operation: Register = field(default_factory=Register)
    questionable: Register = field(default_factory=Register)

    def add_error(self, code: int, text: str) -> None:
        """Queue an error and set its event bit; an overflow sets its own too. A string is ASCII (IEEE 488.2, 8.7.8)."""
        said = "".join(sign if sign.isascii() and sign.isprintable() else "?" for sign in text)
        self.event |= event_bit(code)
        self.event |= event_bit(self.errors.push(code, said))

    def byte(self, *, message_available: bool) -> int:
        """Return the status byte as *STB? has it, with the master summary in bit 6 (IEEE 488.2, 11.2.2)."""
        byte = ERROR_QUEUE if len(self.errors) else 0
        byte |= QUESTIONABLE if self.questionable.summary else 0
        byte |= MAV if message_available else 0
        byte |= ESB if self.event & self.event_enable else 0
        byte |= OPERATION if self.operation.summary else 0
        return byte | (MSS if byte & self.service_enable & ~MSS else 0)

    def read_event(self) -> int:
        """Return the standard event status register and clear it."""
        event, self.event = self.event, 0
        return event

    def clear(self) -> None:
        """Clear every event and the error queue, but no enable register (IEEE 488.2, 10.3)."""
        self.event = self.operation.event = self.questionable.event = 0
        self.errors.clear()

    def preset(self) -> None:
        """Clear the enable registers of the SCPI register sets (SCPI-99 volume 2, 20.6)."""
        self.operation.enable = self.questionable.enable = 0
