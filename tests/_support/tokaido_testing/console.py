"""A program at a Toshiba-style console, written from the page alone: it seals, sends, and reads what comes back."""

from __future__ import annotations

import zlib
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokaido.emulators import DeviceModel


def seal(serial_number: str, body: str) -> str:
    return f"{body}*{zlib.crc32((serial_number + body).encode()):08X}"


class Program:
    """Talks to a device model in process, line by line."""

    def __init__(self, model: DeviceModel) -> None:
        self.model = model
        self._ids = count(0xA00000)
        self.alarms: list[str] = []

    def line(self, text: str, ending: str = "\r") -> list[str]:
        """Send a line as it is and return the lines that come back."""
        self.model.receive("control", (text + ending).encode("latin-1"))
        return self.read()

    def read(self) -> list[str]:
        """Return the lines that the unit sent; alarm lines are noted too."""
        lines = self.model.take("control").decode().split("\r\n")
        if lines[-1] == "":
            lines.pop()
        self.alarms += [line for line in lines if line.startswith("!")]
        return lines

    def ask(self, command: str) -> str:
        """Send a sealed request and return its reply without id and seal, the seal checked."""
        request = f"{next(self._ids):06X}"
        serial = "" if command == "IDN?" else self.model.serial_number
        replies = [line for line in self.line(seal(serial, f"#{request} {command}")) if line.startswith("=")]
        assert len(replies) == 1, replies
        body = replies[0].rpartition("*")[0]
        assert replies[0] == seal(serial, body)
        assert body[1:7] == request
        return body[8:]

    def data(self, command: str) -> str:
        """Send a request that must succeed and return its data."""
        reply = self.ask(command)
        assert reply.startswith("OK"), reply
        return reply[3:]

    def active(self) -> set[str]:
        """Codes of the active alarms."""
        return {entry.split(",")[0] for entry in self.data("ALM?").split(";")[1:]}

    def pass_time(self, seconds: float) -> None:
        self.model.advance(self.model.now_ns + round(seconds * 1e9))
