"""Golden transcripts, and a peer on a pty that knows nothing but one of them."""

from __future__ import annotations

import os
import select
import threading
import tomllib
import tty
from pathlib import Path
from types import TracebackType
from typing import Any, Self

TRANSCRIPTS = Path(__file__).parents[2] / "transcripts"


def load(name: str) -> dict[str, Any]:
    """Return one transcript, for example "toshiba/transmitter-off"."""
    return tomllib.loads((TRANSCRIPTS / f"{name}.toml").read_text(encoding="ascii"))


class ReplayPeer:
    """Answers the lines of a transcript, in order and byte for byte, and nothing else."""

    def __init__(self, exchanges: list[dict[str, Any]], ending: bytes = b"\r\n") -> None:
        self._exchanges = list(exchanges)
        self._ending = ending
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        self.port = os.ttyname(self._slave)
        self.unexpected: list[str] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    @property
    def left_over(self) -> list[str]:
        """What the transcript still expects to be sent."""
        return [exchange["send"] for exchange in self._exchanges]

    def _serve(self) -> None:
        pending = b""
        while not self._stop.is_set():
            if not select.select([self._master], [], [], 0.02)[0]:
                continue
            pending += os.read(self._master, 65_536)
            while b"\r" in pending:
                line, _, pending = pending.partition(b"\r")
                self._answer(line.decode("ascii").lstrip("\x18"))

    def _answer(self, line: str) -> None:
        if not self._exchanges or self._exchanges[0]["send"] != line:
            self.unexpected.append(line)
            return
        for reply in self._exchanges.pop(0)["reply"]:
            os.write(self._master, reply.encode("ascii") + self._ending)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        os.close(self._master)
        os.close(self._slave)
