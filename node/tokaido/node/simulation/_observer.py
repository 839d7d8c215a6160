"""The observer: outside of the nodes, it sees every message, key and store, and knows the rules."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections import Counter
from typing import TYPE_CHECKING

from tokaido.hal import TokaidoError
from tokaido.node.messages import CELL, TAG_KEY, Relay, SupplyItem

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Set

    from tokaido.node.core import BlockName, NodeStatus, SuppliedKey
    from tokaido.node.messages import Granted
    from tokaido.node.store import MemoryStore


class BrokenRuleError(TokaidoError, AssertionError):
    """A rule of key custody is broken."""


class Observer:
    """Knows everything, and says when a rule is broken.

    Args:
        patient: Whether it counts broken rules (`broken`) instead of raising `BrokenRuleError`.
    """

    def __init__(self, *, patient: bool = False) -> None:
        self.seen: Counter[str] = Counter()
        """How often what was seen, so that a run can be told from one in which nothing happens."""
        self.broken: Counter[str] = Counter()
        self._patient = patient
        self._keys: dict[tuple[str, BlockName], bytes] = {}
        self._spent: dict[tuple[BlockName, int], list[tuple[int, int]]] = {}
        self._cells: dict[bytes, bytes] = {}  # of relays
        self._supplies: dict[bytes, tuple[SupplyItem, bytes]] = {}
        self._given: dict[tuple[bytes, int], bytes] = {}  # which id each cell became
        self._delivered: dict[str, set[tuple[bytes, str]]] = {}
        self._refused: set[bytes] = set()
        self._dead: dict[str, set[bytes]] = {}
        self._pairs: dict[bytes, frozenset[str]] = {}  # which nodes share a supply
        self._ends: dict[bytes, str] = {}  # of relays
        self._passing: dict[bytes, tuple[BlockName, int]] = {}  # the hop that a relay went last: block, end of the pad
        self._passed: dict[bytes, set[str]] = {}  # which nodes in the middle were sent a relay

    def blame(self, rule: str, detail: str = "") -> None:
        """Note that a rule is broken.

        Raises:
            BrokenRuleError: The observer is not patient.
        """
        self.broken[rule] += 1
        if not self._patient:
            raise BrokenRuleError(f"{rule}: {detail}" if detail else rule)

    # --- pads -------------------------------------------------------------------------------------------------------

    def drawn(self, node: str, name: BlockName, key: bytes) -> None:
        """See what a source gave."""
        self._keys[node, name] = key

    def relay_sent(self, node: str, store: MemoryStore, relay: Relay) -> None:
        """See a pad spent: no byte of it ever before, and its mark durable."""
        self.seen["relay"] += 1
        self.seen[f"relay, hop {relay.hop}"] += 1
        name = relay.link, relay.session, relay.number
        half = 0 if node == min(relay.route[relay.hop : relay.hop + 2]) else 1
        begin, end = relay.offset, relay.offset + relay.length
        spent = self._spent.setdefault((name, half), [])
        at = bisect_right(spent, (begin, end))
        before, after = spent[max(at - 1, 0) : at], spent[at : at + 1]
        if any(last > begin for _, last in before) or any(first < end for first, _ in after):
            self.blame("a pad is used once", f"{name} half {half} from {begin} to {end} by {node}")
        insort(spent, (begin, end))
        block, row = store.blocks.get(name), store.batches.get(relay.relay)
        if block is not None and block.own < end:
            self.blame("an own mark is durable before its range is used", f"{block.own} < {end}")
        keys = self._opened(node, name, half, relay)
        passed = self._passed.setdefault(relay.relay, set())
        if relay.hop + 2 < len(relay.route):
            passed.add(relay.route[relay.hop + 1])
        if relay.hop == 0:
            if row is None:
                self.blame("a relay is durable before it is sent")
            self._cells[relay.relay], self._ends[relay.relay] = keys, relay.route[-1]
        else:
            self._sent_on(store, relay, keys)
        self._passing[relay.relay] = name, end

    def _sent_on(self, store: MemoryStore, relay: Relay, keys: bytes) -> None:
        """See a relay go on: the same keys, none of them stored, and what it passed is durable."""
        if keys != self._cells[relay.relay]:
            self.blame("a relay carries the same keys on each hop")
        if relay.relay in store.batches:
            self.blame("no key is stored in the middle of a route")
        name, end = self._passing[relay.relay]
        block = store.blocks.get(name)
        if block is not None and block.passed < end:
            self.blame("a passed mark is durable before a relay goes on", f"{block.passed} < {end}")

    def _opened(self, node: str, name: BlockName, half: int, relay: Relay) -> bytes:
        key = self._keys[node, name]
        start = half * (len(key) // 2) + relay.offset
        if half == 0 and start + relay.length > len(key) // 2:
            self.blame("nobody spends in the other's half", f"{name} to {start + relay.length} by {node}")
        pad = key[start + TAG_KEY : start + relay.length]
        return bytes(a ^ b for a, b in zip(relay.ciphertext, pad, strict=True))

    def granted(self, store: MemoryStore, granted: Granted) -> None:
        """See a lease given: its mark is durable."""
        self.seen["granted"] += granted.end > granted.begin
        block = store.blocks.get((granted.link, granted.session, granted.number))
        if block is not None and block.granted < granted.end:
            self.blame("a granted mark is durable before it is told", f"{block.granted} < {granted.end}")

    def relayed(self, node: str, store: MemoryStore, relay: bytes) -> None:
        """See keys acknowledged: they are held at the end."""
        if node != self._ends[relay]:
            return
        self.seen["relayed"] += 1
        if relay not in store.batches:
            self.blame("keys are held durably before RELAYED")

    # --- keys of applications ---------------------------------------------------------------------------------------

    def supply_sent(self, owner: str, peer: str, store: MemoryStore, items: Iterable[SupplyItem]) -> None:
        """See which cells become which key: they are out of the stock, durably."""
        for item in items:
            self._pairs[item.key_id] = frozenset((owner, peer))
            if item.key_id not in store.supplies:
                self.blame("keys leave the stock durably before SUPPLY")
            self._supplies[item.key_id] = item, self._key_of(item)

    def _key_of(self, item: SupplyItem) -> bytes:
        """Return the key that a supply is to be."""
        one, other = self._sides_of(item)
        return bytes(a ^ b for a, b in zip(one, other, strict=True)) if other else one

    def _sides_of(self, item: SupplyItem) -> tuple[bytes, bytes]:
        """Return what a key is the sum of; the second is empty if it went one route."""
        one, other = (
            b"".join(self._cells[part.relay][CELL * part.first : CELL * (part.first + part.count)] for part in side)
            for side in (item.cells, item.others)
        )
        return one[: item.size // 8], other[: item.size // 8]

    def _given_over_two(self, item: SupplyItem, key: bytes) -> None:
        """See a key of two routes given: no node saw both keys of which it is the sum, and it is neither of them."""
        self.seen["key of two routes"] += 1
        ones, others = (
            set[str]().union(*(self._passed[part.relay] for part in side)) for side in (item.cells, item.others)
        )
        if ones & others:
            self.blame("no node in the middle sees both keys of which one of two routes is the sum")
        if key in self._sides_of(item):
            self.blame("a key of two routes is neither of those that went them")

    def supplied(self, store: MemoryStore, key_ids: Iterable[bytes]) -> None:
        """See supplies acknowledged: they are durable."""
        self.seen["supplied"] += 1
        for key_id in key_ids:
            if key_id not in store.supplies:
                self.blame("a supply is durable before SUPPLIED")

    def refused(self, key_ids: Iterable[bytes]) -> None:
        """See an application refused: it never gets those keys."""
        self.seen["enc refused"] += 1
        self._refused.update(key_ids)

    def dead(self, node: str, key_ids: Iterable[bytes]) -> None:
        """See a node hear that supplies are given up: it never delivers them."""
        self._dead.setdefault(node, set()).update(key_ids)

    def went_back(self, node: str, other: str) -> None:
        """See a node hear that its store or another one went back: nothing that both were supplied is delivered."""
        self.seen["rollback"] += 1
        if not self.seen["restored"]:
            self.blame("no store is said to have gone back that did not", node)
        self.dead(node, self._shared(node, other))

    def forgive(self, node: str, other: str) -> None:
        """Let a node deliver again what it delivered of a pair: its store went back, and the other cannot know."""
        shared = set(self._shared(node, other))
        self._delivered[node] = {given for given in self._delivered.get(node, ()) if given[0] not in shared}
        self._dead[node] = self._dead.get(node, set()) - shared

    def _shared(self, node: str, other: str) -> list[bytes]:
        pair = frozenset((node, other))
        return [key_id for key_id, nodes in self._pairs.items() if nodes == pair]

    def master_got(self, application: str, known: Set[bytes], keys: Iterable[SuppliedKey], routes: int = 1) -> None:
        """See a master get keys, of so many routes at least: the other key manager knows of them."""
        for key in keys:
            self.seen["enc"] += 1
            item, _ = self._look(key)
            if key.routes < routes:
                self.blame("an application that asks for keys of two routes gets none of one")
            if item.master != application:
                self.blame("a key is given to its master", f"{application} is not {item.master}")
            if key.key_id not in known:
                self.blame("a supply is known at the other end before its master gets it")
            if key.key_id in self._refused:
                self.blame("no key is given after it was refused")
            for part in (*item.cells, *item.others):
                for place in range(part.first, part.first + part.count):
                    if self._given.setdefault((part.relay, place), key.key_id) != key.key_id:
                        self.blame("a key is given under one id")

    def slave_got(self, node: str, store: MemoryStore, application: str, keys: Iterable[SuppliedKey]) -> None:
        """See a slave get keys: it was named, it gets them once, and that is durable."""
        for key in keys:
            self.seen["dec"] += 1
            item, _ = self._look(key)
            if application not in item.slaves:
                self.blame("a key is given to applications that were named", application)
            if (key.key_id, application) in self._delivered.setdefault(node, set()):
                self.blame("a key is delivered once")
            self._delivered[node].add((key.key_id, application))
            if key.key_id in self._dead.get(node, ()):
                self.blame("no key is delivered after it was burned")
            row = store.supplies.get(key.key_id)
            if row is not None and application in row.slaves:
                self.blame("a delivery is durable before the key leaves")

    def _look(self, key: SuppliedKey) -> tuple[SupplyItem, bytes]:
        item, expected = self._supplies[key.key_id]
        with key.key.reveal() as view:
            if bytes(view) != expected:
                self.blame("both ends have the same key")
        if key.routes != (2 if item.others else 1):
            self.blame("a key says how many routes it went")
        if item.others:
            self._given_over_two(item, expected)
        return item, expected

    # --- counters ---------------------------------------------------------------------------------------------------

    def counted(self, status: NodeStatus) -> None:
        """See the counters of a node: every bit and every key is somewhere, once."""
        for link in status.links.values():
            if not link.adds_up:
                self.blame("the bits of a link add up", repr(link))
        for pair in status.pairs.values():
            if not pair.adds_up:
                self.blame("the keys of a pair add up", repr(pair))

    def stored(self, node: str, store: MemoryStore) -> None:
        """See the counters of a store: they add up, whenever its node dies."""
        for of, counted in store.counters.items():
            kind, name = of.split(":", 1)
            if kind == "link":
                there = sum(
                    _stored(block.size, block.own_half, block.own, block.passed)
                    for block in store.blocks.values()
                    if block.link == name
                )
                there += sum(counted.get(kind, 0) for kind in ("leased", "spent_pad", "spent_tag"))
                there += _sum(counted, "discarded:")
                if there != counted.get("drawn", 0):
                    self.blame("the bits of a link add up in the store", f"{node}: {there} of {dict(counted)}")
            else:
                own = held = 0
                for batch in store.batches.values():
                    if batch.neighbour == name:
                        own += (batch.count - batch.taken) * batch.started_here
                        held += (batch.count - batch.taken) * (not batch.started_here)
                own += counted.get("taken", 0) + _sum(counted, "burned:")
                held += counted.get("supplied", 0) + counted.get("skipped", 0) + _sum(counted, "dropped:")
                if (own, held) != (counted.get("born", 0), counted.get("held", 0)):
                    self.blame("the keys of a pair add up in the store", f"{node}: {own}, {held} of {dict(counted)}")


def _stored(size: int, own_half: int, own: int, passed: int) -> int:
    halves = size // 2, size - size // 2
    return 8 * (halves[own_half] - own + halves[1 - own_half] - passed)


def _sum(counted: Mapping[str, int], prefix: str) -> int:
    return sum(amount for name, amount in counted.items() if name.startswith(prefix))
