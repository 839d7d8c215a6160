"""HELLO: who a neighbour is, in which run, and whether its store or ours went back in time (TNP1, section 2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tokaido.node.core._alarm_codes import AlarmCode
from tokaido.node.core._writes import SetNeighbour
from tokaido.node.messages import VERSION, Envelope, Hello, Refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokaido.node.core._context import Context
    from tokaido.node.core._state import Neighbour

HELLO_S: Final = 5.0
"""How often HELLO is said to a neighbour that answers."""
PAUSES_S: Final = 0.5, 5.0
"""Pause after the first HELLO without an answer, and the longest one."""
SILENT_S: Final = 10.0
"""After so long without a word a neighbour is called silent."""


class Greetings:
    """Says and hears HELLO."""

    def __init__(
        self, context: Context, met: Callable[[Neighbour], None], burn: Callable[[Neighbour, str], None]
    ) -> None:
        self._context = context
        self._met = met
        self._burn = burn

    def pump(self, neighbour: Neighbour) -> None:
        """Say HELLO if it is time to."""
        now = self._context.now_s
        if now - neighbour.heard_s >= SILENT_S:
            self._context.raise_alarm(
                AlarmCode.NEIGHBOUR_SILENT, neighbour.name, f"nothing was heard for {SILENT_S:.0f} s"
            )
        last = self._context.draining and self._context.idle and self.owes_mark(neighbour)
        if neighbour.hello_open or (now < neighbour.hello_at_s and not last):
            return
        neighbour.hello_open = True
        confessed, run = neighbour.to_confess, neighbour.run
        hello = self._hello(neighbour)

        def heard(envelope: Envelope | None) -> None:
            if envelope is not None and run != neighbour.run != envelope.run:
                neighbour.hello_open = False  # which of the two runs is the newer one?
                neighbour.hello_at_s = self._context.now_s
            else:
                self._answered(neighbour, envelope, hello.mark, confessed=confessed)

        self._context.ask(neighbour, b"", hello, heard)

    def owes_mark(self, neighbour: Neighbour) -> bool:
        """Whether a neighbour that answers does not know the mark of this node, so that our store could go back."""
        return neighbour.up and neighbour.greeted and neighbour.heard_mark < neighbour.mark_durable

    def wake_s(self, neighbour: Neighbour) -> float:
        """Return when `pump` is next needed."""
        silent_s = neighbour.heard_s + SILENT_S
        silent_s = silent_s if silent_s > self._context.now_s else float("inf")
        return min(silent_s, float("inf") if neighbour.hello_open else neighbour.hello_at_s)

    def asked(self, exchange: int, neighbour: Neighbour, envelope: Envelope, hello: Hello) -> None:
        """Hear a HELLO that came as a question: as old as its way was long."""
        if hello.version != VERSION or hello.node != neighbour.name:
            self._mismatch(neighbour, hello)
            self._context.refuse(exchange, "version", f"this is {self._context.settings.node}, TNP{VERSION}")
            return
        if envelope.run != neighbour.run:
            self._new_run(neighbour, envelope.run)
            neighbour.hello_at_s = self._context.now_s
        answer = self._hello(neighbour)
        self._hear(neighbour, hello)
        self._context.answer(exchange, answer)

    def went_back(self, neighbour: Neighbour, text: str, *, ours: bool = False) -> None:
        """Burn what a store that went back in time makes doubtful, raise the alarm, and tell the neighbour."""
        if ours and neighbour.to_confess:
            return
        if ours:
            neighbour.to_confess = True
            neighbour.hello_at_s = self._context.now_s
        else:
            neighbour.went_back = neighbour.run
        self._context.raise_alarm(AlarmCode.STORE_ROLLBACK, neighbour.name, text)
        self._burn(neighbour, "rollback")

    def _answered(self, neighbour: Neighbour, envelope: Envelope | None, mark: int, *, confessed: bool) -> None:
        neighbour.hello_open = False
        now = self._context.now_s
        if envelope is None or not isinstance(envelope.body, Hello) or envelope.body.version != VERSION:
            neighbour.up = False
            first, longest = PAUSES_S
            neighbour.hello_pause_s = min(max(first, 2 * neighbour.hello_pause_s), longest)
            neighbour.hello_at_s = now + neighbour.hello_pause_s
            if envelope is not None and isinstance(envelope.body, (Hello, Refused)):
                self._mismatch(neighbour, envelope.body)
            return
        hello = envelope.body
        if hello.node != neighbour.name:
            self._mismatch(neighbour, hello)
            neighbour.hello_at_s = now + PAUSES_S[1]
            return
        if envelope.run != neighbour.run:
            self._new_run(neighbour, envelope.run)
        first_answer = not neighbour.believed
        neighbour.hello_pause_s, neighbour.hello_at_s, neighbour.heard_s = 0.0, now + HELLO_S, now
        for code in (AlarmCode.NEIGHBOUR_SILENT, AlarmCode.VERSION_MISMATCH):
            self._context.clear_alarm(code, neighbour.name)
        if first_answer:
            neighbour.believed = True
            if hello.mark < neighbour.told_before and neighbour.went_back != neighbour.run:
                self.went_back(neighbour, f"the store of {neighbour.name} went back in time")
        if confessed:
            neighbour.to_confess = False
        neighbour.heard_mark = max(neighbour.heard_mark, mark)
        self._hear(neighbour, hello)
        neighbour.up = True
        if not neighbour.to_confess and not neighbour.greeted:
            neighbour.greeted = True
            neighbour.mark = max(neighbour.mark, neighbour.said)
            self._context.commit((), concerns=neighbour)
        if first_answer:
            self._met(neighbour)

    def _new_run(self, neighbour: Neighbour, run: bytes) -> None:
        neighbour.run, neighbour.believed, neighbour.up = run, False, False
        neighbour.told_before = neighbour.told
        for link in neighbour.links.values():
            link.lose_all()
            link.had_n = -1

    def _hear(self, neighbour: Neighbour, hello: Hello) -> None:
        """Take what is true however old it is."""
        if hello.told > neighbour.said:
            neighbour.said = hello.told
            self.went_back(neighbour, f"{neighbour.name} was told more than the store of this node knows", ours=True)
        if hello.went_back:
            neighbour.confessed = neighbour.run
        if hello.went_back and neighbour.went_back != neighbour.run:
            self.went_back(neighbour, f"{neighbour.name} says that its store went back in time")
        if hello.mark > neighbour.told:
            neighbour.told = hello.mark
            self._context.commit([SetNeighbour(neighbour.name, told=hello.mark)])

    def _hello(self, neighbour: Neighbour) -> Hello:
        if neighbour.greeted:
            mark = neighbour.mark_durable
            neighbour.said = max(neighbour.said, mark)
        else:  # a store that went back is to show itself, whatever it counted since
            mark = neighbour.start_mark
        return Hello(
            node=self._context.settings.node,
            mark=mark,
            links=tuple(neighbour.links),
            told=neighbour.told,
            went_back=neighbour.to_confess,
        )

    def _mismatch(self, neighbour: Neighbour, said: Hello | Refused) -> None:
        if isinstance(said, Hello):
            text = f"it says that it is {said.node} and speaks TNP{said.version}"
        elif said.why == "version":
            text = f"it does not take this node's HELLO: {said.what}"
        else:
            return
        self._context.raise_alarm(AlarmCode.VERSION_MISMATCH, neighbour.name, text)
