"""How NQK1 writes its messages: a MessagePack header with a number, payload frames (docs/protocols/nec.md 5)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from tokaido.emulators.units import KeyFormat, Refusal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tokaido.emulators.units import Header

MAX_FRAMES: Final = 64
MAX_HEADER: Final = 64 * 1024
_DECODER: Final = msgspec.msgpack.Decoder(dict[str, Any])
_ENCODER: Final = msgspec.msgpack.Encoder()


class NecKeyFormat(KeyFormat):
    """NQK1: the id of a request is its number, in decimal digits; an event has the number 0."""

    PROTOCOL = "NQK1"

    def request_id(self, frames: Sequence[bytes]) -> bytes | None:
        """Return the number of a request, if it has one."""
        header = _header(frames)
        number = None if header is None else header.get("n")
        if not isinstance(number, int) or isinstance(number, bool) or number < 1:
            return None
        return b"%d" % number

    def decode(self, frames: Sequence[bytes]) -> tuple[Header, list[bytes]]:
        """Return the map of the first frame, and the frames behind it.

        Raises:
            Refusal: MALFORMED.
        """
        header = _header(frames)
        if header is None or not isinstance(header.get("verb"), str):
            raise Refusal("MALFORMED", "the header is not a map with a verb")
        if len(frames) > MAX_FRAMES:
            raise Refusal("MALFORMED", f"a message has at most {MAX_FRAMES} frames")
        return header, list(frames[1:])

    def encode(self, request_id: bytes | None, header: Header, payload: Sequence[bytes] = ()) -> list[bytes]:
        """Return header and payload as frames."""
        return [_ENCODER.encode({"n": int(request_id or b"0"), **header}), *payload]


def _header(frames: Sequence[bytes]) -> Header | None:
    if not frames or len(frames[0]) > MAX_HEADER:
        return None
    try:
        return _DECODER.decode(frames[0])
    except (msgspec.MsgspecError, RecursionError, ValueError, TypeError):
        return None
