"""What the interfaces for applications stand on: keys by name of application, whatever protocol carries them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from tokaido.hal import TokaidoError
from tokaido.node.messages import ANY_HOPS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tokaido.node.core._actions import Reason, SuppliedKey


class KeyRefusedError(TokaidoError):
    """An application gets no key, and `reason` says why in one word."""

    def __init__(
        self, what: str, reason: Reason, retry_after_s: float | None = None, cut_nodes: tuple[str, ...] = ()
    ) -> None:
        super().__init__(what)
        self.reason = reason
        self.retry_after_s = retry_after_s
        self.cut_nodes = cut_nodes
        """Nodes that every route passes, where two node-disjoint ones were wanted."""


@dataclass(frozen=True, slots=True)
class PairStatus:
    """What an application may know of the keys that it shares with another one."""

    source_node: str
    target_node: str
    stored_keys: int
    """Keys of the default size that can be supplied now."""
    max_stored_keys: int
    key_size: int
    """Default, in bits."""
    min_key_size: int
    max_key_size: int
    max_keys: int
    """Most keys in one request."""
    max_slaves: int
    """Most further slaves in one request."""
    integrity: str
    """`confirmed end to end` or `relays trusted`."""
    hops: int
    """Of the route that the next keys go; 0: there is none now."""


class KeyService(Protocol):
    """Gives keys to the applications of one node. Names of applications are authenticated before it is asked."""

    async def enc_keys(
        self,
        master: str,
        slaves: Sequence[str],
        number: int,
        size: int,
        *,
        max_age_s: float | None = None,
        hops: tuple[int, int] = ANY_HOPS,
        routes: int = 1,
    ) -> tuple[SuppliedKey, ...]:
        """Return `number` keys of `size` bits that `master` will share with `slaves`, whose key managers know them.

        Args:
            master: Who asks.
            slaves: With whom, all at one node.
            number: How many.
            size: In bits.
            max_age_s: Oldest age of a key since it was relayed, in s; None: any.
            hops: Fewest and most hops that a key may have gone.
            routes: 2: each key is the sum of two that went node-disjoint routes.

        Raises:
            KeyRefusedError: None of the keys is given.
        """
        ...

    async def dec_keys(self, slave: str, master: str, key_ids: Sequence[bytes]) -> tuple[SuppliedKey, ...]:
        """Return the keys of those ids, each once.

        Raises:
            KeyRefusedError: None of the keys is given, and none is spent.
        """
        ...

    def pair_status(self, application: str, other: str) -> PairStatus:
        """Return what `application` may know of the keys that it shares with `other`.

        Raises:
            KeyRefusedError: No such application is known.
        """
        ...

    def undelivered(self, keys: Sequence[SuppliedKey]) -> None:
        """Say that an answer with these keys did not reach its application: they are orphans."""
        ...
