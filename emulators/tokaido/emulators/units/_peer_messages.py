"""What units write to each other on the classical channel, and the bounds of every field of it.

An attacker on the channel can write anything into it, so nothing is taken that no unit would say: numbers are finite
and within limits, texts and lists have a length. Distillation, whose messages go the same way, bounds its own.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from tokaido.emulators.units._states import State
from tokaido.hal import ProtocolError

MAX_BYTES: Final = 1 << 20
"""Length of a message that is read."""
MAX_SEGMENTS: Final = 1000
"""Segments of pads that are read from a message."""

_Text = Annotated[str, msgspec.Meta(max_length=64)]
_Token = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{16}$")]
_Hex16 = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{32}$")]
_Seal = Annotated[str, msgspec.Meta(pattern="^([0-9a-f]{2}){0,64}$")]
_Number = Annotated[int, msgspec.Meta(ge=0, lt=1 << 62)]
_Segments = Annotated[tuple[_Number, ...], msgspec.Meta(max_length=1 << 16)]
_Channel = Annotated[int, msgspec.Meta(ge=0, lt=64)]
_Bits = Annotated[int, msgspec.Meta(ge=100, le=1 << 30)]
_Photons = Annotated[float, msgspec.Meta(ge=0, le=100)]
_Share = Annotated[float, msgspec.Meta(gt=0, lt=1)]


class PeerMessageError(ProtocolError):
    """A message of the peer that no unit writes."""


class PeerMessage(msgspec.Struct, frozen=True, tag_field="kind", rename={"sender": "from"}):
    """What every message says: whose it is, and of which path."""

    sender: Annotated[str, msgspec.Meta(max_length=24)]
    path: _Text


class Status(PeerMessage, frozen=True, tag="status"):
    """How the sender is."""

    state: State | msgspec.UnsetType = msgspec.UNSET
    aligned: bool | msgspec.UnsetType = msgspec.UNSET
    full: bool | msgspec.UnsetType = msgspec.UNSET
    session: _Token | msgspec.UnsetType | None = msgspec.UNSET
    block_bits: _Bits | msgspec.UnsetType = msgspec.UNSET
    channels: Annotated[tuple[_Channel, ...], msgspec.Meta(max_length=64)] | msgspec.UnsetType = msgspec.UNSET


class HelloMessage(PeerMessage, frozen=True, tag="hello"):
    """A nonce, and the segments of pads that the sender holds: it asks for a proof."""

    nonce: _Hex16
    segments: _Segments
    heard: _Number
    seal: _Seal


class Proof(PeerMessage, frozen=True, tag="proof"):
    """A tag over both nonces."""

    nonce: _Hex16
    yours: _Hex16
    segments: _Segments
    index: _Number
    tag: _Hex16
    heard: _Number
    seal: _Seal


class Refusal(PeerMessage, frozen=True, tag="refusal"):
    """The keys differ, or, under a seal, a ledger of pads went back."""

    yours: _Hex16
    seal: _Seal


class Open(PeerMessage, frozen=True, tag="open"):
    """A transmitter proposes a session: block length, intensities, probabilities."""

    token: _Token
    settings: tuple[_Bits, tuple[_Photons, _Photons, _Photons], tuple[_Share, _Share, _Share]]


class Opened(PeerMessage, frozen=True, tag="opened"):
    """A receiver takes part in it."""

    token: _Token


AnyPeerMessage = Status | HelloMessage | Proof | Refusal | Open | Opened
_DECODER: Final[msgspec.json.Decoder[AnyPeerMessage]] = msgspec.json.Decoder(AnyPeerMessage)


def read(body: bytes) -> AnyPeerMessage:
    """Return the message in a JSON text.

    Raises:
        PeerMessageError: No unit writes this.
    """
    if len(body) > MAX_BYTES:
        raise PeerMessageError(f"a message of {len(body)} bytes is too long")
    try:
        message = _DECODER.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise PeerMessageError(f"a message that no unit writes: {error}") from None
    if isinstance(message, Open):
        _, (signal, decoy, vacuum), probabilities = message.settings
        if not signal > decoy > vacuum or not signal > decoy + vacuum or abs(sum(probabilities) - 1) > 1e-6:
            raise PeerMessageError("intensities and probabilities that no transmitter proposes")
    return message
