"""Key managers of two applications in memory, which give each key once."""

from __future__ import annotations

import secrets
import uuid
from typing import TYPE_CHECKING, Any, cast

from tokaido.console.page import PictureExchange
from tokaido.hal import KeyMaterial, NoDataError
from tokaido.node.client import ClientKey

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tokaido.node.client import KeyClient


class PageKeys:
    """Stands in for the key managers at both ends of an exchange."""

    def __init__(self) -> None:
        self.given: list[bytes] = []
        """All keys that it ever gave."""
        self.handles: list[KeyMaterial] = []
        self.wrong = False
        """Whether the receiver gets another key."""
        self.empty = False
        self._waiting: dict[uuid.UUID, bytes] = {}

    def enc_keys(self, _: str, **_of: Any) -> tuple[ClientKey, ...]:
        if self.empty:
            raise NoDataError("no key is ready", remedy="Wait")
        key_id, key = uuid.uuid4(), secrets.token_bytes(32)
        self.given.append(key)
        self._waiting[key_id] = key
        return (self._handed(key_id, key),)

    def dec_keys(self, _: str, ids: Sequence[uuid.UUID]) -> tuple[ClientKey, ...]:
        key = self._waiting.pop(ids[0])
        return (self._handed(ids[0], secrets.token_bytes(32) if self.wrong else key),)

    def _handed(self, key_id: uuid.UUID, key: bytes) -> ClientKey:
        handle = KeyMaterial(key)
        self.handles.append(handle)
        return ClientKey(key_id, handle)

    def exchange(self, route: tuple[str, ...] = ()) -> PictureExchange:
        """Return an exchange of a bank and a hospital."""
        client = cast("KeyClient", self)
        return PictureExchange(client, client, sender_sae="bank", receiver_sae="hospital", route=lambda: route)
