"""Golden transcripts of switches, and a peer on a pty or a TCP socket that knows nothing but one of them."""

from __future__ import annotations

import os
import select
import socket
import threading
import tty
from types import TracebackType
from typing import Any, Self

import tokaido.hal as hal


class LinePeer:
    """Answers the lines of a transcript, in order, byte for byte and with its line endings, and nothing else."""

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
            self.port = int(self._listener.getsockname()[1])
            self.address = f"127.0.0.1:{self.port}"
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
        while self._listener is not None and self._master < 0 and not self._stop.is_set():
            if select.select([self._listener], [], [], 0.02)[0]:
                self._master = self._listener.accept()[0].detach()
        pending = b""
        while not self._stop.is_set():
            if not select.select([self._master], [], [], 0.02)[0]:
                continue
            try:
                heard = os.read(self._master, 65_536)
            except OSError:
                return
            if not heard:
                return
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


def port(text: str) -> hal.SwitchPort:
    """Return the port that "in 2" or "out 18" names."""
    side, number = text.split()
    return hal.SwitchPort(hal.Side(side), int(number))


def argument(given: object, verb: str) -> Any:
    """Return what a step of a transcript hands to a driver's method."""
    if isinstance(given, str):
        return hal.BootMode(given) if verb == "set_boot_mode" else port(given)
    if isinstance(given, list):
        return dict(given)
    return given


def plain(value: Any) -> Any:
    """Return what a driver gave as a transcript would write it."""
    if isinstance(value, hal.Identity):
        return [value.vendor, value.model, value.serial_number, value.firmware]
    if isinstance(value, dict):
        return [[plain(key), plain(item)] for key, item in sorted(value.items(), key=lambda item: order(item[0]))]
    if isinstance(value, hal.SwitchPort):
        return str(value)
    if isinstance(value, hal.Reading):
        return value.value
    return value.value if isinstance(value, (hal.BootMode, hal.PortState)) else value


def order(key: Any) -> tuple[str, int]:
    """Order ports by side and number, and inputs by number."""
    return (key.side.value, key.number) if isinstance(key, hal.SwitchPort) else ("", key)
