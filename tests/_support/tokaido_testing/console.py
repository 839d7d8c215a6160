"""Plain clients of a Toshiba-style unit, written from the page alone: at its console, and at its key channel."""

from __future__ import annotations

import json
import secrets
import zlib
from itertools import count
from typing import TYPE_CHECKING, Any

import serial
import zmq

from tokaido.hal.transports import load_curve_public, load_curve_secret

if TYPE_CHECKING:
    from pathlib import Path

    from tokaido.emulators import DeviceModel, Emulator


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


class Host:
    """A host's connection to the key channel of a device model in process."""

    _ids = count(1)

    def __init__(
        self, model: DeviceModel, peer: bytes = b"one", key: str = "client", name: str = "00000000000000aa"
    ) -> None:
        self.model = model
        self.peer = peer
        self.key = key
        self.name = name

    def send(self, *frames: bytes) -> bytes:
        request = next(self._ids).to_bytes(8, "big")
        self.model.receive_message(self.peer, self.key, [request, *frames])
        return request

    def take(self) -> list[tuple[bytes, dict[str, Any], list[bytes]]]:
        return [(f[0], json.loads(f[1]), f[2:]) for peer, f in self.model.take_messages() if peer == self.peer]

    def ask(self, verb: str, *payload: bytes, **members: object) -> dict[str, Any]:
        header = {"verb": verb, "serial_number": self.model.serial_number, "host": self.name, **members}
        request = self.send(json.dumps(header).encode(), *payload)
        replies = [message for message in self.take() if message[0] == request]
        assert len(replies) == 1
        _, reply, self.payload = replies[0]
        assert reply["serial_number"] == self.model.serial_number
        return reply

    def code(self, verb: str, *payload: bytes, **members: object) -> str:
        reply = self.ask(verb, *payload, **members)
        assert reply["ok"] is False
        assert reply["text"]
        return str(reply["code"])


class KeyClient:
    """A plain pyzmq DEALER under CURVE."""

    def __init__(self, unit: Emulator, *, secret: Path | None = None, server: bytes | None = None) -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.socket = self._context.socket(zmq.DEALER)
        self.socket.linger = 0
        pair = load_curve_secret(secret or unit.client_keys.secret)
        self.socket.curve_publickey, self.socket.curve_secretkey = pair.public, pair.secret
        self.socket.curve_serverkey = server or load_curve_public(unit.server_keys.public)
        self.socket.connect(unit.resources["keys"].removeprefix("zmq:").partition("?")[0])
        self.serial_number = unit.serial_number
        self.host = secrets.token_hex(8)

    def ask(self, verb: str, timeout_s: float = 2.0, **members: object) -> dict[str, Any] | None:
        request = secrets.token_bytes(8)
        header = {"verb": verb, "serial_number": self.serial_number, "host": self.host, **members}
        self.socket.send_multipart([request, json.dumps(header).encode()])
        if not self.socket.poll(round(timeout_s * 1000)):
            return None
        frames = self.socket.recv_multipart()
        assert frames[0] == request
        reply: dict[str, Any] = json.loads(frames[1])
        return reply

    def __enter__(self) -> KeyClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()
        self._context.term()


def open_port(unit: Emulator) -> serial.Serial:
    return serial.Serial(str(unit.control.link), 115200, timeout=1)


def ask_port(line: serial.Serial, request: str) -> bytes:
    """Send one sealed request to TKTX0001 and return the line that comes back."""
    line.write((seal("TKTX0001", request) + "\r").encode())
    return bytes(line.read_until(b"\r\n"))
