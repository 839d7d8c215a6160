"""The network between simulated nodes: it delays, loses and repeats, and tells a node that waited too long."""

from __future__ import annotations

from functools import partial
from itertools import count
from typing import TYPE_CHECKING, TypeAlias

from tokaido.node.core import Answer, Answered, Received, Send, Unanswered
from tokaido.node.messages import Dead, Envelope, Granted, Message, Ok, Relay, Relayed, Supplied, Supply, decode, encode
from tokaido.node.simulation import _steps

if TYPE_CHECKING:
    from tokaido.node.simulation._node import SimulatedNode
    from tokaido.node.simulation._world import World

Question: TypeAlias = tuple[str, int, int]
"""Node, life and token."""


class Network:
    """Carries questions and answers."""

    def __init__(self, world: World, *, believes_supplied: bool) -> None:
        self._world = world
        self._believes_supplied = believes_supplied
        self._waiting: dict[Question, SimulatedNode] = {}
        self._exchanges: dict[int, tuple[Question, Message, bool]] = {}
        self._numbers = count(1)

    def send(self, node: SimulatedNode, send: Send) -> None:
        """Take a question."""
        world, envelope = self._world, send.envelope
        self._observe(node, send.neighbour, envelope.body)
        name = _steps.of_message(envelope.body)
        question = node.name, node.life, send.token
        self._waiting[question] = node
        data = encode(envelope)
        world.after(send.within_s, node, partial(self._unanswered, question, "no answer in time"))
        other = world.nodes[send.neighbour]
        if world.random.random() >= world.chances.lost:
            world.later(self._delay_s(), partial(self._deliver, other, node.name, question, data, repeated=False))
        if world.random.random() < world.chances.repeated:
            delay_s = world.random.uniform(0.0, 10.0)
            world.later(delay_s, partial(self._deliver, other, node.name, question, data, repeated=True))
        if self._believes_supplied and isinstance(envelope.body, Supply):
            answer = Supplied(key_ids=tuple(item.key_id for item in envelope.body.supplies))
            believed = Envelope(run=envelope.to, to=envelope.run, n=envelope.n, body=answer)
            world.later(0.0, partial(self._answered, question, encode(believed)))
        world.dies(node, f"sent: {name}")

    def answer(self, node: SimulatedNode, answer: Answer) -> None:
        """Take an answer."""
        world, body = self._world, answer.envelope.body
        question, asked, repeated = self._exchanges.pop(answer.exchange)
        if isinstance(body, Granted):
            world.observer.granted(node.store, body)
        elif isinstance(body, Relayed):
            world.observer.relayed(node.name, node.store, body.relay)
        elif isinstance(body, Supplied):
            world.observer.supplied(node.store, body.key_ids)
        elif isinstance(body, Ok) and isinstance(asked, Dead):
            world.observer.dead(node.name, asked.supplies)
        if not repeated and world.random.random() >= world.chances.lost:
            world.later(self._delay_s(), partial(self._answered, question, encode(answer.envelope)))
        world.dies(node, f"answered: {_steps.of_message(asked)} with {_steps.of_message(body)}")

    def _observe(self, node: SimulatedNode, other: str, body: Message) -> None:
        if isinstance(body, Relay):
            self._world.observer.relay_sent(node.name, node.store, body)
        elif isinstance(body, Supply):
            self._world.observer.supply_sent(node.name, other, node.store, body.supplies)

    def _delay_s(self) -> float:
        world = self._world
        late = world.random.random() < world.chances.late
        return world.random.uniform(0.5, 6.0) if late else world.random.expovariate(100.0)

    def _deliver(self, node: SimulatedNode, sender: str, question: Question, data: bytes, *, repeated: bool) -> None:
        world, life = self._world, node.life
        if node.core is None:
            if not repeated:
                world.later(0.0, partial(self._unanswered, question, "nobody listens"))
            return
        envelope = decode(data)
        exchange = next(self._numbers)
        self._exchanges[exchange] = question, envelope.body, repeated
        world.handle(node, Received(exchange, sender, envelope))
        if node.life == life:
            world.dies(node, f"heard: {_steps.of_message(envelope.body)}")

    def _answered(self, question: Question, data: bytes) -> None:
        node = self._waiting.pop(question, None)
        if node is not None and node.life == question[1]:
            envelope = decode(data)
            self._world.handle(node, Answered(question[2], envelope))
            if node.life == question[1]:
                self._world.dies(node, f"heard answer: {_steps.of_message(envelope.body)}")

    def _unanswered(self, question: Question, why: str) -> None:
        node = self._waiting.pop(question, None)
        if node is not None and node.life == question[1]:
            self._world.handle(node, Unanswered(question[2], why))
