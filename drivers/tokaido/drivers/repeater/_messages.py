"""Messages of TRN1 as a client writes and reads them: docs/protocols/repeater.md, sections 1, 2, 4 and 5."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec

import tokaido.hal as hal
from tokaido.hal.driver import NOT_MINE, NotMine
from tokaido.hal.structs import learn

if TYPE_CHECKING:
    from collections.abc import Callable

PROTOCOL: Final = "TRN1"
ID_BYTES: Final = 8
HEAD_BYTES: Final = 12
_ASKED: Final = zlib.crc32(b">")
_ANSWERED: Final = zlib.crc32(b"<")

Name = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
Told = Annotated[str, msgspec.Meta(max_length=4000)]
Count = Annotated[int, msgspec.Meta(ge=0, le=(1 << 53) - 1)]
Utc = Annotated[float, msgspec.Meta(ge=0, le=1e11)]
Age = Annotated[float, msgspec.Meta(ge=0, le=1e6)]
Value = bool | int | float | str | None


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What every reply says."""

    ok: bool
    error: Told = ""
    text: Told = ""
    remedy: Told = ""


class Greeted(Answer, frozen=True, kw_only=True):
    """Who answers, and what it has."""

    protocol: Told
    vendor: Told
    model: Told
    node: Name
    firmware: Told
    run: Told
    capabilities: tuple[Told, ...]
    links: tuple[Name, ...]
    neighbours: tuple[Name, ...]
    pairs: tuple[Name, ...]
    emulated: bool = False
    roles: tuple[Told, ...] = ()


class OneValue(Answer, frozen=True, kw_only=True):
    """One value, or nil."""

    value: Value
    age_s: Age = 0.0


class AllValues(Answer, frozen=True, kw_only=True):
    """All values, by their paths."""

    values: dict[str, Value]
    age_s: Age = 0.0


class Alarm(msgspec.Struct, frozen=True, kw_only=True):
    """One alarm."""

    code: Told
    of: Told
    severity: hal.Severity
    text: Told
    to_do: Told
    raised_utc_s: Utc
    lasts: bool
    latched: bool
    acknowledged_by: Told = ""
    note: Told = ""
    cause: Told = ""
    cause_of: Told = ""


class Alarms(Answer, frozen=True, kw_only=True):
    """Those that stand."""

    alarms: tuple[Alarm, ...]
    utc_s: Utc


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One event."""

    sequence: Count
    utc_s: Utc
    kind: Told
    code: Told = ""
    of: Told = ""
    severity: hal.Severity | None = None
    text: Told = ""
    by: Told = ""


class Events(Answer, frozen=True, kw_only=True):
    """Some of them."""

    events: tuple[Event, ...]
    last: Count
    lost: Count
    run: Told


_encode: Final[Callable[[object], bytes]] = msgspec.msgpack.Encoder().encode
_refused: Final = msgspec.msgpack.Decoder(Answer)


def body(do: str, members: dict[str, Any]) -> bytes:
    """Return the body of a request."""
    return _encode({"do": do, **members})


def frame(identifier: bytes, content: bytes) -> bytes:
    """Return a request, ready to be sent."""
    return identifier + zlib.crc32(identifier + content, _ASKED).to_bytes(4, "big") + content


def answer(frames: list[bytes], identifier: bytes, decode: Callable[[bytes], Answer]) -> Answer | NotMine:
    """Return the reply to the request of this id, a refusal included; `NOT_MINE` for any other message.

    Raises:
        ValueError: It is the reply, and not of the form that it must have; msgspec's errors are such.
    """
    if len(frames) != 1:
        return NOT_MINE
    message = frames[0]
    content = message[HEAD_BYTES:]
    if not message.startswith(identifier + zlib.crc32(identifier + content, _ANSWERED).to_bytes(4, "big")):
        return NOT_MINE  # another's, or altered on its way: as if it had never come
    try:
        return decode(content)
    except ValueError:
        refusal = _refused.decode(content)
        if refusal.ok:
            raise
        return refusal


learn(Greeted, OneValue, AllValues, Alarms, Events)
