"""Cores of nodes, side by side: what one wants done is done at once, unless a test stands in between."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING

import tokaido.node.core as c
from tokaido.hal import KeyBlockInfo, KeyMaterial
from tokaido.node.messages import Envelope, Message, decode, encode
from tokaido.node.simulation import Scenario, settings_of
from tokaido.node.store import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Callable

LINK = "kobe-osaka"


def keys_of(answer: c.Keys | c.Refusal) -> tuple[c.SuppliedKey, ...]:
    """Return the keys of an answer that has some."""
    assert isinstance(answer, c.Keys), answer
    return answer.keys


def reason_of(answer: c.Keys | c.Refusal) -> c.Reason:
    """Return why an answer has no keys."""
    assert isinstance(answer, c.Refusal), answer
    return answer.reason


class TwoNodes:
    """kobe and osaka, or the nodes of a scenario. Their applications are kobe-1, kobe-2, osaka-1 and osaka-2.

    Attributes:
        between: Stands between the nodes: gets sender and envelope, returns what arrives; None: it is lost.
        told: What each node wanted done beside messages and commits, in order.
    """

    def __init__(self, scenario: Scenario | None = None) -> None:
        self.scenario = scenario or Scenario(stock=16)
        self.settings = settings_of(self.scenario)
        self.stores = {name: MemoryStore() for name in self.settings}
        self.cores: dict[str, c.NodeCore] = {}
        self.now_s = 0.0
        self.between: Callable[[str, Envelope], Envelope | None] = lambda _, envelope: envelope
        self.told: dict[str, list[c.Action]] = {name: [] for name in self.settings}
        self.run_of: dict[str, bytes] = {}
        self._runs = count(1)
        self._numbers = count(1)
        self._asked: dict[int, tuple[str, int]] = {}
        self._answers: dict[int, Message] = {}

    def change(self, name: str, **changes: object) -> None:
        """Change settings of a node, before it starts or while it runs."""
        self.settings[name] = replace(self.settings[name], **changes)  # type: ignore[arg-type]
        if name in self.cores:
            self.do(name, c.Reconfigured(self.settings[name]))

    def start(self, *names: str) -> None:
        """Start cores from what their stores have; default: both."""
        for name in names or tuple(self.settings):
            if isinstance(self.stores[name], MemoryStore):
                self.stores[name].age_s = self.now_s
            self.run_of[name] = next(self._runs).to_bytes(16, "little")
            self.cores[name] = c.NodeCore(self.settings[name], self.stores[name].snapshot(), self.run_of[name])
        for name in names or tuple(self.settings):
            self.do(name, c.Started())

    def do(self, name: str, *events: c.Event) -> list[c.Action]:
        """Hand in events, one after the other, and return what the node wanted done until all is quiet."""
        before = len(self.told[name])
        waiting = deque((name, event) for event in events)
        while waiting:
            at, happened = waiting.popleft()
            if at in self.cores:
                for action in self.cores[at].handle(happened, self.now_s):
                    waiting.extend(self._done(at, action))
        return self.told[name][before:]

    def wait(self, seconds: float) -> None:
        """Let time pass, with a tick whenever a core wants one."""
        end_s = self.now_s + seconds
        while True:
            wake_s, name = min((core.wake_s, name) for name, core in self.cores.items())
            if wake_s > end_s:
                break
            self.now_s = max(wake_s, self.now_s)
            self.do(name, c.Tick())
        self.now_s = end_s

    def info(self, number: int, key: bytes, *, insecure: bool = False, emulated: bool = True) -> KeyBlockInfo:
        """Return what is public about a block."""
        marks = insecure, emulated
        return KeyBlockInfo("s", number, 8 * len(key), "lim2014", "chernoff", 1e-10, *marks, serial_number="T1")

    def draw(
        self,
        name: str,
        number: int,
        key: bytes,
        *,
        link: str = LINK,
        insecure: bool = False,
        emulated: bool = True,
    ) -> list[c.Action]:
        """Have the source of a node give a block."""
        info = self.info(number, key, insecure=insecure, emulated=emulated)
        return self.do(name, c.Drawn(next(self._numbers), link, info, KeyMaterial(key)))

    def draw_both(
        self, number: int, size: int = 4000, *, link: str = LINK, insecure: bool = False, emulated: bool = True
    ) -> None:
        """Have both sources of a link give the same block."""
        key = bytes((number + i * i + sum(link.encode())) % 256 for i in range(size))
        for name in self.scenario.links[link]:
            self.draw(name, number, key, link=link, insecure=insecure, emulated=emulated)

    def enc(
        self,
        name: str = "kobe",
        *,
        slaves: tuple[str, ...] = ("osaka-1",),
        number: int = 1,
        size: int = 256,
        max_age_s: float | None = None,
        master: str | None = None,
        routes: int = 1,
    ) -> c.Keys | c.Refusal:
        """Ask for keys as a master; default: kobe-1."""
        master = f"{name}-1" if master is None else master
        event = c.EncKeys(next(self._numbers), master, slaves, number, size, max_age_s, routes=routes)
        return self._answer(event.request, self.do(name, event))

    def enc_together(self, *slaves: str) -> list[c.Keys | c.Refusal]:
        """Ask kobe for keys to share with each of these slaves, before it has carried out anything."""
        events = [c.EncKeys(next(self._numbers), "kobe-1", (slave,), 1, 256) for slave in slaves]
        actions = self.do("kobe", *events)
        return [self._answer(event.request, actions) for event in events]

    def dec(
        self, ids: tuple[bytes, ...], name: str = "osaka", *, slave: str = "osaka-1", master: str = "kobe-1"
    ) -> c.Keys | c.Refusal:
        """Ask for keys as a slave; default: osaka-1."""
        event = c.DecKeys(next(self._numbers), slave, master, ids)
        return self._answer(event.request, self.do(name, event))

    def ask(
        self, to: str, body: Message, *, sender: str | None = None, run: bytes | None = None, n: int = 1 << 20
    ) -> Message:
        """Ask a node as its neighbour would, and return what it answers."""
        exchange = next(self._numbers)
        sender = sender or ("osaka" if to == "kobe" else "kobe")
        envelope = Envelope(run=run or self.run_of[sender], to=self.run_of[to], n=n, body=body)
        self.do(to, c.Received(exchange, sender, envelope))
        return self._answers.pop(exchange)

    def alarms(self, name: str) -> list[str]:
        """Return the codes that a node raised, in order."""
        return [action.code for action in self.told[name] if isinstance(action, c.Raise)]

    def _answer(self, request: int, actions: list[c.Action]) -> c.Keys | c.Refusal:
        (answer,) = (
            action for action in actions if isinstance(action, (c.Keys, c.Refusal)) and action.request == request
        )
        return answer

    def _done(self, name: str, action: c.Action) -> list[tuple[str, c.Event]]:
        match action:
            case c.Commit(token=token):
                (loaded,) = self.stores[name].commit([action])
                return [(name, c.Committed(token, loaded))]
            case c.Send(token, neighbour, envelope):
                arrived = self.between(name, envelope)
                if arrived is None or neighbour not in self.cores:
                    return [(name, c.Unanswered(token, "lost"))]
                exchange = next(self._numbers)
                self._asked[exchange] = name, token
                return [(neighbour, c.Received(exchange, name, decode(encode(arrived))))]
            case c.Answer(exchange, envelope):
                if exchange not in self._asked:
                    self._answers[exchange] = envelope.body
                    return []
                asker, token = self._asked.pop(exchange)
                arrived = self.between(name, envelope)
                if arrived is None:
                    return [(asker, c.Unanswered(token, "lost"))]
                return [(asker, c.Answered(token, decode(encode(arrived))))]
            case _:
                self.told[name].append(action)
                return []


def stocked(scenario: Scenario | None = None) -> TwoNodes:
    """Return nodes that hold one block and have keys in stock."""
    nodes = TwoNodes(scenario)
    nodes.start()
    nodes.draw_both(0)
    return nodes


def pair(nodes: TwoNodes, name: str) -> c.PairStatus:
    """Return what a node says of its only pair."""
    (status,) = nodes.cores[name].status().pairs.values()
    assert status.adds_up
    return status


def ids_of(answer: c.Keys | c.Refusal) -> tuple[bytes, ...]:
    """Return the ids of the keys of an answer."""
    return tuple(key.key_id for key in keys_of(answer))


def secrets_of(answer: c.Keys | c.Refusal) -> list[bytes]:
    """Return the bytes of the keys of an answer."""
    return [bytes(key.key.reveal()) for key in keys_of(answer)]


def text_of(nodes: TwoNodes, name: str, code: str) -> str:
    """Return what a node's last alarm of a code says."""
    texts = [action.text for action in nodes.told[name] if isinstance(action, c.Raise) and action.code == code]
    assert texts, nodes.alarms(name)
    return texts[-1]
