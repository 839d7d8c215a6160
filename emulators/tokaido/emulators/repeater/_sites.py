"""A node and its neighbours in one process: cores on stores in memory, and what passes between them, faults included.

Time is a model's: nothing happens but in `advance`. What one core wants done is done at once; only relays that a fault
delays, and waiting for an answer that never comes, take time.
"""

from __future__ import annotations

import heapq
from collections import Counter, deque
from itertools import count
from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec

from tokaido.node import core as c
from tokaido.node.messages import Envelope, Relay
from tokaido.node.store import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tokaido.hal import KeyBlockInfo, KeyMaterial

LATE_S: Final = 5.0
"""How long a delayed relay is on its way; a node waits for 2 s."""
Happens: TypeAlias = tuple[str, c.Event]
"""A node, and what happens to it."""


class Site:
    """One node: its core, and the store that it starts from."""

    def __init__(self, settings: c.CoreSettings, entropy: Callable[[int], bytes]) -> None:
        self.settings = settings
        self.store = MemoryStore()
        self.life = 0
        """Which life it is in: what was on its way to an earlier one never arrives."""
        self._entropy = entropy
        self._begin()

    def restart(self, now_s: float, store: MemoryStore | None = None) -> None:
        """Lose all that is not durable, and start again: from the store, or from a copy of it in its place."""
        self.core.close()
        if store is not None:
            self.store = store
        self.store.age_s = now_s
        self.life += 1
        self._begin()

    def _begin(self) -> None:
        self.run = self._entropy(16)
        self.core = c.NodeCore(self.settings, self.store.snapshot(), self.run, entropy=self._entropy)


class Sites:
    """A node and its neighbours.

    Args:
        settings: What each node's file says, by its name.
        node: The one that is emulated; the others are there for it.
        entropy: Where keys, ids and runs come from.
        faults: What is wrong now; somebody else changes it.
        alarm: Takes the alarms of the emulated node.
    """

    def __init__(
        self,
        settings: Mapping[str, c.CoreSettings],
        node: str,
        entropy: Callable[[int], bytes],
        faults: set[str],
        alarm: Callable[[c.Raise | c.Clear], None],
    ) -> None:
        self.now_s = 0.0
        self.sites = {name: Site(of, entropy) for name, of in settings.items()}
        self.node = node
        self.lost = next(name for name in settings if name != node)
        """Which neighbour the fault `neighbour_lost` is about."""
        self.struck: Counter[str] = Counter()
        """How many messages each fault has met."""
        self.committed: Callable[[tuple[c.Write, ...]], None] = lambda _: None
        """Takes what each commit of the emulated node wrote; its owner sets it."""
        self._faults = faults
        self._alarm = alarm
        self._numbers = count(1)
        self._order = count()
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._quiet_until_s = 0.0
        """Before then nothing happens by itself; 0: look, since something was done."""
        self._asked: dict[int, tuple[str, int, int]] = {}
        self._answers: dict[int, c.Keys | c.Refusal] = {}
        for name in self.sites:
            self.do(name, c.Started())

    @property
    def core(self) -> c.NodeCore:
        """The core of the emulated node."""
        return self.sites[self.node].core

    def advance(self, to_s: float) -> None:
        """Let time pass, and do what comes due."""
        while self._quiet_until_s <= to_s:
            woken = min(self.sites, key=lambda name: self.sites[name].core.wake_s)
            wake_s = max(self.sites[woken].core.wake_s, self.now_s)
            due_s = self._due[0][0] if self._due else float("inf")
            if min(wake_s, due_s) > to_s:
                self._quiet_until_s = min(wake_s, due_s)
                break
            self.now_s = max(self.now_s, min(wake_s, due_s))
            if due_s <= wake_s:
                heapq.heappop(self._due)[2]()
            else:
                self.do(woken, c.Tick())
        self.now_s = to_s

    def draw(self, link: str, info: KeyBlockInfo, keys: Mapping[str, KeyMaterial]) -> None:
        """Have the units at both ends of a link give a block."""
        for name, key in keys.items():
            self.do(name, c.Drawn(next(self._numbers), link, info, key))

    def use_keys(self, master_at: str, slave_at: str, number: int) -> bool:
        """Have applications at two nodes take keys, and return whether there were enough."""
        master, slave = f"{master_at}-app", f"{slave_at}-app"
        taken = self._asks(master_at, c.EncKeys(next(self._numbers), master, (slave,), number, 256))
        if not isinstance(taken, c.Keys):
            return False
        ids = tuple(key.key_id for key in taken.keys)
        fetched = self._asks(slave_at, c.DecKeys(next(self._numbers), slave, master, ids))
        for key in (*taken.keys, *(fetched.keys if isinstance(fetched, c.Keys) else ())):
            key.key.wipe()
        return True

    def restart(self, store: MemoryStore | None = None) -> None:
        """Let the emulated node start again."""
        self.sites[self.node].restart(self.now_s, store)
        self.do(self.node, c.Started())

    def wipe(self) -> None:
        """Erase every key in memory."""
        for site in self.sites.values():
            site.core.close()
            site.store.close()

    def do(self, name: str, event: c.Event) -> None:
        """Hand an event to a node, and do what it wants done until all is quiet."""
        self._quiet_until_s = 0.0
        waiting: deque[Happens] = deque([(name, event)])
        while waiting:
            at, happened = waiting.popleft()
            for action in self.sites[at].core.handle(happened, self.now_s):
                waiting.extend(self._done(at, action))

    # --- what cores want done -----------------------------------------------------------------------------------------

    def _asks(self, at: str, event: c.EncKeys | c.DecKeys) -> c.Keys | c.Refusal | None:
        self.do(at, event)
        answer = self._answers.pop(event.request, None)
        if answer is None:  # it waits for a neighbour that does not answer
            self.do(at, c.Abandoned(event.request))
        self._answers.clear()  # of those who left
        return answer

    def _done(self, name: str, action: c.Action) -> list[Happens]:
        match action:
            case c.Commit(token=token, writes=writes):
                (loaded,) = self.sites[name].store.commit([action])
                if name == self.node:
                    self.committed(writes)
                return [(name, c.Committed(token, loaded))]
            case c.Send():
                return self._send(name, action)
            case c.Answer(exchange=exchange, envelope=envelope):
                return self._answered(name, exchange, envelope)
            case c.Keys(request=request) | c.Refusal(request=request):
                self._answers[request] = action
            case c.Raise() | c.Clear() if name == self.node:
                self._alarm(action)
            case _:
                pass
        return []

    def _send(self, name: str, send: c.Send) -> list[Happens]:
        other, envelope, body = send.neighbour, send.envelope, send.envelope.body
        if self._cut(name, other):
            self._unanswered(name, send.token, send.within_s)
            return []
        if not isinstance(body, Relay):
            return [self._arrives(other, name, envelope, send.token)]
        if self._strikes("relay_alters"):
            altered = bytes([body.ciphertext[0] ^ 1]) + body.ciphertext[1:]
            envelope = msgspec.structs.replace(envelope, body=msgspec.structs.replace(body, ciphertext=altered))
        if self._strikes("relay_delays"):
            self._unanswered(name, send.token, send.within_s)
            self._later(LATE_S, lambda: self.do(*self._arrives(other, name, envelope)))
            return []
        happens = [self._arrives(other, name, envelope, send.token)]
        if self._strikes("relay_replays"):
            happens.append(self._arrives(other, name, envelope))
        if self._strikes("relay_loops"):  # as if the neighbour had passed it on
            looped = Envelope(run=self.sites[other].run, to=envelope.run, n=next(self._numbers), body=envelope.body)
            happens.append(self._arrives(name, other, looped))
        return happens

    def _arrives(self, at: str, sender: str, envelope: Envelope, token: int | None = None) -> Happens:
        """Return that a question arrives; without a token nobody waits for its answer."""
        exchange = next(self._numbers)
        if token is not None:
            self._asked[exchange] = sender, self.sites[sender].life, token
        return at, c.Received(exchange, sender, envelope)

    def _answered(self, name: str, exchange: int, envelope: Envelope) -> list[Happens]:
        asker, life, token = self._asked.pop(exchange, ("", 0, 0))
        if not asker or self.sites[asker].life != life:  # of what came twice, late, or from another life
            return []
        if self._cut(name, asker):
            self._unanswered(asker, token, self.sites[asker].settings.answer_s)
            return []
        return [(asker, c.Answered(token, envelope))]

    def _unanswered(self, name: str, token: int, within_s: float) -> None:
        life = self.sites[name].life

        def tell() -> None:
            if self.sites[name].life == life:
                self.do(name, c.Unanswered(token, "nobody answers"))

        self._later(within_s, tell)

    def _cut(self, one: str, other: str) -> bool:
        return self.lost in (one, other) and self._strikes("neighbour_lost")

    def _strikes(self, fault: str) -> bool:
        there = fault in self._faults
        self.struck[fault] += there
        return there

    def _later(self, delay_s: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._due, (self.now_s + delay_s, next(self._order), act))
