"""Our extensions of a key request: `tokaido_route_type`, `tokaido_hops`, `tokaido_max_age`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from tokaido.node.core import Reason
from tokaido.node.service import KeyRefusedError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tokaido.node.core import SuppliedKey
    from tokaido.node.service import KeyService, PairStatus

ROUTE_TYPE: Final = "tokaido_route_type"
"""`direct`: the two nodes are neighbours; `relayed`: there are nodes in between."""
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

    mandatory: Mapping[str, Any] = field(default_factory=dict)
    optional: Mapping[str, Any] = field(default_factory=dict)
    unsupported: tuple[str, ...] = ()
    """Mandatory ones that are not known here, or whose value is none of theirs."""

    @classmethod
    def of(cls, mandatory: Sequence[Mapping[str, Any]], optional: Sequence[Mapping[str, Any]]) -> Extensions:
        """Return what the two lists of a request ask; an optional one that is not known is passed over."""
        wanted = {name: value for item in mandatory for name, value in item.items()}
        wished = {name: value for item in optional for name, value in item.items()}
        return cls(
            {name: value for name, value in wanted.items() if _known(name, value)},
            {name: value for name, value in wished.items() if _known(name, value)},
            tuple(name for name, value in wanted.items() if not _known(name, value)),
        )

    async def enc_keys(
        self,
        service: KeyService,
        status: PairStatus,
        master: str,
        slaves: Sequence[str],
        *,
        number: int,
        size: int,
    ) -> tuple[SuppliedKey, ...]:
        """Return the keys of `KeyService.enc_keys`, as the extensions have it.

        Raises:
            UnmetError: A mandatory one cannot be met.
            KeyRefusedError: There is no key.
        """
        unmet = [name for name, value in self.mandatory.items() if not _met(name, value, status.hops)]
        if unmet:
            raise UnmetError(unmet)
        wanted, wished = self.mandatory.get(MAX_AGE), self.optional.get(MAX_AGE)
        ages = [age / 1000 for age in (wanted, wished) if age is not None]
        try:
            return await service.enc_keys(master, slaves, number, size, min(ages, default=None))
        except KeyRefusedError as error:
            if error.reason is not Reason.TOO_OLD:
                raise
        if wanted is not None and (wished is None or wished >= wanted):
            raise UnmetError([MAX_AGE])
        try:
            return await service.enc_keys(master, slaves, number, size, None if wanted is None else wanted / 1000)
        except KeyRefusedError as error:
            if error.reason is Reason.TOO_OLD:
                raise UnmetError([MAX_AGE]) from None
            raise


def _known(name: str, value: Any) -> bool:
    if name == ROUTE_TYPE:
        return value in ("direct", "relayed")
    return name in (HOPS, MAX_AGE) and type(value) is int and 0 < value < 1 << 53


def _met(name: str, value: Any, hops: int) -> bool:
    if name == ROUTE_TYPE:
        return bool((hops == 1) == (value == "direct"))
    return name != HOPS or hops <= int(value)
