"""What is to be asked of a device and for whom, who judges the reply, and what is kept of it."""

from __future__ import annotations

import struct
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import msgspec

from tokaido.hal import ProtocolError
from tokaido.hal.driver import NOT_MINE, NotMine, Request

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokaido.hal.driver import Codec
    from tokaido.hal.sharing import Reply

AGE: Final = struct.Struct(">d").pack
AGE_BYTES: Final = 8
"""How MessagePack has a number, behind one byte that says so."""


@dataclass(slots=True)
class Waiter:
    """One client that waits for a reply."""

    answer: Callable[[Reply], None]
    deadline_ns: int


@dataclass(slots=True)
class Job:
    """One exchange with the device, and who waits for its reply."""

    text: str
    repeatable: bool
    changes: bool
    """Whether it may change something in the device."""
    shared: bool
    force: str = ""
    """Why interlocks may be overruled."""
    remedy: str = ""
    """What to tell who would overrule them and may not."""
    waiters: list[Waiter] = field(default_factory=list)
    start_ns: int = 0


class Verdict:
    """Whether who asked could read the reply; until then the device is asked nothing else."""

    def __init__(self) -> None:
        self.right = False
        self.given = threading.Event()


@dataclass(slots=True)
class Kept:
    """A reply that the device gave, for everybody who asks the same."""

    head: bytes
    """The message that tells it, but for its last member, the age."""
    asked_ns: int


def head_of(reply: Reply) -> bytes:
    """Return the message that tells a device's reply, but for its age."""
    told = {"text": reply.text, "generation": reply.generation, "age_s": 0.0}
    return msgspec.msgpack.encode(told)[:-AGE_BYTES]


class Judge:
    """Lets who asked judge a reply while the exchange runs, where only its form tells a wrong one: plain text.

    A reply that cannot be read then fails the exchange, as it does at the port, and the transport finds its step again
    before anybody else is answered.
    """

    def __init__(self, job: Job, await_verdict: Callable[[Waiter, str, int], bool]) -> None:
        self._await_verdict = await_verdict
        self._job = job
        self.generation = 0
        self.told: Waiter | None = None
        """Who has the reply already."""

    def accepts(self, request: Request[bytes, str]) -> Callable[[bytes], str | NotMine]:
        """Return what accepts the reply to a request."""

        def accept(frame: bytes) -> str | NotMine:
            text = request.accept(frame)
            if text is NOT_MINE:
                return text
            self.told = self._job.waiters[0]
            if not self._await_verdict(self.told, text, self.generation):
                raise ProtocolError(f"{self._job.text[:80]!r} got a reply that is none: {text[:80]!r}")
            return text

        return accept


class Overheard:
    """The driver's own codec, which also tells the server what came unasked."""

    def __init__(self, codec: Codec, hear: Callable[[bytes], None]) -> None:
        self._codec = codec
        self._hear = hear
        self.request: Callable[..., Request[bytes, str]] = codec.request
        self.terminator = codec.terminator
        self.max_frame = codec.max_frame

    def unsolicited(self, frame: bytes) -> None:
        """Take a frame that answers nobody."""
        self._codec.unsolicited(frame)
        self._hear(frame)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._codec, name)
