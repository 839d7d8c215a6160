"""HTTP/1.1 as the emulated key managers speak it: requests from bytes that come, and responses as bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_HEAD: Final = 16_384
MAX_BODY: Final = 1 << 20
REASONS: Final = {200: "OK", 307: "Temporary Redirect", 400: "Bad Request", 401: "Unauthorized", 503: "Unavailable"}
CHUNK: Final = 100


class BadRequestError(Exception):
    """The bytes of a connection are not a request; nothing that follows on it can be one."""


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One request."""

    method: str
    target: str
    """Path and query, encoded as they came."""
    body: bytes


class RequestReader:
    """Takes the bytes of one connection, and gives the requests in them."""

    def __init__(self) -> None:
        self._waiting = bytearray()

    def requests(self, data: bytes) -> Iterator[HttpRequest]:
        """Yield the requests that are whole now.

        Raises:
            BadRequestError: These bytes are none, or too many.
        """
        self._waiting += data
        while (end := self._waiting.find(b"\r\n\r\n")) >= 0:
            first, *lines = bytes(self._waiting[:end]).decode("latin-1").split("\r\n")
            words = first.split(" ")
            if len(words) != 3 or not words[2].startswith("HTTP/1."):
                raise BadRequestError("this is not a request of HTTP/1.1")
            fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
            if "transfer-encoding" in fields:
                raise BadRequestError("a body in chunks is not taken")
            length = fields.get("content-length", "0")
            if not (length.isascii() and length.isdigit()) or int(length) > MAX_BODY:
                raise BadRequestError("the length of the body is too large, or not a number")
            whole = end + 4 + int(length)
            if len(self._waiting) < whole:
                return
            body = bytes(self._waiting[end + 4 : whole])
            del self._waiting[:whole]
            yield HttpRequest(words[0], words[1], body)
        if len(self._waiting) > MAX_HEAD:
            raise BadRequestError("the head of a request is too long")


def written(
    status: int, body: bytes, *, kind: str = "application/json", chunked: bool = False, sized: bool = True, to: str = ""
) -> bytes:
    """Return a response as bytes; one that is not `sized` ends with the connection."""
    head = [f"HTTP/1.1 {status} {REASONS.get(status, 'Other')}"]
    if body:
        head.append(f"Content-Type: {kind}")
    if to:
        head.append(f"Location: {to}")
    if chunked and body:
        head.append("Transfer-Encoding: chunked")
        parts = (body[i : i + CHUNK] for i in range(0, len(body), CHUNK))
        body = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
    elif sized:
        head.append(f"Content-Length: {len(body)}")
    else:
        head.append("Connection: close")
    return "\r\n".join([*head, "", ""]).encode("ascii") + body
