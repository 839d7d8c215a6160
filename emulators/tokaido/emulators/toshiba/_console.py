"""The console of a unit: lines, sealed exchanges for programs, echo for people (docs/protocols/toshiba.md 1-3)."""

from __future__ import annotations

import re
import zlib
from collections import OrderedDict
from typing import TYPE_CHECKING, Protocol

from tokaido.emulators.units import Refusal

if TYPE_CHECKING:
    from tokaido.emulators.units import AlarmChange, State

LINE_TO_UNIT = 256
REMEMBERED = 16
REMEMBERED_NS = 30_000_000_000
_REQUEST = re.compile(r"#([0-9A-F]{6}) ")
_FIELDS = re.compile(r"(\S+)(?: (\S+))?")
_ENDS = b"\r\n"
_CANCEL = 0x18
ERROR_NUMBERS = {
    "CHECKSUM": 10,
    "SYNTAX": 11,
    "TOO_LONG": 12,
    "ID_REUSED": 13,
    "UNKNOWN": 20,
    "ARGUMENT": 21,
    "RANGE": 22,
    "STATE": 30,
    "NO_DATA": 31,
    "REFUSED": 32,
    "INTERNAL": 40,
}
"""The errors of section 3."""
_TOO_LONG = f"a line takes at most {LINE_TO_UNIT} characters"


class ConsoleUnit(Protocol):
    """What the console needs of the unit behind it."""

    serial_number: str

    @property
    def now_ns(self) -> int:
        """Time in ns."""
        ...

    @property
    def state(self) -> State:
        """State, for the prompt."""
        ...

    def carry_out(self, name: str, argument: str | None, *, person: bool) -> str:
        """Carry out one command and return its data.

        Raises:
            Refusal: It was not carried out.
        """
        ...


def seal(serial_number: str, body: str) -> str:
    """Return the eight hexadecimal digits that seal `body` for this box (section 3)."""
    return f"{zlib.crc32((serial_number + body).encode('ascii', 'replace')):08X}"


class Console:
    """Bytes in, bytes out, one exchange at a time."""

    def __init__(self, device: ConsoleUnit) -> None:
        self._device = device
        self._out = bytearray()
        self._alarm_lines: list[str] = []
        self._line = bytearray()
        self._too_long = False
        self._after_cr = False
        self._for_person = False
        self._prompt_shown = False
        self._remembered: OrderedDict[str, tuple[int, str, str]] = OrderedDict()

    def receive(self, data: bytes) -> None:
        """Take bytes from the line."""
        for byte in data:
            if byte == 0x0A and self._after_cr:
                self._after_cr = False
                continue
            self._after_cr = byte == 0x0D
            if byte in _ENDS:
                self._end_line()
            elif byte == _CANCEL:
                self._prompt_shown = self._prompt_shown or self._for_person  # the echo stands there
                self._forget_line()
            elif not self._line and not self._too_long:
                self._begin_line(byte)
            else:
                self._continue_line(byte)

    def take(self) -> bytes:
        """Return what is to be sent; alarm lines never inside a line that a person is typing."""
        if not (self._for_person and self._line):
            self.send_alarms()
        sent = bytes(self._out)
        self._out.clear()
        return sent

    @property
    def has_output(self) -> bool:
        """Whether there is something to send."""
        typing = self._for_person and bool(self._line)
        return bool(self._out) or (bool(self._alarm_lines) and not typing)

    def tell_alarm(self, change: AlarmChange) -> None:
        """Take a change of an alarm, whose line is sent between two lines."""
        kind = change.kind
        self._alarm_lines.append(
            f"!{change.seq & 0xFFFFFF:06X} {change.change} {kind.code} {kind.severity} {kind.text}"
        )

    def send_alarms(self) -> None:
        """Put the alarm lines that wait between the lines."""
        lines, self._alarm_lines = self._alarm_lines, []
        if not lines:
            return
        prompted = self._prompt_shown
        self._leave_prompt()
        for line in lines:
            self._send_sealed(line)
        if prompted:
            self._prompt()

    # --- lines ------------------------------------------------------------------------------------------------------

    def _begin_line(self, byte: int) -> None:
        if byte == 0 or (byte in (0x08, 0x7F) and self._prompt_shown):
            return
        self._for_person = byte != 0x23
        if self._for_person:
            self._prompt_shown = False
        self._continue_line(byte)

    def _continue_line(self, byte: int) -> None:
        if self._for_person and byte in (0x08, 0x7F):
            if self._line:
                self._line.pop()
                self._out += b"\b \b"
                if not self._line:
                    self._prompt_shown = True
            return
        if self._too_long or len(self._line) >= LINE_TO_UNIT:
            self._too_long = True
            return
        self._line.append(byte)
        if self._for_person and 0x20 <= byte <= 0x7E:
            self._out.append(byte)

    def _forget_line(self) -> None:
        self._line.clear()
        self._too_long = False
        self._for_person = False

    def _end_line(self) -> None:
        line, too_long, person = bytes(self._line), self._too_long, self._for_person or not self._line
        self._forget_line()
        if person:
            self._answer_person(line, too_long)
        elif too_long:
            self._leave_prompt()
            self._send_sealed(f"= ERR 12 TOO_LONG {_TOO_LONG}")
        else:
            self._leave_prompt()
            self._answer_program(line)

    def _send(self, line: str) -> None:
        self._out += line.encode("ascii", "replace") + b"\r\n"

    def _send_sealed(self, body: str, serial_number: str | None = None) -> None:
        serial = self._device.serial_number if serial_number is None else serial_number
        self._send(f"{body}*{seal(serial, body)}")

    def _prompt(self) -> None:
        self._out += f"{self._device.serial_number} {self._device.state}> ".encode("ascii")
        self._prompt_shown = True

    def _leave_prompt(self) -> None:
        if self._prompt_shown:
            self._out += b"\r\n"
            self._prompt_shown = False

    # --- for a person -----------------------------------------------------------------------------------------------

    def _answer_person(self, line: bytes, too_long: bool) -> None:
        self._out += b"\r\n"
        self._prompt_shown = False
        try:
            if too_long:
                raise Refusal("TOO_LONG", _TOO_LONG)
            if not all(0x20 <= byte <= 0x7E for byte in line):
                raise Refusal("SYNTAX", "a line holds printable ASCII only")
            words = line.decode("ascii").split()
            if len(words) > 2:
                raise Refusal("SYNTAX", "a command and at most one argument")
            if words:
                argument = words[1] if len(words) == 2 else None
                self._out += self._lines(self._device.carry_out(words[0].upper(), argument, person=True) or "OK")
        except Refusal as refusal:
            self._send(f"error {ERROR_NUMBERS[refusal.name]} {refusal.name}: {refusal.text}")
        self.send_alarms()
        self._prompt()

    @staticmethod
    def _lines(text: str) -> bytes:
        return "".join(f"{line}\r\n" for line in text.split("\n")).encode("ascii", "replace")

    # --- for a program ----------------------------------------------------------------------------------------------

    def _answer_program(self, line: bytes) -> None:
        text = line.decode("latin-1")
        found = _REQUEST.match(text)
        if found is None:
            return
        request = found[1]
        body, _, given = text.rpartition("*")
        serial = "" if body[8:] == "IDN?" else self._device.serial_number
        try:
            right = bool(body) and given == seal(serial, body)
            if not right:
                serial = self._device.serial_number
            if not all(0x20 <= byte <= 0x7E for byte in line):
                raise Refusal("SYNTAX", "a line holds printable ASCII only")
            if not right:
                raise Refusal("CHECKSUM", "the seal does not match")
            reply = self._remembered_reply(request, text)
        except Refusal as refusal:
            self._send_sealed(self._error(request, refusal), serial)
            return
        if reply is None:
            reply = self._exchange(request, body[8:])
            self._remember(request, text, reply)
        self.send_alarms()
        self._send_sealed(reply, serial)

    def _exchange(self, request: str, command: str) -> str:
        fields = _FIELDS.fullmatch(command)
        try:
            if fields is None or "*" in command:
                raise Refusal("SYNTAX", "a command and at most one argument, one space between")
            data = self._device.carry_out(fields[1], fields[2], person=False)
        except Refusal as refusal:
            return self._error(request, refusal)
        return f"={request} OK {data}" if data else f"={request} OK"

    @staticmethod
    def _error(request: str, refusal: Refusal) -> str:
        return f"={request} ERR {ERROR_NUMBERS[refusal.name]} {refusal.name} {refusal.text}"

    # --- repeats ----------------------------------------------------------------------------------------------------

    def _remembered_reply(self, request: str, text: str) -> str | None:
        now_ns = self._device.now_ns
        while self._remembered:
            oldest = next(iter(self._remembered))
            if now_ns - self._remembered[oldest][0] < REMEMBERED_NS:
                break
            del self._remembered[oldest]
        if request not in self._remembered:
            return None
        _, before, reply = self._remembered[request]
        if before != text:
            raise Refusal("ID_REUSED", "the id was used for another request less than 30 s ago")
        return reply

    def _remember(self, request: str, text: str, reply: str) -> None:
        self._remembered[request] = (self._device.now_ns, text, reply)
        while len(self._remembered) > REMEMBERED:
            self._remembered.popitem(last=False)
