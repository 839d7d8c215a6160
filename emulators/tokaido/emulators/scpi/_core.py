"""How a SCPI instrument works through its messages (IEEE 488.2-1992 chapter 6)."""

from __future__ import annotations

from abc import abstractmethod
from collections import deque
from typing import TYPE_CHECKING, ClassVar, Final

from tokaido.emulators._model import DeviceModel
from tokaido.emulators.scpi._status import OPC, Dialect, ErrorQueue, ScpiError, Status, event_bit
from tokaido.emulators.scpi._syntax import CommandTree, Parameters, parse_unit, split
from tokaido.hal import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tokaido.emulators._secrets import Secrets

MAX_INPUT: Final = 64 * 1024
"""Longest message in bytes; more without a terminator is an input buffer overrun."""
MAX_OUTPUT: Final = 1024 * 1024
"""Longest reply to one message in bytes; more is a deadlock (IEEE 488.2, 6.3.1.7)."""


class ScpiCore(DeviceModel):
    """Takes messages apart, executes them in order, and keeps the status; it knows no command yet.

    Args:
        serial_number: Default: `SERIAL_NUMBER` of the class.
        seed: For what is random.
        secrets: Where secrets come from; it has none.
    """

    STREAM_PORTS = ("control",)
    wire_ends: ClassVar[Sequence[str]] = ("tcp", "hislip", "visa", "pty", "emu", "asrl")
    dialect: ClassVar[Dialect] = Dialect()
    max_input: ClassVar[int] = MAX_INPUT
    SERIAL_NUMBER: ClassVar[str] = "000001"
    _tree: ClassVar[CommandTree]

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        cls._tree = CommandTree(cls)

    def __init__(self, serial_number: str | None = None, *, seed: int = 0, secrets: Secrets = "os") -> None:
        self.serial_number = self.SERIAL_NUMBER if serial_number is None else serial_number
        self.seed = seed
        self.insecure = secrets == "seeded"
        self.status = Status(ErrorQueue(self.dialect))
        """Status registers and error queue."""
        self.reply_separator = self.dialect.join
        """What stands between the replies to the queries of one message."""
        self.provoked: set[str] = set()
        """Model faults that are present; see `FAULTS`."""
        self._now_ns = 0
        self._busy_until_ns = 0
        self._busy = False
        self._opc_armed = False
        self._input = bytearray()
        self._overrun = False
        self._messages: deque[str] = deque()
        self._units: deque[str] | None = None  # what is left of the message that is being executed
        self._path = ""
        self._replies: list[str] = []
        self._output = bytearray()
        self.reset()

    # --- what a model declares --------------------------------------------------------------------------------------

    @abstractmethod
    def reset(self) -> None:
        """Take the state that *RST gives (IEEE 488.2, 10.32); also called when the instrument comes up."""

    @abstractmethod
    def identity(self) -> str:
        """Return the four fields of *IDN?, joined by commas (IEEE 488.2, 10.14)."""

    def self_test(self) -> int:
        """Return 0 if the self-test passes (IEEE 488.2, 10.38)."""
        return 0

    def operation_complete(self) -> None:
        """Take over what the operation that just ended has brought about."""

    def takes_whole(self, message: str) -> bool:  # noqa: ARG002 - for a model that has such messages
        """Take a message that is none of IEEE 488.2 and return whether it was; see `carry_out` and `send_reply`."""
        return False

    def begin_operation(self, duration_ns: int) -> None:
        """Begin an overlapped operation, or lengthen the one that runs: *OPC, *OPC? and *WAI wait for its end."""
        self._busy_until_ns = max(self._busy_until_ns, self._now_ns + duration_ns)
        self._busy = True

    @property
    def busy(self) -> bool:
        """Whether an operation is pending."""
        return self._busy

    # --- what a model may do with a message that it takes whole -----------------------------------------------------

    def carry_out(self, message: str, room: int) -> tuple[list[str], ScpiError | None]:
        """Carry out a message at once, up to its first error, which sets its event bit and is not queued.

        Args:
            message: Nothing in it waits for the end of an operation.
            room: Most characters of its replies, semicolons between them included; more is an error -430.

        Returns:
            The replies up to there, and the error.
        """
        self._path = ""
        replies: list[str] = []
        for unit in split(message, ";"):
            try:
                reply = self._call(unit) if unit.strip() else None
                if reply is not None:
                    room -= len(reply) + 1
                    if room < 0:
                        raise ScpiError(-430)
                    replies.append(reply)
            except ScpiError as error:
                self.status.event |= event_bit(error.code)
                return replies, error
        return replies, None

    def send_reply(self, reply: str) -> None:
        """Send a reply; one that is longer than all that may wait is an error -430 instead."""
        line = reply.encode("latin-1") + self.dialect.terminator
        if len(line) + len(self._output) > MAX_OUTPUT:
            self.query_error(-430)
        else:
            self._output += line

    # --- DeviceModel ------------------------------------------------------------------------------------------------

    @property
    def now_ns(self) -> int:
        """Time in ns since the instrument came up."""
        return self._now_ns

    @property
    def service_request_enable(self) -> int:  # type: ignore[override]
        """Bits of the status byte that request service, as *SRE set them."""
        return self.status.service_enable

    def advance(self, to_ns: int) -> None:
        """Let time pass; what waited for the end of an operation goes on at that very moment."""
        if to_ns < self._now_ns:
            raise ValueError(f"{to_ns} ns lies in the past of {self._now_ns} ns")
        while self._busy and self._busy_until_ns <= to_ns:
            self._now_ns = self._busy_until_ns
            self._end_operation()
        self._now_ns = to_ns

    def due_ns(self) -> int | None:
        """Return when the pending operation ends; a model that does more by itself says that too."""
        return self._busy_until_ns if self._busy else None

    @property
    def occupied(self) -> bool:
        """Whether a message waits for the end of an operation."""
        return self._units is not None or bool(self._messages)

    def receive(self, port: str, data: bytes) -> None:
        """Take bytes; LF, CR or both end a message."""
        if port != "control":
            raise KeyError(port)
        if self._is_one_unit(data):
            message = data[:-1].decode("latin-1")
            if not self.takes_whole(message):
                self._path = ""
                self._execute_unit(message)
                self._finish_message()
            return
        self._input += data
        if b"\n" not in data and b"\r" not in data:
            self._check_overrun()
            return
        *lines, rest = bytes(self._input).replace(b"\r", b"\n").split(b"\n")
        self._input[:] = rest
        for line in lines:
            if self._overrun:  # the end of what was too long
                self._overrun = False
            elif len(line) > self.max_input:
                self.error(-363)
            elif line.strip():
                self._messages.append(line.decode("latin-1"))
        self._check_overrun()
        self._execute()

    def _is_one_unit(self, data: bytes) -> bool:
        """Whether bytes are a whole message of one unit that waits for nothing, as nearly all are: no need to queue."""
        return (
            data.find(b"\n") == len(data) - 1
            and not (self._input or self._overrun or self._busy or self.occupied)
            and 1 < len(data) <= self.max_input
            and b";" not in data
            and b"\r" not in data
            and not data.isspace()
        )

    def take(self, port: str) -> bytes:
        """Return, once, the replies that wait."""
        if port != "control":
            raise KeyError(port)
        if not self._output:
            return b""
        output = bytes(self._output)
        self._output.clear()
        return output

    def has_output(self, port: str) -> bool:
        """Return whether replies wait."""
        return port == "control" and bool(self._output)

    def add_fault(self, fault: str) -> None:
        """Begin a model fault; `provoked` then has it."""
        if fault not in self.FAULTS:
            raise ConfigurationError(f"no fault is called {fault!r}", remedy=f"Choose one of: {', '.join(self.FAULTS)}")
        self.provoked.add(fault)

    def status_byte(self, *, message_available: bool) -> int:
        """Return the status byte with the master summary status in bit 6."""
        return self.status.byte(message_available=message_available or bool(self._output or self._replies))

    def clear_device(self) -> None:
        """Forget input, output and what *OPC, *OPC? and *WAI wait for (IEEE 488.2, 5.8); the operation goes on."""
        self._input.clear()
        self._output.clear()
        self._messages.clear()
        self._replies.clear()
        self._units = None
        self._overrun = self._opc_armed = False

    def trigger(self) -> None:
        """Do nothing; an instrument that has *TRG overrides it."""

    def query_error(self, code: int) -> None:
        """Queue -105, -410 or -420 and forget the output."""
        self._output.clear()
        self.error(code)

    def error(self, code: int, info: str = "", *, text: str | None = None) -> None:
        """Queue an error that no command raised, such as -240 of a motor."""
        self._note(ScpiError(code, info, text=text))

    # --- execution --------------------------------------------------------------------------------------------------

    def _check_overrun(self) -> None:
        if len(self._input) > self.max_input:
            self._input.clear()
            if not self._overrun:
                self.error(-363)
            self._overrun = True

    def _note(self, error: ScpiError) -> None:
        self.status.add_error(error.code, error.message)

    def _end_operation(self) -> None:
        self._busy = False
        self.operation_complete()
        if self._busy:
            return
        if self._opc_armed:
            self._opc_armed = False
            self.status.event |= OPC
        self._execute()

    def _execute(self) -> None:
        """Execute messages until there are none, or one waits for the end of an operation."""
        while True:
            if self._units is None:
                if not self._messages:
                    return
                message = self._messages.popleft()
                if self.takes_whole(message):
                    continue
                self._units = deque(split(message, ";"))
                self._path = ""
            while self._units:
                if self._busy and self._waits(self._units[0]):
                    return
                self._execute_unit(self._units.popleft())
            self._finish_message()

    def _waits(self, unit: str) -> bool:
        word = unit.strip().upper()
        return word in ("*WAI", "*OPC?") or (word == "*OPC" and self.dialect.opc_blocks)

    def _finish_message(self) -> None:
        self._units = None
        if self._replies:
            reply = self.reply_separator.join(self._replies)
            self._replies.clear()
            self.send_reply(reply)

    def _execute_unit(self, text: str) -> None:
        if not text.strip():
            return
        try:
            reply = self._call(text)
        except ScpiError as error:
            self._note(error)
            if -200 < error.code <= -100 and self.dialect.stop_after_command_error and self._units is not None:
                self._units.clear()
            return
        if reply is not None:
            self._replies.append(reply)

    def _call(self, text: str) -> str | None:
        header, arguments = parse_unit(text)
        if header[0] == ":":
            if not self.dialect.leading_colon:
                raise ScpiError(-113, header[:40])
        elif header[0] != "*" and self._path:
            header = f"{self._path}:{header}"
        if header[0] != "*":  # path memory: common commands leave it alone (SCPI-99 volume 1, 6.2.4)
            self._path = header.rpartition(":")[0]
        return self._invoke(header, arguments)

    def _invoke(self, header: str, arguments: tuple[str, ...]) -> str | None:
        """Carry out the command of a whole header and return its reply; a model with more commands overrides it."""
        entry, suffixes = self._tree.find(header)
        if len(arguments) > entry.most:
            raise ScpiError(-108, header[:40])
        if len(arguments) < entry.least:
            raise ScpiError(-109, header[:40])
        reply: str | None = getattr(self, entry.method)(Parameters(arguments, suffixes))
        return reply
