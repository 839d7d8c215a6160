"""Messages of HTTP/1.1 as RFC 9110 and RFC 9112 have them: writing requests, and reading one response strictly."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, cast

from tokaido.hal._errors import ConfigurationError, ProtocolError

if not TYPE_CHECKING:
    from tokaido.hal._records import dataclass, field

if TYPE_CHECKING:
    from dataclasses import dataclass, field

MAX_HEAD_BYTES: Final = 32_768
"""Longest status line and fields of a response together, in bytes."""
MAX_BODY_BYTES: Final = 4 << 20
"""Longest body of a response, in bytes."""
MAX_FIELDS: Final = 100
MAX_INTERIM: Final = 8
"""Most interim responses (1xx) before the one that counts."""
MAX_SIZE_LINE: Final = 128
"""Longest line that tells the size of a chunk, in bytes."""
_STATUS: Final = re.compile(rb"HTTP/1\.[01] ([1-5][0-9]{2})(?: [\t\x20-\x7e\x80-\xff]*)?")
_FIELD: Final = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[\t ]*([\t\x20-\x7e\x80-\xff]*?)[\t ]*")
_SIZE: Final = re.compile(rb"([0-9A-Fa-f]{1,8})(?:[\t ]*;[\t\x20-\x7e]*)?")
_START: Final = re.compile(r"(?:GET|POST) /[\x21-\x7e]*")


@dataclass(frozen=True, slots=True)
class HttpMessage:
    """A request to an HTTPS server, or the response."""

    start: str
    """Method and path of a request, such as "GET /status?all=1"; status of a response, such as "200"."""
    body: bytes = field(default=b"", repr=False)
    """The body. That of a response is overwritten when the request's `accept` returned: copy what is kept."""
    content_type: str = ""
    """Media type of the body, in lower case and without parameters, such as "application/json"; "" if none is told."""

    @property
    def status(self) -> int:
        """The status of a response."""
        return int(self.start)


def written(message: HttpMessage, host: str, base: str) -> bytes:
    """Return the bytes of a request, which asks for a connection of its own.

    Args:
        message: The request.
        host: What the field `Host` says.
        base: Path that goes before the request's.

    Raises:
        ConfigurationError: It is none of HTTP.
    """
    if not _START.fullmatch(message.start):
        raise ConfigurationError(
            f"{message.start[:80]!r} begins no request of HTTP",
            remedy='Write "GET /path" or "POST /path", other characters as %XX',
        )
    method, _, path = message.start.partition(" ")
    head = [f"{method} {base}{path} HTTP/1.1", f"Host: {host}", "Accept: application/json", "User-Agent: tokaido"]
    if method == "POST":
        head += [f"Content-Type: {message.content_type}", f"Content-Length: {len(message.body)}"]
    head += ["Connection: close", "", ""]
    return "\r\n".join(head).encode("ascii") + message.body


class OversizedError(ProtocolError):
    """A response is longer than its reader takes."""


class ResponseReader:
    """Reads one response from the bytes that come, and says when it is whole. It keeps a key no longer than needed.

    Args:
        most: Longest body, in bytes.

    It refuses ambiguous ones: a length told twice, a length and chunks, an unknown coding, a line without CR LF.
    """

    def __init__(self, most: int = MAX_BODY_BYTES) -> None:
        self.fields: dict[str, str] = {}
        """Fields of the head by names in lower case, once it came; of several of a name, the last."""
        self._most = most
        self._raw = bytearray()
        self._body = bytearray()
        self._status = 0
        self._type = ""
        self._left: int | None = None  # bytes of the body or of the chunk still to come, None where the end tells
        self._step = self._head
        self._interim = 0
        self._told = 0  # bytes of head or trailer so far
        self.whole = False
        """Whether all of it came."""

    def feed(self, data: memoryview) -> None:
        """Take the bytes that came; it drops any behind a whole response.

        Raises:
            ProtocolError: It is not a response of HTTP/1.1, or one that is too long.
        """
        self._raw += data
        while not self.whole and self._step():
            pass

    def end(self) -> None:
        """Take note that nothing more comes: the connection ended in good order.

        Raises:
            ProtocolError: The response is not whole.
        """
        if self._step == self._rest:
            self.whole = True
        if not self.whole:
            raise ProtocolError("the response was cut: the server closed the connection too early")

    @property
    def message(self) -> HttpMessage:
        """The response, once it is whole. Its body is this reader's, and is overwritten by `wipe`."""
        return HttpMessage(str(self._status), cast("bytes", self._body), self._type)

    @property
    def status(self) -> int:
        """The status of the response, once its head came; 0 before."""
        return self._status

    @property
    def body(self) -> bytearray:
        """What came of the body. It is this reader's, and is overwritten by `wipe`."""
        return self._body

    def wipe(self) -> None:
        """Overwrite all that came."""
        self._body[:] = bytes(len(self._body))
        self._raw[:] = bytes(len(self._raw))

    # --- steps: each returns whether there is more to do with what came -----------------------------------------------

    def _line(self, most: int) -> bytes | None:
        """Return the next line without its end, None if it has not come; an overlong one is refused."""
        end = self._raw.find(b"\r\n", 0, most + 2)
        if end < 0:
            if len(self._raw) > most:
                raise ProtocolError(f"a line of more than {most} bytes in the head of a response")
            return None
        line = bytes(self._raw[:end])
        self._drop(end + 2)
        return line

    def _drop(self, count: int) -> None:
        self._raw[:count] = bytes(count)
        del self._raw[:count]

    def _head(self) -> bool:
        end = self._raw.find(b"\r\n\r\n", 0, MAX_HEAD_BYTES)
        if end < 0:
            if len(self._raw) >= MAX_HEAD_BYTES:
                raise ProtocolError(f"the head of a response has more than {MAX_HEAD_BYTES} bytes")
            return False
        first, *lines = bytes(self._raw[:end]).split(b"\r\n")
        self._drop(end + 4)
        found = _STATUS.fullmatch(first)
        if found is None:
            raise ProtocolError("the reply does not begin as a response of HTTP/1.1")
        status = int(found[1])
        if status < 200:
            self._interim += 1
            if status == 101 or self._interim > MAX_INTERIM:
                raise ProtocolError(f"an interim response with status {status} that nobody asked for")
            return True
        self._status = status
        fields = _fields(lines)
        self.fields = {name.decode(): values[-1].decode("latin-1") for name, values in fields.items()}
        self._begin_body(fields)
        return True

    def _begin_body(self, fields: dict[bytes, list[bytes]]) -> None:
        named = b"content-type", b"transfer-encoding", b"content-length"
        types, codings, lengths = (fields.get(name, []) for name in named)
        if fields.get(b"content-encoding", [b"identity"]) != [b"identity"]:
            raise ProtocolError("the body of a response is compressed, which nobody asked for")
        if len(types) > 1 or len(codings) + len(lengths) > 1:
            raise ProtocolError("a response tells its type or the length of its body twice")
        self._type = (types[0] if types else b"").decode("latin-1").partition(";")[0].strip().lower()
        if self._status in (204, 304):
            self.whole = True
        elif codings:
            if codings[0].lower() != b"chunked":
                raise ProtocolError("a response has a transfer coding other than chunked")
            self._step = self._size
        elif lengths:
            self._left = self._length(lengths[0])
            self._step = self._counted
        else:
            self._step = self._rest

    def _take_body(self, count: int) -> None:
        if len(self._body) + count > self._most:
            raise self._too_long()
        with memoryview(self._raw) as view:
            self._body += view[:count]
        self._drop(count)

    def _counted(self) -> bool:
        left = self._left or 0
        count = min(left, len(self._raw))
        self._take_body(count)
        self._left = left - count
        self.whole = not self._left
        return False

    def _rest(self) -> bool:
        self._take_body(len(self._raw))
        return False

    def _size(self) -> bool:
        line = self._line(MAX_SIZE_LINE)
        if line is None:
            return False
        found = _SIZE.fullmatch(line)
        if found is None:
            raise ProtocolError("a chunk of a response does not begin with its size")
        size = int(found[1], 16)
        if len(self._body) + size > self._most:
            raise self._too_long()
        self._left = size
        self._step = self._chunk if size else self._trailer
        return True

    def _chunk(self) -> bool:
        left = self._left or 0
        if left:
            count = min(left, len(self._raw))
            self._take_body(count)
            self._left = left = left - count
        if left or len(self._raw) < 2:
            return False
        if not self._raw.startswith(b"\r\n"):
            raise ProtocolError("a chunk of a response does not end where its size says")
        self._drop(2)
        self._step = self._size
        return True

    def _trailer(self) -> bool:
        line = self._line(MAX_HEAD_BYTES - self._told)
        if line is None:
            return False
        self._told += len(line) + 2
        self.whole = not line
        return True

    def _length(self, text: bytes) -> int:
        if not text.isdigit() or len(text) > 18:
            raise ProtocolError("a response does not tell its length by a number")
        if int(text) > self._most:
            raise self._too_long()
        return int(text)

    def _too_long(self) -> OversizedError:
        return OversizedError(f"a response is longer than {self._most} bytes")


def _fields(lines: list[bytes]) -> dict[bytes, list[bytes]]:
    if len(lines) > MAX_FIELDS:
        raise ProtocolError(f"a response has more than {MAX_FIELDS} fields")
    fields: dict[bytes, list[bytes]] = {}
    for line in lines:
        found = _FIELD.fullmatch(line)
        if found is None:
            raise ProtocolError("a line in the head of a response is not a field")
        fields.setdefault(found[1].lower(), []).append(found[2])
    return fields
