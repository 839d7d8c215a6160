"""Messages of TRN1 as a node reads and writes them: docs/protocols/repeater.md, sections 1, 2 and 5."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeAlias

import msgspec

from tokaido.hal import ProtocolError

if TYPE_CHECKING:
    from collections.abc import Callable

PROTOCOL: Final = "TRN1"
ID_BYTES: Final = 8
PREFIX_BYTES: Final = 4
HEAD_BYTES: Final = 12
MAX_BODY: Final = 1 << 16
"""Longest body of a request, in bytes."""
MOST_EVENTS: Final = 500
_ASKED: Final = zlib.crc32(b">")
_ANSWERED: Final = zlib.crc32(b"<")

Path = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
Told = Annotated[str, msgspec.Meta(max_length=1000)]
Count = Annotated[int, msgspec.Meta(ge=0, le=(1 << 53) - 1)]
Most = Annotated[int, msgspec.Meta(ge=1, le=MOST_EVENTS)]
Utc = Annotated[float, msgspec.Meta(ge=0, le=1e11)]


class _Ask(msgspec.Struct, frozen=True, tag_field="do", forbid_unknown_fields=True):
    """What every request is."""


class Hello(_Ask, frozen=True, tag="hello"):
    """The first request of a connection."""

    protocol: Told
    who: Told


class Read(_Ask, frozen=True, tag="read"):
    """Ask for one value."""

    of: Path


class AskStatus(_Ask, frozen=True, tag="status"):
    """Ask for all values."""


class AskAlarms(_Ask, frozen=True, tag="alarms"):
    """Ask for the alarms that stand."""


class AskEvents(_Ask, frozen=True, tag="events"):
    """Ask for what happened."""

    since: Count
    most: Most


class SetRelay(_Ask, frozen=True, tag="relay"):
    """Relay, or relay no more."""

    on: bool


class Resume(_Ask, frozen=True, tag="resume"):
    """Try a link again at once."""

    link: Path


class AcknowledgeAlarm(_Ask, frozen=True, tag="acknowledge"):
    """Say that a person has seen an alarm."""

    code: Path
    of: Told
    note: Told


class Maintain(_Ask, frozen=True, tag="maintain"):
    """Take an end of a link for a person, or give it back."""

    link: Path
    on: bool
    until_utc_s: Utc
    note: Told


class Move(_Ask, frozen=True, tag="move"):
    """Move a link to another path."""

    link: Path
    path: Path


class AcceptThis(_Ask, frozen=True, tag="accept"):
    """Let another box stand under the name of a device."""

    device: Path
    serial_number: Told
    note: Told


class DrainThis(_Ask, frozen=True, tag="drain"):
    """End the node in order."""

    why: Told


AnyAsk: TypeAlias = (
    Hello
    | Read
    | AskStatus
    | AskAlarms
    | AskEvents
    | SetRelay
    | Resume
    | AcknowledgeAlarm
    | Maintain
    | Move
    | AcceptThis
    | DrainThis
)

AnyCommand: TypeAlias = SetRelay | Resume | AcknowledgeAlarm | Maintain | Move | DrainThis
"""Those that change something."""

_decoder: Final = msgspec.msgpack.Decoder(AnyAsk)
_encode: Final[Callable[[object], bytes]] = msgspec.msgpack.Encoder().encode


def opened(frame: bytes) -> tuple[bytes, bytes] | None:
    """Return the id and the body of a request; None if it is none, or was altered on its way."""
    identifier, content = frame[:ID_BYTES], frame[HEAD_BYTES:]
    check = int.from_bytes(frame[ID_BYTES:HEAD_BYTES], "big")
    if len(frame) < HEAD_BYTES or zlib.crc32(identifier + content, _ASKED) != check:
        return None
    return identifier, content


def request_of(content: bytes) -> AnyAsk:
    """Return the request that a body is.

    Raises:
        ProtocolError: It is none.
    """
    if len(content) > MAX_BODY:
        raise ProtocolError(f"a request of {len(content)} bytes; {MAX_BODY} are the most")
    try:
        asked: AnyAsk = _decoder.decode(content)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise ProtocolError(f"not a request of {PROTOCOL}: {error}") from None
    return asked


def sealed(identifier: bytes, reply: dict[str, Any]) -> bytes:
    """Return a reply, ready to be sent."""
    content = _encode(reply)
    return identifier + zlib.crc32(identifier + content, _ANSWERED).to_bytes(4, "big") + content


def refusal(error: str, text: str, remedy: str = "") -> dict[str, Any]:
    """Return the reply that nothing was carried out."""
    return {"ok": False, "error": error, "text": text[:1000], "remedy": remedy[:1000]}
