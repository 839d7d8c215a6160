"""Our extensions of a key request: `tokaido_route_type`, `tokaido_hops`, `tokaido_max_age`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeGuard

from tokaido.node.core._actions import Reason
from tokaido.node.messages import ANY_HOPS
from tokaido.node.service import KeyRefusedError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from tokaido.node.core._actions import SuppliedKey

    EncKeys: TypeAlias = Callable[[float | None, tuple[int, int], int], Awaitable[tuple[SuppliedKey, ...]]]

ROUTE_TYPE: Final = "tokaido_route_type"
"""`direct`: keys went one hop; `relayed`: there are nodes in between; `disjoint`: each is the XOR of two that went two
routes without a common node in between."""
HOPS: Final = "tokaido_hops"
"""Most hops of the route."""
MAX_AGE: Final = "tokaido_max_age"
"""Oldest age of a key in ms, since it was relayed."""


class UnmetError(Exception):
    """What an application insists on cannot be met."""

    def __init__(self, names: Sequence[str], cut_nodes: tuple[str, ...] = ()) -> None:
        super().__init__(", ".join(names))
        self.names = tuple(names)
        self.cut_nodes = cut_nodes


@dataclass(frozen=True, slots=True)
class Extensions:
    """What a request asks beyond the standard."""

    mandatory: Mapping[str, Any]
    optional: Mapping[str, Any]

    @property
    def unsupported(self) -> tuple[str, ...]:
        """The mandatory ones that are not known here."""
        return tuple(name for name in self.mandatory if name not in (ROUTE_TYPE, HOPS, MAX_AGE))

    @property
    def asks_for_a_route(self) -> bool:
        """Whether the answer is to say which routes its keys went."""
        return ROUTE_TYPE in self.mandatory or ROUTE_TYPE in self.optional

    async def met(self, enc_keys: EncKeys) -> tuple[SuppliedKey, ...]:
        """Return keys as the mandatory extensions have it, and as the optional ones have it where that can be.

        Args:
            enc_keys: Asks for keys that are at most so old, in s, went so many hops, at least and at most, and so many
                routes.

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
        *wished, (needed, routes) = self._wishes()
        for max_age_s, wished_routes in wished:
            try:
                return await enc_keys(max_age_s, hops, wished_routes)
            except KeyRefusedError as error:
                over_two = wished_routes > routes and error.reason in {Reason.ROUTE, Reason.NO_KEY}
                if error.reason is not Reason.TOO_OLD and not over_two:
                    raise
        try:
            return await enc_keys(needed, hops, routes)
        except KeyRefusedError as error:
            if error.reason is Reason.ROUTE and about_hops:
                raise UnmetError(about_hops, error.cut_nodes) from None
            if error.reason is Reason.TOO_OLD and needed is not None:
                raise UnmetError([MAX_AGE]) from None
            raise

    def _wishes(self) -> list[tuple[float | None, int]]:
        """Return the oldest age in s and the routes to ask for, the most wished for first, what must be last."""
        needed: int | None = self.mandatory.get(MAX_AGE)
        wished = self.optional.get(MAX_AGE)
        ages = [wished] if _is_number(wished) and (needed is None or wished < needed) else []
        kind = self.mandatory.get(ROUTE_TYPE)
        routes = [2] if kind is None and self.optional.get(ROUTE_TYPE) == "disjoint" else []
        return [
            (None if age is None else age / 1000, over)
            for over in (*routes, 2 if kind == "disjoint" else 1)
            for age in (*ages, needed)
        ]

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
    return value in ("direct", "relayed", "disjoint") if name == ROUTE_TYPE else _is_number(value)


def _is_number(value: object) -> TypeGuard[int]:
    return type(value) is int and 0 < value < 1 << 53


def route_type(keys: Sequence[SuppliedKey], *, asked: bool) -> str:
    """Return what an answer says of the routes of its keys; nothing where nobody asked and they went one."""
    if all(key.routes == 2 for key in keys):
        return "disjoint"
    if not asked:
        return ""
    return "direct" if all(key.hops == 1 for key in keys) else "relayed"
