"""APT messages in tests: which of them only ask, and a peer that knows nothing but a transcript of them."""

from __future__ import annotations

import os
import select
from typing import Any

from tokaido_testing.transcripts import LinePeer

ASKING = {0x0005, 0x0210, 0x0211, 0x0490, 0x0531}
"""Ids of the messages that move nothing: questions, and the enabling of paddles that are found disabled."""


def messages(text: str) -> list[int]:
    """Return the ids of the messages in what a trace shows."""
    data = text.encode("ascii").decode("unicode_escape").encode("latin-1")
    found: list[int] = []
    while data:
        found.append(int.from_bytes(data[:2], "little"))
        data = data[6 + (int.from_bytes(data[2:4], "little") if data[4] & 0x80 else 0) :]
    return found


def only_asks(text: str) -> bool:
    """Return whether all messages in what a trace shows only ask."""
    return set(messages(text)) <= ASKING


class HexPeer(LinePeer):
    """Answers the bytes of a transcript, written in hexadecimal digits, in order, on a pty."""

    def __init__(self, exchanges: list[dict[str, Any]]) -> None:
        super().__init__(exchanges, {"send": "", "reply": ""})

    def _serve(self) -> None:
        pending = b""
        while not self._stop.is_set():
            if not select.select([self._master], [], [], 0.02)[0]:
                continue
            pending += os.read(self._master, 65_536)
            while self._exchanges and len(pending) >= len(wanted := bytes.fromhex(self._exchanges[0]["send"])):
                heard, pending = pending[: len(wanted)], pending[len(wanted) :]
                if heard != wanted:
                    self.unexpected.append(heard.hex(" "))
                    break
                for reply in self._exchanges.pop(0)["reply"]:
                    os.write(self._master, bytes.fromhex(reply))
            if pending and not self._exchanges:
                self.unexpected.append(pending.hex(" "))
                pending = b""
