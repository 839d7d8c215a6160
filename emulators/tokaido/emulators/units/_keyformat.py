"""How the messages of a key channel are written: the one thing about it that vendors do differently."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from collections.abc import Sequence

Header = dict[str, Any]
"""Members of a message: `verb` and its arguments in a request, `ok` and the answer in a reply, `event` in an event."""


class KeyFormat(ABC):
    """Frames of one message, to and from an id, a header and payload frames. It keeps nothing between two messages."""

    PROTOCOL: ClassVar[str]
    """What `hello` calls the protocol."""

    @abstractmethod
    def request_id(self, frames: Sequence[bytes]) -> bytes | None:
        """Return the id that a request is answered under, or None when nobody could take an answer."""

    @abstractmethod
    def decode(self, frames: Sequence[bytes]) -> tuple[Header, list[bytes]]:
        """Return header and payload of a request that has an id; `verb` is a text.

        Raises:
            Refusal: MALFORMED.
        """

    @abstractmethod
    def encode(self, request_id: bytes | None, header: Header, payload: Sequence[bytes] = ()) -> list[bytes]:
        """Return the frames of a reply to a request, or of an event (no id)."""
