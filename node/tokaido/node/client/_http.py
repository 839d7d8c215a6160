"""One answer of HTTP/1.1 (RFC 9112), read as it comes, for a client that asks once on each connection."""

from __future__ import annotations

import re
from typing import Final

from tokaido.hal import ProtocolError

LONGEST: Final = 8 << 20
"""Longest answer that is read, in bytes."""
PIECE: Final = 1 << 16
_LONGEST_HEAD: Final = 1 << 16
_MOST_INTERIM: Final = 8

_STATUS: Final = re.compile(rb"HTTP/1\.[01] ([1-5][0-9]{2})(?: [^\r\n]*)?")
_FIELD: Final = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\r\n\0]*?)[ \t]*")
_CHUNK: Final = re.compile(rb"([0-9A-Fa-f]{1,7})[ \t]*(?:;[^\r\n]*)?")


class BrokenError(Exception):
    """What came is no answer of HTTP/1.1, or not a whole one."""


def request(verb: str, host: str, path: str, headers: dict[str, str], body: bytes | None) -> bytes:
    """Return a request, whole."""
    told = {"Host": host, **headers} | ({} if body is None else {"Content-Length": str(len(body))})
    lines = [f"{verb} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in told.items()), "", ""]
    return "\r\n".join(lines).encode("ascii") + (body or b"")


class Answer:
    """What has come of one answer."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        """By names in small letters; of several of a name, the last."""
        self.body = bytearray()
        self.complete = False
        self._rest = bytearray()
        self._interim = 0
        self._step = self._head
        self._left: int | None = None

    def feed(self, data: bytes | memoryview) -> None:
        """Take what came next.

        Raises:
            BrokenError: It is not HTTP/1.1.
            ProtocolError: It is longer than any answer should be.
        """
        self._rest += data
        while not self.complete and self._step():
            pass

    def end(self) -> None:
        """Take it that nothing will follow.

        Raises:
            BrokenError: Something is missing.
        """
        if self._step == self._whole and self._left is None:
            self.complete = True
        if not self.complete:
            raise BrokenError("the answer is not whole")

    def wipe(self) -> None:
        """Overwrite it: it may hold keys."""
        for part in (self.body, self._rest):
            part[:] = bytes(len(part))

    def _head(self) -> bool:
        end = self._rest.find(b"\r\n\r\n")
        if end < 0:
            if len(self._rest) > _LONGEST_HEAD:
                raise BrokenError("the head of the answer has no end")
            return False
        first, *lines = bytes(self._rest[:end]).split(b"\r\n")
        del self._rest[: end + 4]
        status, fields = _STATUS.fullmatch(first), [_FIELD.fullmatch(line) for line in lines]
        if status is None:
            raise BrokenError("the answer is not HTTP/1.1")
        pairs = [(found[1].decode().lower(), found[2].decode("latin-1")) for found in fields if found is not None]
        if len(pairs) < len(fields):
            raise BrokenError("a header of the answer is malformed")
        self.status, self.headers = int(status[1]), dict(pairs)
        if self.status < 200:
            self._interim += 1
            if self._interim > _MOST_INTERIM:
                raise BrokenError("the answer never begins")
            return True
        self._measure([value for name, value in pairs if name == "content-length"])
        return True

    def _measure(self, lengths: list[str]) -> None:
        """Learn how the body ends (RFC 9112, section 6.3)."""
        coding = self.headers.get("transfer-encoding")
        if coding is not None:
            if coding.lower() != "chunked" or lengths:
                raise BrokenError("the answer's length is ambiguous")
            self._step = self._chunk
            return
        if len(set(lengths)) > 1 or any(not text.isascii() or not text.isdigit() or len(text) > 15 for text in lengths):
            raise BrokenError("the answer's length is malformed")
        self._left = int(lengths[0]) if lengths else None
        self._step = self._whole
        self.complete = self._left == 0 or self.status in (204, 304)

    def _whole(self) -> bool:
        self._take()
        self.complete = self._left == 0
        return False

    def _take(self) -> None:
        """Move what belongs to the body, or to a chunk of it."""
        count = len(self._rest) if self._left is None else min(self._left, len(self._rest))
        if len(self.body) + max(count, self._left or 0) > LONGEST:
            raise ProtocolError(f"an answer is longer than {LONGEST} bytes")
        self.body += self._rest[:count]
        self._rest[:count] = bytes(count)
        del self._rest[:count]
        if self._left is not None:
            self._left -= count

    def _line(self) -> bytes | None:
        end = self._rest.find(b"\r\n")
        if end < 0:
            if len(self._rest) > _LONGEST_HEAD:
                raise BrokenError("a line of the answer has no end")
            return None
        line = bytes(self._rest[:end])
        del self._rest[: end + 2]
        return line

    def _chunk(self) -> bool:
        line = self._line()
        if line is None:
            return False
        found = _CHUNK.fullmatch(line)
        if found is None:
            raise BrokenError("a chunk of the answer is malformed")
        self._left = int(found[1], 16)
        self._step = self._in_chunk if self._left else self._trailer
        return True

    def _in_chunk(self) -> bool:
        self._take()
        if self._left or len(self._rest) < 2:
            return False
        if self._rest[:2] != b"\r\n":
            raise BrokenError("a chunk of the answer has another length than it says")
        del self._rest[:2]
        self._step = self._chunk
        return True

    def _trailer(self) -> bool:
        line = self._line()
        self.complete = line == b""
        return bool(line)
