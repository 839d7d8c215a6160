"""Whether a line whose replies carry no id is in step: docs/explanation/plain-lines.md tells the theory."""

from __future__ import annotations

from typing import Any, Final

from tokaido.hal._clock import NS_PER_S, Clock
from tokaido.hal._errors import DeviceTimeoutError, TokaidoError
from tokaido.hal.transports._codec import GARBLED, NOT_MINE, Request

QUIET_NS: Final = NS_PER_S // 20
"""How long a line must be silent to be called quiet. A USB adapter holds bytes back for up to 16 ms."""
LONGEST_PAUSE_NS: Final = 5 * NS_PER_S
"""Longest time until a silent device is sent the next marker."""
LINES: Final = 2
"""At most so many lines answer one question: a complaint and the answer."""
NOISE: Final[Request[bytes, Any]] = Request("noise", b"", lambda _frame: NOT_MINE)
"""What is owed after a line that nobody asked for was cut."""


class Step:
    """What a line may still owe: the reply to one question that was given up, and replies to markers.

    The *marker* is the codec's, or else the first question of the handshake: who the device is. Its reply, the *mark*,
    is always the same and answers nothing else. Replies come in the order of the questions. So once the mark came as
    often as markers were sent, up to and including the first one behind a question, that question's reply came before
    it or is lost.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.marker: Request[bytes, Any] | None = None
        self.owed: Request[bytes, Any] | None = None
        """The question that was given up. No other is sent before its reply came or is known to be lost."""
        self._mark: bytes | None = None
        self.strays = 2
        """Markers whose replies may still come; an earlier program may have asked them."""
        self._needed = 0  # how many marks show that `owed` is no longer owed
        self._since = 0  # markers that were sent since it was given up
        self._others = 0  # lines that came since then and are not the mark
        self._sent_ns = self._heard_ns = self._gap_ns = 0  # last marker, last line, longest time that one took
        self._due_ns = self._pause_ns = self._call_ns = 0  # next marker, how long after the last, longest a gap counts
        self._until_ns = 0  # when a debt without a marker ends
        self.changed = False
        """Whether the device says something else than before; the handshake is to look at it."""
        self.took_s = 0.0
        """How long the last mark took to come, in s."""

    # --- an exchange --------------------------------------------------------------------------------------------------

    @property
    def is_marked(self) -> bool:
        """Whether the mark is known."""
        return self._mark is not None

    def is_marker(self, request: Request[bytes, Any]) -> bool:
        """Return whether a request asks what the marker asks."""
        return self.marker is not None and request.payload.upper() == self.marker.payload.upper()

    def sends(self, request: Request[bytes, Any]) -> None:
        """Take note of a request before its first byte leaves."""
        self.strays += self.is_marker(request)

    def passes(self, request: Request[bytes, Any], frame: bytes) -> bool:
        """Return whether a frame is the late reply to a marker, and so none to another request."""
        return not self.is_marker(request) and self.takes(frame)

    def takes(self, frame: bytes) -> bool:
        """Return whether a frame is the late reply to a marker."""
        if not self.strays or bare(frame) != self._mark:
            return False
        self.strays -= 1
        return True

    def answered(self, request: Request[bytes, Any], frame: bytes) -> None:
        """Take note of the frame that was the reply."""
        if not self.is_marker(request):
            self.strays = 0  # any marker before it was answered before it
            return
        if self._mark in (None, bare(frame)):
            self.strays -= 1
        self._mark = bare(frame)

    def gives_up(self, request: Request[bytes, Any], until_ns: int = 0) -> None:
        """Take note of a question whose reply may still come, without a marker only `until_ns` (0: whenever)."""
        if self.is_marker(request):
            return  # which will be recognised
        self.owed = request if self.marker is None else without_judge(request)
        self._needed = self.strays + 1
        self._since = self._others = 0
        self._due_ns = self._pause_ns = self._gap_ns = 0
        self._until_ns = until_ns

    def doubts(self) -> None:
        """Let the line be proved before the next question: something came that nobody asked for."""
        if self._mark is not None and self.owed is None:
            self.gives_up(NOISE)

    def forgets(self) -> None:
        """Owe nothing: the connection is a new one."""
        self.owed, self.strays = None, 0

    # --- proving ------------------------------------------------------------------------------------------------------

    def in_step(self) -> bool:
        """Return whether the next question may be sent: only marks are owed, and no row of them is coming in."""
        if self.marker is None and 0 < self._until_ns <= self._clock.monotonic_ns():
            self.owed = None
        return self.owed is None and not (self.strays and self._clock.monotonic_ns() < self._due_ns)

    @property
    def pause_s(self) -> float:
        """How long to wait for a line, in s, until the next marker is due, or no more marks are expected."""
        return max(self._due_ns - self._clock.monotonic_ns(), 0) / NS_PER_S

    def next_marker(self, timeout_s: float) -> Request[bytes, Any] | None:
        """Return the marker if it is to be sent now; a silent device is sent it ever more rarely, from `timeout_s`."""
        now_ns = self._clock.monotonic_ns()
        if self.owed is None or now_ns < self._due_ns:
            return None
        self._call_ns = max(round(timeout_s * NS_PER_S), QUIET_NS)
        self._pause_ns = min(2 * self._pause_ns or self._call_ns, LONGEST_PAUSE_NS)
        self._sent_ns, self._due_ns = now_ns, now_ns + self._pause_ns
        self._since += 1
        return self.marker

    def hears(self, frame: bytes) -> bool:
        """Take a line while the next question waits, and return whether it is a mark.

        A line that comes when one question, at most `LINES` a question, cannot have brought it answers a marker: the
        device says something else than before, and this is the mark from now on.
        """
        if self.marker is None:
            if self.owed is not None and _answers(self.owed, frame):
                self.owed = None
            return False
        if not bare(frame):
            return False
        now_ns = self._clock.monotonic_ns()
        gap_ns = now_ns - max(self._sent_ns, self._heard_ns)
        self._gap_ns = max(self._gap_ns, gap_ns)
        self._heard_ns, self._pause_ns = now_ns, 0
        self._due_ns = now_ns + min(max(2 * self._gap_ns, QUIET_NS), self._call_ns)
        if bare(frame) != self._mark:
            self._others += 1
            if min(self._others, self._since) <= LINES:
                return False
            self.changed = self._mark is not None
            self._mark, self._needed = bare(frame), 1
        self.strays = max(self.strays - 1, 0)
        self._needed -= 1
        self.took_s = gap_ns / NS_PER_S
        if self._needed <= 0:
            self.owed = None
        elif self.owed is not None:
            self._due_ns = now_ns  # it answers, and most of those marks may be lost
        return True

    def unproved(self) -> DeviceTimeoutError:
        """Return the error for a call that ends before its question could be sent."""
        if self.owed is None:
            what = "the device is still answering who it is"
        else:
            what = f"the reply to an earlier question ({self.owed.text}) is still owed"
        remedy = "Call again; this call's own question was not sent"
        if self.marker is None:
            remedy += ". If that reply is lost, close the transport and open another one; a check given to `on_open`"
            remedy += " that begins with a question whose answer is known saves this"
        return DeviceTimeoutError(what, remedy=remedy)


def without_judge(request: Request[bytes, Any]) -> Request[bytes, Any]:
    """Return text and bytes of a request alone: the function that judges its reply may keep a device alive."""
    return Request(request.text, request.payload, NOISE.accept, repeatable=request.repeatable)


def bare(frame: bytes) -> bytes:
    """Return a line without the blanks and line ends around it."""
    return frame.strip(b"\0\r\n \t")


def _answers(request: Request[bytes, Any], frame: bytes) -> bool:
    """Return whether a line is the reply to a request, a garbled one or a refusal included."""
    try:
        return request.accept(frame) is not NOT_MINE
    except (TokaidoError, *GARBLED):
        return True
