"""Our extensions of a key request: `tokaido_route_type`, `tokaido_hops`, `tokaido_max_age`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeGuard

from tokaido.node.core._actions import Reason
from tokaido.node.messages import ANY_HOPS
from tokaido.node.service import KeyRefusedError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from tokaido.node.core._actions import SuppliedKey

ROUTE_TYPE: Final = "tokaido_route_type"
"""`direct`: keys went one hop; `relayed`: there are nodes in between."""
HOPS: Final = "tokaido_hops"
"""Most hops of the route."""
MAX_AGE: Final = "tokaido_max_age"
"""Oldest age of a key in ms, since it was relayed."""


class UnmetError(Exception):
    """What an application insists on cannot be met."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(", ".join(names))
        self.names = tuple(names)


@dataclass(frozen=True, slots=True)
class Extensions:
    """What a request asks beyond the standard."""

    mandatory: Mapping[str, Any]
    optional: Mapping[str, Any]

    @property
    def unsupported(self) -> tuple[str, ...]:
        """The mandatory ones that are not known here."""
        return tuple(name for name in self.mandatory if name not in (ROUTE_TYPE, HOPS, MAX_AGE))

    async def met(
        self, enc_keys: Callable[[float | None, tuple[int, int]], Awaitable[tuple[SuppliedKey, ...]]]
    ) -> tuple[SuppliedKey, ...]:
        """Return keys as the mandatory extensions have it, and as the optional ones have it where that can be.

        Args:
            enc_keys: Asks for keys that are at most so old, in s, and went so many hops, at least and at most.

        Raises:
            UnmetError: A mandatory one cannot be met, or has a value that is none of its own.
            KeyRefusedError: There is no key.
        """
        unmet = [name for name, value in self.mandatory.items() if not _can_be(name, value)]
        if unmet:
            raise UnmetError(unmet)
        hops = self._hops()
        about_hops = [name for name in self.mandatory if name in {ROUTE_TYPE, HOPS}]
        if hops[0] > hops[1]:
            raise UnmetError(about_hops)
        needed: int | None = self.mandatory.get(MAX_AGE)
        wished = self.optional.get(MAX_AGE)
        if _is_number(wished) and (needed is None or wished < needed):
            try:
                return await enc_keys(wished / 1000, hops)
            except KeyRefusedError as error:
                if error.reason is not Reason.TOO_OLD:
                    raise
        try:
            return await enc_keys(None if needed is None else needed / 1000, hops)
        except KeyRefusedError as error:
            if error.reason is Reason.ROUTE and about_hops:
                raise UnmetError(about_hops) from None
            if error.reason is Reason.TOO_OLD and needed is not None:
                raise UnmetError([MAX_AGE]) from None
            raise

    def _hops(self) -> tuple[int, int]:
        """Return the fewest and the most hops that keys may have gone."""
        fewest, most = ANY_HOPS
        kind = self.mandatory.get(ROUTE_TYPE)
        if kind == "direct":
            most = 1
        elif kind == "relayed":
            fewest = 2
        return fewest, min(most, self.mandatory.get(HOPS, most))


def joined(items: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Return a list of name/value pairs as one map; None if a name is in it twice."""
    found = {name: value for item in items for name, value in item.items()}
    return found if len(found) == sum(map(len, items)) else None


def _can_be(name: str, value: object) -> bool:
    return value in {"direct", "relayed"} if name == ROUTE_TYPE else _is_number(value)


def _is_number(value: object) -> TypeGuard[int]:
    return type(value) is int and 0 < value < 1 << 53
