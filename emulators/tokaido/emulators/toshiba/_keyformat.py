"""How TQK1 writes its messages: an id of 8 bytes, a JSON header, payload frames (docs/protocols/toshiba.md 8)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from tokaido.emulators.units import KeyFormat, Refusal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tokaido.emulators.units import Header

MAX_FRAMES: Final = 64
MAX_HEADER: Final = 64 * 1024
_ID_BYTES: Final = 8
_NO_ID: Final = bytes(_ID_BYTES)


class ToshibaKeyFormat(KeyFormat):
    """TQK1: an event has an id of zeros."""

    PROTOCOL = "TQK1"

    def request_id(self, frames: Sequence[bytes]) -> bytes | None:
        """Return the first frame, if it is an id."""
        if not frames or len(frames[0]) != _ID_BYTES or frames[0] == _NO_ID:
            return None
        return frames[0]

    def decode(self, frames: Sequence[bytes]) -> tuple[Header, list[bytes]]:
        """Return the JSON object of the second frame, and the frames behind it.

        Raises:
            Refusal: MALFORMED.
        """
        if not 2 <= len(frames) <= MAX_FRAMES or len(frames[1]) > MAX_HEADER:
            raise Refusal("MALFORMED", "a request has an id, a header of at most 64 KiB, and at most 64 frames")
        try:
            header = json.loads(frames[1].decode("utf-8"))
        except (ValueError, RecursionError):
            raise Refusal("MALFORMED", "the header is not JSON in UTF-8") from None
        if not isinstance(header, dict) or not isinstance(header.get("verb"), str):
            raise Refusal("MALFORMED", "the header is not an object with a verb")
        return header, list(frames[2:])

    def encode(self, request_id: bytes | None, header: Header, payload: Sequence[bytes] = ()) -> list[bytes]:
        """Return id, header and payload as frames."""
        return [request_id or _NO_ID, json.dumps(header).encode(), *payload]
