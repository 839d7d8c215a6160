"""Golden transcripts, what a user does in them, and a peer that knows nothing but one of them."""

from __future__ import annotations

import os
import select
import socket
import threading
import tomllib
import tty
from dataclasses import astuple, is_dataclass
from enum import Enum
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest

import tokaido.hal as hal
from tokaido.hal.transports import StreamTransport

TRANSCRIPTS = Path(__file__).parents[2] / "transcripts"
VERBS = ("open", "get", "set", "ask", "do", "say")


def load(name: str) -> dict[str, Any]:
    """Return one transcript, for example "toshiba/transmitter-off"."""
    return tomllib.loads((TRANSCRIPTS / f"{name}.toml").read_text(encoding="ascii"))


def driver_steps(transcript: dict[str, Any], verbs: tuple[str, ...] = VERBS) -> list[list[dict[str, Any]]]:
    """Return the exchanges of the driver, one list for each step, without those for the emulator alone."""
    steps: list[list[dict[str, Any]]] = []
    for exchange in transcript["exchange"]:
        if any(verb in exchange for verb in verbs):
            steps.append([exchange])
        elif exchange.get("same"):
            steps[-1].append(exchange)
    return steps


def perform(device: hal.Device, step: dict[str, Any]) -> object:
    """Do what a user of the driver does in one step."""
    owner: hal.Device | hal.Part = part(device, step["part"]) if "part" in step else device
    if "get" in step:
        return getattr(owner, step["get"])
    if "set" in step:
        value = type(owner).values()[step["set"]]
        to = value.kind(step["to"]) if issubclass(value.kind, Enum) else step["to"]
        setattr(owner, step["set"], to)
        return None
    if "ask" in step:
        return getattr(owner, step["ask"])()
    if "say" in step:
        assert isinstance(device.transport, StreamTransport)
        return device.transport.query(step["say"])
    return getattr(owner, step["do"])(*step.get("args", ()), **step.get("options", {}))


def part(device: hal.Device, where: int | str) -> hal.Part:
    """Return a part by its place among all parts, or by its path such as "detectors[0]"."""
    if isinstance(where, int):
        return device.parts[where]
    return next(part for part in device.parts if part.path == where)


def written(value: Any) -> Any:
    """Return what a driver gave as a transcript would write it: lists, words and numbers."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, hal.Telemetry):
        return {path: written(reading.value) for path, reading in value.items() if reading.value is not None}
    if is_dataclass(value) and not isinstance(value, type):
        return [written(field) for field in astuple(value)]
    if isinstance(value, (list, tuple)):
        return [written(item) for item in value]
    return value


def follow(device: hal.Device, steps: list[list[dict[str, Any]]], peer: LinePeer) -> None:
    """Do every step on a device, and compare what it gives and what it sent with the transcript."""
    for step in (exchanges[0] for exchanges in steps):
        if "raises" in step:
            with pytest.raises(getattr(hal, step["raises"])) as caught:
                perform(device, step)
            if "code" in step:
                assert caught.value.code == step["code"], step
            continue
        got = perform(device, step)
        if "returns" in step:
            assert written(got) == step["returns"], step
        assert peer.unexpected == []


class LinePeer:
    """Answers the lines of a transcript, in order, byte for byte and with its line endings, and nothing else.

    It is on a pty or on a TCP socket; a client that hangs up may connect again, one at a time.
    """

    def __init__(self, exchanges: list[dict[str, Any]], endings: dict[str, str], *, tcp: bool = False) -> None:
        self._exchanges = list(exchanges)
        self._end = endings["send"].encode("ascii")
        self._start = endings.get("start", "").encode("ascii")
        self._reply_end = endings["reply"].encode("ascii")
        self.unexpected: list[str] = []
        self._stop = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0)) if tcp else None
        self._slave = -1
        if self._listener is not None:
            self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
            self._master = -1
        else:
            self._master, self._slave = os.openpty()
            tty.setraw(self._slave)
            self.address = os.ttyname(self._slave)
        self._thread = threading.Thread(target=self._serve, daemon=True)

    @property
    def left_over(self) -> list[str]:
        """What the transcript still expects to be sent."""
        return [exchange["send"] for exchange in self._exchanges]

    def _serve(self) -> None:
        pending = b""
        while not self._stop.is_set():
            if self._master < 0 and self._listener is not None:
                if select.select([self._listener], [], [], 0.02)[0]:
                    self._master = self._listener.accept()[0].detach()
                    pending = b""
                continue
            if not select.select([self._master], [], [], 0.02)[0]:
                continue
            try:
                heard = os.read(self._master, 65_536)
            except OSError:
                heard = b""
            if not heard:
                if self._listener is None:
                    return
                os.close(self._master)
                self._master = -1
            pending += heard
            while self._end in pending:
                line, _, pending = pending.partition(self._end)
                self._answer(line.decode("ascii"))

    def _answer(self, line: str) -> None:
        if not self._exchanges or self._exchanges[0]["send"] != line:
            self.unexpected.append(line)
            return
        for reply in self._exchanges.pop(0)["reply"]:
            self.say(reply)

    def say(self, reply: str) -> None:
        """Send one line."""
        os.write(self._master, self._start + reply.encode("ascii") + self._reply_end)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        for descriptor in (self._master, self._slave):
            if descriptor >= 0:
                os.close(descriptor)
        if self._listener is not None:
            self._listener.close()


class ReplayPeer(LinePeer):
    """A Toshiba-style console on a pty; a CAN that precedes a line is left out."""

    def __init__(self, exchanges: list[dict[str, Any]]) -> None:
        super().__init__(exchanges, {"send": "\r", "reply": "\r\n"})
        self.port = self.address

    def _answer(self, line: str) -> None:
        super()._answer(line.lstrip("\x18"))
