"""What the parts of a node's core share: its time, its actions, and what happens when one of them is done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

from tokaido.node.core._actions import Action, Answer, Clear, Commit, Raise, Send
from tokaido.node.core._writes import PutBatch, PutBlock, PutSupply, SetNeighbour
from tokaido.node.messages import Envelope, Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tokaido.hal import KeyMaterial
    from tokaido.node.core._alarm_codes import AlarmCode
    from tokaido.node.core._counters import Counters
    from tokaido.node.core._events import Answered, Committed, Received, Unanswered
    from tokaido.node.core._settings import CoreSettings
    from tokaido.node.core._state import Neighbour
    from tokaido.node.core._writes import Range, Write
    from tokaido.node.messages import Message

    Loaded: TypeAlias = tuple[KeyMaterial, ...]
    OnCommit: TypeAlias = Callable[[Loaded], None]
    OnAnswer: TypeAlias = Callable[[Message | None], None]
    """None: it is unknown whether the neighbour acted."""
    OnEnvelope: TypeAlias = Callable[[Envelope | None], None]


UNANSWERED_S: Final = 0.5
"""Pause before a neighbour that did not answer is greeted again."""
REFUSED_S: Final = 0.05
"""Pause before one is greeted again that does not know this run."""


class Context:
    """Shared by all parts of one core."""

    def __init__(
        self, settings: CoreSettings, run: bytes, counters: Counters, entropy: Callable[[int], bytes], now_s: float
    ) -> None:
        self.settings = settings
        self.run = run
        self.counters = counters
        self.entropy = entropy
        self.now_s = now_s
        self.neighbours: dict[str, Neighbour] = {}
        self.draining = False
        self.relaying = True
        self.actions: list[Action] = []
        self.exchanges: dict[int, Envelope] = {}
        """What neighbours asked and were not answered."""
        self._token = 0
        self._n = 0
        self._commits: dict[int, tuple[Commit, OnCommit | None, Neighbour | None]] = {}
        self._sends: dict[int, tuple[Envelope, OnEnvelope]] = {}
        self._alarms: set[tuple[AlarmCode, str]] = set()

    @property
    def idle(self) -> bool:
        """Whether nothing is under way but greetings."""
        asked = any(envelope.to for envelope, _ in self._sends.values())
        return not (self._commits or asked or self.exchanges)

    def commit(
        self,
        writes: Iterable[Write],
        then: OnCommit | None = None,
        *,
        loads: tuple[Range, ...] = (),
        concerns: Neighbour | None = None,
    ) -> None:
        """Have writes made durable, then call `then`.

        A commit that `concerns` a neighbour raises the mark that it is told, once it has heard with which mark this run
        started: one that rose before could hide that our store went back.
        """
        listed = list(writes)
        if concerns is not None and concerns.greeted:
            concerns.mark += 1
            listed.append(SetNeighbour(concerns.name, mark=concerns.mark))
        self._token += 1
        commit = Commit(self._token, tuple(listed), loads)
        self._commits[self._token] = commit, then, concerns
        self.actions.append(commit)

    def committed(self, event: Committed) -> None:
        """Go on after a commit."""
        commit, then, concerns = self._commits.pop(event.token)
        for write in commit.writes:
            if isinstance(write, SetNeighbour) and write.mark is not None and concerns is not None:
                concerns.mark_durable = max(concerns.mark_durable, write.mark)
        _wipe_keys(commit)
        if then is not None:
            then(event.loaded)

    def ask(
        self, neighbour: Neighbour, to: bytes, body: Message, then: OnEnvelope, within_s: float | None = None
    ) -> None:
        """Send a question to one run of a neighbour; `then` gets the envelope of its answer."""
        self._token += 1
        self._n += 1
        envelope = Envelope(run=self.run, to=to, n=self._n, body=body)
        self._sends[self._token] = envelope, then
        self.actions.append(Send(self._token, neighbour.name, envelope, within_s or self.settings.answer_s))

    def send(self, neighbour: Neighbour, body: Message, then: OnAnswer, within_s: float | None = None) -> None:
        """Send a question to the run of a neighbour that is known; an answer of another one counts for nothing.

        `within_s` is how long it may take to answer; default: what the settings say.
        """
        asked = neighbour.run

        def heard(envelope: Envelope | None) -> None:
            answer = None if envelope is None else envelope.body
            if envelope is not None and envelope.run == neighbour.run:
                neighbour.heard_s = self.now_s
            refused = isinstance(answer, Refused) and answer.why == "hello"
            if answer is None or refused:
                neighbour.up = False
                neighbour.hello_at_s = self.now_s + (REFUSED_S if refused else UNANSWERED_S)
            if envelope is not None and not refused and not asked == envelope.run == neighbour.run:
                answer = None
            then(answer)

        self.ask(neighbour, asked, body, heard, within_s)

    def answered(self, event: Answered | Unanswered, envelope: Envelope | None) -> None:
        """Go on after a question was answered, or not."""
        asked, then = self._sends.pop(event.token)
        if envelope is not None and (envelope.to, envelope.n) != (self.run, asked.n):
            envelope = None
        then(envelope)

    def received(self, event: Received) -> None:
        """Note a question that is to be answered."""
        self.exchanges[event.exchange] = event.envelope

    def answer(self, exchange: int, body: Message) -> None:
        """Answer what a neighbour asked, once."""
        asked = self.exchanges.pop(exchange, None)
        if asked is not None:
            self.actions.append(Answer(exchange, Envelope(run=self.run, to=asked.run, n=asked.n, body=body)))

    def refuse(self, exchange: int, why: str, what: str = "", *, node: str = "") -> None:
        """Answer that nothing was done; `node` is who refused, if it was another one."""
        self.answer(exchange, Refused(why=why, what=what, node=node))

    def raise_alarm(self, code: AlarmCode, of: str, text: str) -> None:
        """Raise an alarm. One that is latched tells what happened: it is told each time, and is over at once."""
        told = Raise(code.name, code.severity, of, text, code.latched)
        if code.latched:
            self.actions += told, Clear(code.name, of)
        elif (code, of) not in self._alarms:
            self._alarms.add((code, of))
            self.actions.append(told)

    def clear_alarm(self, code: AlarmCode, of: str) -> None:
        """Clear an alarm if it was raised."""
        if (code, of) in self._alarms:
            self._alarms.remove((code, of))
            self.actions.append(Clear(code.name, of))


def _wipe_keys(commit: Commit) -> None:
    for write in commit.writes:
        if isinstance(write, PutBlock):
            write.key.wipe()
        elif isinstance(write, PutBatch):
            write.cells.wipe()
        elif isinstance(write, PutSupply) and write.key is not None:
            write.key.wipe()
