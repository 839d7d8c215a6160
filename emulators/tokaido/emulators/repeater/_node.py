"""The emulated node behind its endpoint: units by calculation, applications, alarms, orders, and faults."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Final

from tokaido.emulators._secrets import secret_source
from tokaido.emulators.repeater._sites import Sites
from tokaido.hal import (
    NS_PER_S,
    ConfigurationError,
    KeyBlockInfo,
    KeyMaterial,
    Quality,
    Reading,
    Telemetry,
    TokaidoError,
)
from tokaido.node.core import ApplicationSettings, CoreSettings, Drain, LinkSettings, NeighbourSettings, RelayingSet
from tokaido.node.endpoint import About, Desk, Order
from tokaido.node.operation import (
    Acts,
    AlarmBook,
    DrainNode,
    Events,
    LinkNow,
    Places,
    ServiceTimes,
    StoreLine,
    causes_of,
    survey,
)
from tokaido.node.supervision import BlockDrawn, LinkEnd, SupervisionSettings, Supervisor, UnitRead

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterable

    from tokaido.emulators._secrets import Secrets
    from tokaido.hal import KeyBlock
    from tokaido.hal.transports import CurveClient
    from tokaido.node.core import Clear, Fetch, Raise
    from tokaido.node.operation import Act, ControlRequest, NodeStatus, Peer
    from tokaido.node.store import MemoryStore
    from tokaido.node.supervision import UnitOrder

BLOCK_BYTES: Final = 8192
LEASE_BYTES: Final = 8192
MOST_BLOCKS: Final = 4
"""Blocks of a link that wait in the store; while there are so many, its units make no more."""
READ_S: Final = 10
"""How often a unit is read, in s."""
COPY_S: Final = 30
"""How often a copy of the store is made, for the fault `store_rolled_back`, in s."""
AWAY_S: Final = 5
"""How long a node that was drained is away before its machine starts it again, in s."""
EXHAUSTING: Final = 16
"""Requests with which applications take what there is, each second, under the fault `stock_empty`."""
MOST_KEYS: Final = 128
"""Most keys in one request."""
AN_HOUR_S: Final = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Nature:
    """What one emulated node is; see `RepeaterModel`."""

    name: str
    neighbours: tuple[str, ...]
    rate_bps: float
    """Of each link, by calculation."""
    qber: float
    demand: float
    stock: int
    relaying: bool
    utc_ns: int
    seed: int
    secrets: Secrets


class EmulatedNode:
    """A node at work, with all that is around it. Time passes in `advance` alone.

    Args:
        nature: What it is.
        faults: What is wrong now; its owner changes it.
    """

    def __init__(self, nature: Nature, faults: set[str]) -> None:
        self.now_ns = 0
        self._nature = nature
        self._faults = faults
        self._entropy = secret_source(nature.secrets, "repeater", nature.seed, nature.name)
        self._insecure = nature.secrets == "seeded"
        self._random = random.Random(f"repeater/{nature.seed}/{nature.name}")
        self._links = {f"{nature.name}-{name}": name for name in nature.neighbours}
        self._owed_keys = dict.fromkeys(self._links, 0.0)
        self._owed_bits = dict.fromkeys(self._links, 0.0)
        self._blocks = dict.fromkeys(self._links, 0)
        self._session = self._random.randbytes(8).hex()
        self._down_since_s: float | None = None
        clock = _Clock(self)
        self.events = Events(self._random.randbytes(8).hex(), clock=clock)
        """What happened in this run."""
        places = Places({f"unit-{link}": link for link in self._links}, self._links)
        self._book = AlarmBook(self.events.changed, clock=clock, relate=lambda alarms: causes_of(alarms, places))
        self._service = ServiceTimes(lambda _: None, clock=clock)
        self._acts = Acts(self._book, self._ends_now, self._relay, self._account, clock=clock)
        self.desk = Desk(self, About(nature.name, version("tokaido"), emulated=True), clock=clock)
        self._settings = self._all_settings()
        self.sites = Sites(self._settings, nature.name, self._entropy, faults, self._book.take)
        """The node and its neighbours."""
        self._ends = {
            link: LinkEnd(Supervisor(link, f"unit-{link}", SupervisionSettings()), self, lambda: self._now_s)
            for link in self._links
        }
        self._older = self._newer = self._store.copy()
        self._relaying = True
        if not nature.relaying:
            self._relay(False)
        self._read_units()

    # --- what it says -------------------------------------------------------------------------------------------------

    def status(self) -> NodeStatus:
        """Return all that may be known of the node."""
        core = self.sites.core
        applications = self._settings[self._nature.name].applications
        return survey(
            node=self._nature.name,
            utc_s=self._utc_ns / NS_PER_S,
            age_s=self._now_s,
            up_s=self._now_s,
            keys=core.status(),
            store=StoreLine(open=not core.failed),
            ends=self._ends.values(),
            applications=applications,
            alarms=self._book.standing(),
            emulation=self._insecure,
            maintained_until_s=self._acts.maintained_until_s,
            availability=self._service.all(),
        )

    def truth(self, path: str) -> object:
        """Return what is true of the value at a path such as `links[0].qber`, past the endpoint."""
        status = self.status()
        found = re.fullmatch(r"(?:(links|neighbours|pairs)\[(\d+)\]\.)?(\w+)", path)
        kind, index, name = found.groups() if found else ("", "", path)
        if kind == "links":
            link = status.links[int(index)]
            return {"maintained_until": link.maintained_until_s or 0.0}.get(name, getattr(link, name, None))
        if kind:
            return getattr((status.pairs if kind == "pairs" else status.neighbours)[int(index)], name)
        own = {"utc": self._utc_ns / NS_PER_S, "relaying": self.sites.core.status().relaying}
        return own.get(name, getattr(status, name, None))

    def hear(self, client: CurveClient, connection: bytes, frame: bytes) -> bytes | None:
        """Answer one message; orders are carried out at once."""
        self.faults_changed()
        answer = self.desk.hear(client, connection, frame)
        if not isinstance(answer, Order):
            return answer
        failure: TokaidoError | None = None
        try:
            self.carry_out(answer.request, answer.peer)
        except TokaidoError as error:
            failure = error
        return self.desk.settled(answer, failure)

    # --- time ---------------------------------------------------------------------------------------------------------

    @property
    def _now_s(self) -> float:
        return self.now_ns / NS_PER_S

    @property
    def _utc_ns(self) -> int:
        return self._nature.utc_ns + self.now_ns

    @property
    def _store(self) -> MemoryStore:
        return self.sites.sites[self._nature.name].store

    def advance(self, to_ns: int) -> None:
        """Let time pass until `to_ns`, in ns since it came up."""
        while (second_ns := (self.now_ns // NS_PER_S + 1) * NS_PER_S) <= to_ns:
            self._go_to(second_ns)
            self._each_second(second_ns // NS_PER_S)
        self._go_to(to_ns)

    def _go_to(self, to_ns: int) -> None:
        self.now_ns = to_ns
        self.sites.advance(self._now_s)

    def _each_second(self, second: int) -> None:
        for link, neighbour in self._links.items():
            if "stock_empty" in self._faults:
                self._exhaust(neighbour)
            else:
                self._make_blocks(link, neighbour)
                self._use_keys(link, neighbour)
        if second % READ_S == 0:
            self._read_units()
        if second % COPY_S == 0:
            self._older, self._newer = self._newer, self._store.copy()
        if self._down_since_s is not None and self._now_s >= self._down_since_s + AWAY_S:
            self._down_since_s = None
            self._restart(None, relaying=self._nature.relaying)
        self._book.tick()
        self._acts.tick()
        self._service.look(self._links_now())
        self.desk.forget()

    # --- units and applications ---------------------------------------------------------------------------------------

    def _make_blocks(self, link: str, neighbour: str) -> None:
        """Have the units of a link make the key of one second; they wait while the stores have enough."""
        block_bits = 8 * BLOCK_BYTES
        self._owed_bits[link] = min(self._owed_bits[link] + self._nature.rate_bps, MOST_BLOCKS * block_bits)
        held = sum(name[0] == link for name in self._store.blocks)
        while self._owed_bits[link] >= block_bits and held < MOST_BLOCKS:
            self._owed_bits[link] -= block_bits
            held += 1
            key = self._entropy(BLOCK_BYTES)
            info = KeyBlockInfo(
                session=self._session,
                number=self._blocks[link],
                bits=block_bits,
                method="lim2014",
                bound="chernoff",
                eps=1e-10,
                insecure=self._insecure,
                emulated=True,
                serial_number=f"unit-{link}",
            )
            self._blocks[link] += 1
            ends = (self._nature.name, neighbour)
            self.sites.draw(link, info, {end: KeyMaterial(key, insecure=self._insecure) for end in ends})
            self._ends[link].feed(BlockDrawn())

    def _use_keys(self, link: str, neighbour: str) -> None:
        self._owed_keys[link] += self._nature.demand
        while self._owed_keys[link] >= 1:
            self._owed_keys[link] -= 1
            here, there = self._nature.name, neighbour
            self.sites.use_keys(*((here, there) if self._random.random() < 0.5 else (there, here)), 1)

    def _exhaust(self, neighbour: str) -> None:
        for here, there in ((self._nature.name, neighbour), (neighbour, self._nature.name)):
            for _ in range(EXHAUSTING):
                ready = self.sites.sites[here].core.status().pairs[there].ready
                if not ready or not self.sites.use_keys(here, there, min(ready, MOST_KEYS)):
                    break

    def _read_units(self) -> None:
        told = Telemetry(
            {
                "qber": Reading(self._nature.qber, "", self._utc_ns, 0.0, Quality.GOOD),
                "secret_key_rate": Reading(self._nature.rate_bps, "bit/s", self._utc_ns, 0.0, Quality.GOOD),
            }
        )
        for end in self._ends.values():
            end.feed(UnitRead(None, uptime_s=self._now_s, readings=told))

    def _links_now(self) -> Iterable[LinkNow]:
        for link, end in self._ends.items():
            yield LinkNow(link, end.supervisor.status(self._now_s).drawing, link in self._acts.maintained)

    def _ends_now(self) -> Iterable[LinkEnd]:
        return self._ends.values()

    # --- what link ends want ------------------------------------------------------------------------------------------

    def block_offered(self, end: LinkEnd, draw: int, block: KeyBlock) -> None:
        """Take no block: they are drawn by calculation."""

    def not_fetched(self, end: LinkEnd, action: Fetch, why: str) -> None:
        """Take no note: nothing is fetched."""

    def attempt(self, end: LinkEnd, order: UnitOrder) -> None:
        """Give no order: there are no units."""

    def alarm(self, action: Raise | Clear) -> None:
        """Take note of an alarm of a link's end."""
        self._book.take(action)

    # --- orders -------------------------------------------------------------------------------------------------------

    def carry_out(self, request: ControlRequest, peer: Peer) -> None:
        """Do what somebody ordered.

        Raises:
            TokaidoError: It cannot be.
        """
        if isinstance(request, DrainNode):
            self._account(peer, "drain", request.note)
            self.sites.do(self._nature.name, Drain())
            self._down_since_s = self._now_s
            return
        act: Act = request  # type: ignore[assignment]  # the desk makes no other orders
        self._acts.carry_out(act, peer)

    def _account(self, peer: Peer, what: str, why: str) -> None:
        self.events.acted(peer, what, why)

    def _relay(self, on: bool) -> None:
        self._relaying = on
        self.sites.do(self._nature.name, RelayingSet(on))

    def _restart(self, store: MemoryStore | None, *, relaying: bool) -> None:
        self.sites.restart(store)
        self._relay(relaying)
        self.desk.forget()

    # --- faults -------------------------------------------------------------------------------------------------------

    def faults_changed(self, begun: str = "") -> None:
        """See to a fault that has just begun, or to one that ended."""
        self.desk.utc_ahead_s = AN_HOUR_S if "clock_off" in self._faults else 0.0
        if begun == "store_rolled_back":
            self._restart(self._older.copy(), relaying=self._relaying)

    def _all_settings(self) -> dict[str, CoreSettings]:
        """Return what each node's file says: the node has a link to each neighbour, and they have none other."""
        node, names, stock = self._nature.name, self._nature.neighbours, self._nature.stock
        applications = {f"{name}-app": ApplicationSettings(f"{name}-app", name) for name in (node, *names)}
        found: dict[str, CoreSettings] = {node: CoreSettings(node, {}, applications)}
        around: dict[str, NeighbourSettings] = {}
        for link, name in self._links.items():
            proof = KeyMaterial(self._entropy(32), insecure=self._insecure)
            around[name], back = (
                NeighbourSettings(other, (LinkSettings(link),), proof, stock, min(stock, 64)) for other in (name, node)
            )
            found[name] = self._core_settings(name, {node: back}, applications)
        found[node] = self._core_settings(node, around, applications)
        return found

    def _core_settings(
        self, node: str, around: dict[str, NeighbourSettings], applications: dict[str, ApplicationSettings]
    ) -> CoreSettings:
        return CoreSettings(node, around, applications, emulation=self._insecure, lease=LEASE_BYTES, supply_age_s=60.0)


class _Clock:
    """The time that an emulated node lives in."""

    def __init__(self, node: EmulatedNode) -> None:
        self._node = node

    def monotonic_ns(self) -> int:
        """Return the time since the node came up, in ns."""
        return self._node.now_ns

    def utc_ns(self) -> int:
        """Return the time of day in ns since 1970-01-01 UTC."""
        return self._node._utc_ns

    def wait(self, seconds: float, event: threading.Event | None = None) -> bool:
        """Refuse: a model waits for nobody."""
        raise ConfigurationError(f"a device model does not wait for {seconds:g} s, or for {event}", remedy="Report it")
