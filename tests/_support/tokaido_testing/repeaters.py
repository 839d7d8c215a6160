"""Repeater nodes in tests: messages of TRN1 by a codec of the tests' own, golden transcripts, a scripted node."""

from __future__ import annotations

import json
import re
import threading
import tomllib
import zlib
from collections import deque
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import msgspec
import zmq

if TYPE_CHECKING:
    from collections.abc import Callable

TRANSCRIPTS = Path(__file__).parents[2] / "transcripts" / "repeater"
ASKS = re.compile(r"\\xa2do\\x..(?:hello|read|status|alarms|events)")
_names = count()


def repeater_only_asks(text: str) -> bool:
    """Return whether a message of TRN1, as a trace shows it, is a question."""
    return ASKS.search(text) is not None


def request(identifier: bytes, body: object) -> bytes:
    """Return a request of TRN1; a body of bytes goes as it is."""
    return _message(b">", identifier, body)


def reply(identifier: bytes, body: object) -> bytes:
    """Return a reply of TRN1; a body of bytes goes as it is."""
    return _message(b"<", identifier, body)


def body_of(message: bytes, mark: bytes = b">") -> tuple[bytes, Any]:
    """Return id and body of a message whose check must be right."""
    identifier, check, content = message[:8], message[8:12], message[12:]
    assert zlib.crc32(mark + identifier + content) == int.from_bytes(check, "big")
    return identifier, msgspec.msgpack.decode(content)


def _message(mark: bytes, identifier: bytes, body: object) -> bytes:
    content = body if isinstance(body, bytes) else msgspec.msgpack.encode(body)
    return identifier + zlib.crc32(mark + identifier + content).to_bytes(4, "big") + content


def transcripts(room: str) -> list[str]:
    """Return the names of the transcripts for "driver" or "emulator"."""
    return [path.stem for path in sorted(TRANSCRIPTS.glob("*.toml")) if load(path.stem).get("only", room) == room]


def load(name: str) -> dict[str, Any]:
    """Return a transcript, with the bodies of its messages as objects."""
    found = tomllib.loads((TRANSCRIPTS / f"{name}.toml").read_text(encoding="utf-8"))
    for step in found["step"]:
        for exchange in step["exchange"]:
            exchange["send"], exchange["reply"] = json.loads(exchange["send"]), json.loads(exchange["reply"])
    return found


class ScriptedNode:
    """A node in this process that says what a test tells it to; use it as a context manager.

    `says` makes of each request, by id and body, the messages that go back.
    """

    def __init__(self, says: Callable[[bytes, Any], list[bytes]]) -> None:
        self.says = says
        self.heard: deque[tuple[bytes, Any]] = deque()
        self.failed: BaseException | None = None
        self.resource = f"zmq:inproc://scripted-node-{next(_names)}"
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._live, daemon=True)
        self._ready = threading.Event()

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(20)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(20)
        if self.failed is not None:
            raise self.failed

    def _live(self) -> None:
        router: Any = zmq.Context.instance().socket(zmq.ROUTER)
        router.linger = 0
        router.bind(self.resource.removeprefix("zmq:"))
        self._ready.set()
        try:
            while not self._stop.is_set():
                if not router.poll(10):
                    continue
                address, message = router.recv_multipart()
                identifier, body = body_of(message)
                self.heard.append((identifier, body))
                for answer in self.says(identifier, body):
                    router.send_multipart([address, answer])
        except BaseException as error:  # noqa: BLE001 - raised again in the test's thread
            self.failed = error
        finally:
            router.close()


HELLO: dict[str, Any] = {
    "ok": True,
    "protocol": "TRN1",
    "vendor": "Tokaido",
    "model": "repeater node",
    "node": "maibara",
    "firmware": "1.0",
    "run": "00112233aabbccdd",
    "emulated": True,
    "capabilities": ["maintenance", "a later one"],
    "name": "host",
    "roles": ["viewer"],
    "links": ["field"],
    "neighbours": ["otsu"],
    "pairs": ["otsu"],
}
