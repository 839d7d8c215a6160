"""Two key services that share keys in memory, by the rules of real ones: each key once to each of its applications."""

from __future__ import annotations

import asyncio
import secrets
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tokaido.hal import KeyMaterial
from tokaido.node.core._actions import Reason, SuppliedKey
from tokaido.node.messages import ANY_HOPS
from tokaido.node.service import KeyRefusedError, PairStatus

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass
class Supply:
    """One key of applications, as both nodes know it."""

    master: str
    slaves: frozenset[str]
    data: bytes
    routes: int = 1
    delivered: set[str] = field(default_factory=set)


@dataclass
class Network:
    """What the two nodes agree on."""

    applications: Mapping[str, str]
    """The node of each application."""
    supplies: dict[bytes, Supply] = field(default_factory=dict)
    stock: int = 1000
    """Keys that are left."""
    age_s: float = 5.0
    """How old they are."""
    hops: int = 1
    emulated: bool = False
    routes: int = 1
    """Most routes that a key can go."""


class HonestService:
    """`KeyService` of one of the nodes. What it may not give, it refuses; what it refuses, it does not spend."""

    def __init__(self, network: Network, node: str) -> None:
        self.network = network
        self.node = node
        self.fails: Exception | None = None
        """Raised by every call for keys."""
        self.held: asyncio.Event | None = None
        """Calls for keys have their keys, and wait for this before they give them."""
        self.waiting = 0
        """How many of them wait."""
        self.orphans: list[bytes] = []
        """Ids of keys that did not reach their application."""
        self.out: list[KeyMaterial] = []
        """Every key that left."""

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
        network = self.network
        if self.fails is not None:
            raise self.fails
        self._know(master, slaves)
        if number > network.stock:
            raise KeyRefusedError("not enough key is in stock", Reason.NO_KEY, 2.5)
        if not hops[0] <= network.hops <= hops[1]:
            raise KeyRefusedError("no key in stock went so many hops", Reason.ROUTE)
        if routes > network.routes:
            raise KeyRefusedError("every route passes kyoto", Reason.ROUTE, cut_nodes=("kyoto",))
        if max_age_s is not None and max_age_s < network.age_s:
            raise KeyRefusedError("no key in stock is so fresh", Reason.TOO_OLD)
        network.stock -= number
        made = {
            uuid.uuid4().bytes: Supply(master, frozenset(slaves), secrets.token_bytes(size // 8), routes)
            for _ in range(number)
        }
        network.supplies |= made
        await self._wait()
        return tuple(self._give(key_id, supply) for key_id, supply in made.items())

    async def dec_keys(self, slave: str, master: str, key_ids: Sequence[bytes]) -> tuple[SuppliedKey, ...]:
        if self.fails is not None:
            raise self.fails
        found = [self.network.supplies.get(key_id) for key_id in key_ids]
        known = [supply for supply in found if supply is not None and supply.master == master]
        if any(slave not in supply.slaves for supply in known):
            raise KeyRefusedError("one of the keys names other slaves", Reason.NOT_NAMED)
        if len(known) < len(key_ids) or any(slave in supply.delivered for supply in known):
            raise KeyRefusedError("one or more keys are not here", Reason.NOT_FOUND)
        for supply in known:
            supply.delivered.add(slave)
        await self._wait()
        return tuple(self._give(key_id, supply) for key_id, supply in zip(key_ids, known, strict=True))

    def pair_status(self, application: str, other: str) -> PairStatus:
        self._know(application, [other])
        network = self.network
        return PairStatus(
            source_node=self.node,
            target_node=network.applications[other],
            stored_keys=network.stock,
            max_stored_keys=1000,
            key_size=256,
            min_key_size=64,
            max_key_size=8192,
            max_keys=128,
            max_slaves=2,
            integrity="confirmed end to end",
            hops=network.hops,
        )

    def undelivered(self, keys: Sequence[SuppliedKey]) -> None:
        self.orphans += [key.key_id for key in keys]

    def is_application(self, name: str) -> bool:
        return self.network.applications.get(name) == self.node

    def remotes(self, name: str) -> tuple[str, ...]:
        return tuple(other for other, node in self.network.applications.items() if node != self.node and other != name)

    def _know(self, application: str, others: Sequence[str]) -> None:
        nodes = self.network.applications
        if nodes.get(application) != self.node or any(nodes.get(other, self.node) == self.node for other in others):
            raise KeyRefusedError("no route leads to an application of that name", Reason.UNKNOWN_APPLICATION)

    def _give(self, key_id: bytes, supply: Supply) -> SuppliedKey:
        key = KeyMaterial(supply.data)
        self.out.append(key)
        return SuppliedKey(key_id, key, self.network.hops, self.network.emulated, supply.routes)

    async def _wait(self) -> None:
        if self.held is not None:
            self.waiting += 1
            await self.held.wait()
