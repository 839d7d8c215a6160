"""What nodes publish on the bus, and nothing else: docs/protocols/events.md, section 2.

`encode` is the only way out. No field takes bytes, and a text that looks like key material is left out.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec
from msgspec import Meta

from tokaido.hal import ProtocolError

MOST_TEXT: Final = 300
MOST_MEMBERS: Final = 256
MAX_PAYLOAD: Final = 1 << 19
"""Longest message that is read, in bytes."""
LEFT_OUT: Final = "[left out]"

Name: TypeAlias = Annotated[str, Meta(max_length=64)]
Text: TypeAlias = Annotated[str, Meta(max_length=MOST_TEXT)]
Whole: TypeAlias = Annotated[int, Meta(ge=0, le=(1 << 53) - 1)]
MessageId: TypeAlias = Annotated[str, Meta(pattern=r"^[0-9a-f]{16}-[1-9][0-9]{0,14}$")]
RelayId: TypeAlias = Annotated[str, Meta(pattern=r"^[0-9a-f]{32}$")]
CommandId: TypeAlias = Annotated[str, Meta(pattern=r"^[0-9a-f]{32}$")]
_IDS: Final = frozenset({"id", "relay", "command"})
"""Members whose form the schema fixes: they are ids, and no text."""
_KEY_LIKE: Final = re.compile(
    r"[0-9A-Fa-f]{32,}"
    r"|(?=[A-Za-z0-9+/_=-]*[A-Z])(?=[A-Za-z0-9+/_=-]*[a-z])(?=[A-Za-z0-9+/_=-]*[0-9])[A-Za-z0-9+/_=-]{40,}"
)


class _Part(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a message."""


class LinkState(_Part, frozen=True):
    """This end of one link."""

    name: Name
    neighbour: Name
    state: Name
    """Of the unit; empty: not known."""
    phase: Name
    """What the node does with it."""
    running: bool
    qber: float | None
    """A fraction."""
    secret_key_rate: float | None
    """In bit/s."""
    stock_bits: Whole


class PairState(_Part, frozen=True):
    """Keys of 256 bit that the node shares with another one."""

    neighbour: Name
    ready: Whole
    target: Whole
    in_flight: Whole
    held: Whole
    demand: float
    """Keys a second that were asked for lately."""


class NeighbourState(_Part, frozen=True):
    """How things stand with one neighbour."""

    name: Name
    up: bool


class _Message(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    network: Name
    node: Name
    id: MessageId
    """RUN-NUMBER; the same however often it is sent."""
    utc_s: float
    """In s since 1970-01-01 UTC, by the node's clock."""


class Telemetry(_Message, frozen=True, tag="telemetry"):
    """What a node says of itself again and again."""

    level: Name
    headline: Text
    state: Name
    up_s: float
    relaying: bool
    emulation: bool
    alarms: Whole
    """How many stand."""
    worst: Text
    """Code of the worst; empty: none stands."""
    topology: Whole = 0
    """Serial of the one in force; 0: there is none."""
    waiting: Whole = 0
    """Messages in the outbox."""
    dropped: Whole = 0
    """Messages that the outbox had no room for, in this run."""
    links: Annotated[tuple[LinkState, ...], Meta(max_length=MOST_MEMBERS)] = ()
    pairs: Annotated[tuple[PairState, ...], Meta(max_length=MOST_MEMBERS)] = ()
    neighbours: Annotated[tuple[NeighbourState, ...], Meta(max_length=MOST_MEMBERS)] = ()


class Alarm(_Message, frozen=True, tag="alarm"):
    """A change of an alarm."""

    change: Literal["raised", "altered", "cleared", "acknowledged"]
    code: Text
    of: Text
    severity: Name
    text: Text
    by: Text = ""


class ActDone(_Message, frozen=True, tag="act"):
    """What somebody ordered, as it stands in the node's audit log."""

    by: Text
    what: Text


class RelayState(_Message, frozen=True, tag="relay"):
    """What became of a batch of relayed keys."""

    relay: RelayId
    """Of the relay: no key has it as its id."""
    state: Literal["put", "ready", "dropped"]
    neighbour: Name = ""
    """The node at the other end."""
    route: Annotated[tuple[Name, ...], Meta(max_length=32)] = ()
    keys: Whole = 0
    started_here: bool = False


class Answer(_Message, frozen=True, tag="answer"):
    """What came of a command."""

    command: CommandId
    by: Name
    ok: bool
    error: Name = ""
    text: Text = ""
    remedy: Text = ""
    again: bool = False
    """Whether it was given before: the command came twice."""


Message: TypeAlias = Telemetry | Alarm | ActDone | RelayState | Answer

_decoder: Final = msgspec.json.Decoder(Message)
_encoder: Final = msgspec.json.Encoder()


class _Head(msgspec.Struct, frozen=True):
    id: MessageId


_heads: Final = msgspec.json.Decoder(_Head)


def encode(message: Message) -> bytes:
    """Return a message as JSON, without what looks like key material."""
    told = msgspec.to_builtins(message)
    return _encoder.encode({key: value if key in _IDS else _harmless(value) for key, value in told.items()})


def decode(payload: bytes) -> Message:
    """Return the message that a payload is.

    Raises:
        ProtocolError: It is none.
    """
    if len(payload) > MAX_PAYLOAD:
        raise ProtocolError(f"a message of {len(payload)} bytes; {MAX_PAYLOAD} are the most")
    try:
        found: Message = _decoder.decode(payload)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise ProtocolError(f"not a message of a node: {error}") from None
    return found


def id_of(payload: bytes) -> str:
    """Return the id of an encoded message."""
    return _heads.decode(payload).id


def short(text: str) -> str:
    """Return a text that is not too long for a message."""
    return text if len(text) <= MOST_TEXT else f"{text[: MOST_TEXT - 3]}..."


def _harmless(value: Any) -> Any:
    match value:
        case str():
            return _KEY_LIKE.sub(LEFT_OUT, value)
        case dict():
            return {key: _harmless(one) for key, one in value.items()}
        case list() | tuple():
            return [_harmless(one) for one in value]
        case _:
            return value
