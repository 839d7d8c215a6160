"""What a core needs of a store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tokaido.hal import KeyMaterial
    from tokaido.node.core._actions import Commit
    from tokaido.node.core._writes import Snapshot


class Store(Protocol):
    """Where the core's facts are durable. One thread owns it."""

    def snapshot(self) -> Snapshot:
        """Return all that a core starts from."""
        ...

    def commit(self, commits: Sequence[Commit]) -> list[tuple[KeyMaterial, ...]]:
        """Make all writes of all commits durable in one transaction, then return what each asked to be loaded.

        A change of a thing that is not there changes nothing. Keys of the writes are copied: their giver wipes them. A
        range is destroyed after the transaction in which its mark passes it, and what that one loads is still there.

        Raises:
            StoreError: Nothing was written, or nobody can know: close it.
        """
        ...

    def close(self) -> None:
        """Let go of it."""
        ...
