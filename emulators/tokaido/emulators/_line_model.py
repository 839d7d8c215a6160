"""A box that takes one command a line and answers some of them: what the small switches have in common."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar, Final

from tokaido.emulators._model import DeviceModel
from tokaido.hal import ConfigurationError

MAX_LINE: Final = 256
"""Longest line in bytes; a longer one is thrown away to its end."""


class LineModel(DeviceModel):
    """Lines in, lines out, on one serial port; a subclass answers them.

    Args:
        serial_number: Default: `SERIAL_NUMBER` of the class.
    """

    STREAM_PORTS = ("control",)
    wire_ends = ("pty", "emu")
    BAUD_RATE = 115200
    SERIAL_NUMBER: ClassVar[str]
    COMMAND_END: ClassVar[bytes]
    """The one byte that ends a command."""
    IGNORED: ClassVar[bytes] = b""
    """Bytes that count for nothing wherever they stand."""
    REPLY_BEGIN: ClassVar[bytes] = b""
    REPLY_END: ClassVar[bytes] = b"\r\n"

    def __init__(self, serial_number: str | None) -> None:
        self.serial_number = self.SERIAL_NUMBER if serial_number is None else serial_number
        self.provoked: set[str] = set()
        """Model faults that are present; see `FAULTS`."""
        self._now_ns = 0
        self._line = bytearray()
        self._out = bytearray()

    @abstractmethod
    def _answer(self, line: str) -> str:
        """Carry out a command and return its reply; empty for silence."""

    @property
    def now_ns(self) -> int:
        """Time in ns since the box came up."""
        return self._now_ns

    def advance(self, to_ns: int) -> None:
        """Let time pass until `to_ns`; raises ValueError for the past."""
        if to_ns < self._now_ns:
            raise ValueError(f"{to_ns} ns lies in the past of {self._now_ns} ns")
        self._now_ns = to_ns

    def receive(self, port: str, data: bytes) -> None:
        """Take bytes; `COMMAND_END` ends a command."""
        if port not in self.STREAM_PORTS:
            raise KeyError(port)
        end = self.COMMAND_END[0]
        for byte in data:
            if byte in self.IGNORED:
                continue
            if byte != end:
                self._line.append(byte)
                del self._line[MAX_LINE + 1 :]
                continue
            line, self._line = bytes(self._line), bytearray()
            if line.strip() and (reply := self._answer(line.removesuffix(b"\r").decode("latin-1"))):
                self._out += self.REPLY_BEGIN + reply.encode("latin-1") + self.REPLY_END

    def take(self, port: str) -> bytes:
        """Return, once, what it has to send."""
        if port not in self.STREAM_PORTS:
            raise KeyError(port)
        sent = bytes(self._out)
        self._out.clear()
        return sent

    def has_output(self, port: str) -> bool:
        """Return whether it has something to send."""
        return port in self.STREAM_PORTS and bool(self._out)

    def add_fault(self, fault: str) -> None:
        """Begin a model fault."""
        if fault not in self.FAULTS:
            raise ConfigurationError(f"no fault is called {fault!r}", remedy=f"Choose one of: {', '.join(self.FAULTS)}")
        self.provoked.add(fault)
