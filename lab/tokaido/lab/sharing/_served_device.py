"""One device of a server: a thread that talks with it, what it said lately, and what it sent unasked."""

from __future__ import annotations

import logging
import os
import threading
from collections import deque
from typing import TYPE_CHECKING, Final

from tokaido.hal import (
    NS_PER_S,
    SYSTEM_CLOCK,
    Clock,
    ClosedError,
    Device,
    DeviceTimeoutError,
    OutcomeUnknownError,
    ProtocolError,
    TokaidoError,
    TransportError,
)
from tokaido.hal.driver import LineDevice, Request
from tokaido.hal.sharing import Reply, refusal
from tokaido.lab.sharing._jobs import AGE, Job, Judge, Kept, Overheard, Verdict, Waiter, head_of

if TYPE_CHECKING:
    from tokaido.hal import DeviceEntry
    from tokaido.hal.transports import TextTransport
    from tokaido.lab.sharing._guard import Guard

KEPT_LINES: Final = 1000
"""Lines that came unasked and are kept for those who ask later."""
KEPT_REPLIES: Final = 1000
VERDICT_S: Final = 1.0
"""How long a device waits to learn whether its reply could be read; a client that does not say so could not."""
MOST_WAITING: Final = 1000
"""Exchanges that wait at one device; a further one is refused."""
LISTEN_S: Final = 0.02
"""How long the thread listens for lines at a time, while somebody waits for them and nobody asks anything."""

logger = logging.getLogger("tokaido.lab.sharing")


class DeviceInUse:
    """A device whose port this program has.

    Args:
        entry: What the station says of it.
        kind: Its driver.
        guard: The interlocks of the station.
        fresh_s: How old a reply may be that is given to somebody else, in s.
        clock: Where time comes from.
    """

    def __init__(
        self,
        entry: DeviceEntry,
        kind: type[LineDevice],
        guard: Guard,
        *,
        fresh_s: float,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.entry = entry
        self.kind = kind
        self.exchanges = 0
        """How many were made with the device."""
        self._guard = guard
        self._opening = threading.Lock()
        self._fresh_ns = round(fresh_s * NS_PER_S)
        self._openings_before = int.from_bytes(os.urandom(6), "big")  # no generation is that of an earlier server
        self._clock = clock
        self._lock = threading.Condition()
        self._jobs: deque[Job] = deque()
        self._shared: dict[str, Job] = {}
        self._kept: dict[str, Kept] = {}
        self._sorts: dict[str, tuple[bool, bool]] = {}
        self._lines: deque[bytes] = deque(maxlen=KEPT_LINES)
        self._last_line = 0
        self._listeners: list[tuple[int, Waiter]] = []
        self._verdicts: dict[int, Verdict] = {}
        self._last_verdict = 0
        self._device: LineDevice | None = None
        self._closing = False
        self._thread = threading.Thread(target=self._live, name=f"serve-{entry.name}", daemon=True)

    def start(self) -> None:
        """Begin to serve; the device itself is opened with the first exchange."""
        self._thread.start()

    def close(self) -> None:
        """End the thread and disconnect; changes nothing in the device."""
        with self._lock:
            self._closing = True
            self._lock.notify()
        with self._opening:
            device = self._device
        if device is not None:
            device.close()  # ends an exchange that is under way
        if self._thread.ident is not None:
            self._thread.join()

    # --- what the server's thread asks for ----------------------------------------------------------------------------

    def sort(self, text: str) -> tuple[bool, bool]:
        """Return whether a text is a question, and whether its reply may be shared."""
        found = self._sorts.get(text)
        if found is None:
            if len(self._sorts) >= KEPT_REPLIES:
                self._sorts.clear()
            found = self._sorts[text] = (self.kind.asks(text), self.kind.shares(text))
        return found

    def recent(self, text: str) -> bytes | None:
        """Return the message that tells a reply to this text, with its age, if one is fresh enough for everybody."""
        kept = self._kept.get(text)  # a command clears it before it is sent
        if kept is None:
            return None
        age_ns = self._clock.monotonic_ns() - kept.asked_ns
        return kept.head + AGE(age_ns / NS_PER_S) if age_ns <= self._fresh_ns else None

    def ask(self, text: str, waiter: Waiter, *, shared: bool) -> bool:
        """Have a question asked, or share the reply with those who ask it now; return whether there is room."""
        with self._lock:
            job = self._shared.get(text) if shared else None
            now_ns = self._clock.monotonic_ns()
            if job is not None and (not job.start_ns or now_ns - job.start_ns <= self._fresh_ns):
                job.waiters.append(waiter)
                return True
            return self._put(Job(text, repeatable=True, changes=False, shared=shared), waiter)

    def command(self, text: str, waiter: Waiter, *, repeatable: bool, force: str = "", remedy: str = "") -> bool:
        """Have a command given, once; return whether there is room."""
        with self._lock:
            job = Job(text, repeatable=repeatable, changes=True, shared=False, force=force, remedy=remedy)
            return self._put(job, waiter)

    def listen(self, after: int, waiter: Waiter) -> None:
        """Have somebody told of lines that came unasked since the one of that number."""
        with self._lock:
            if self._last_line > after or waiter.deadline_ns <= self._clock.monotonic_ns():
                waiter.answer(self._lines_after(after))
                return
            self._listeners.append((after, waiter))
            self._lock.notify()

    def _put(self, job: Job, waiter: Waiter) -> bool:
        if len(self._jobs) >= MOST_WAITING:
            return False
        job.waiters.append(waiter)
        self._jobs.append(job)
        if job.shared:
            self._shared[job.text] = job
        self._lock.notify()
        return True

    # --- the thread ---------------------------------------------------------------------------------------------------

    def _live(self) -> None:
        try:
            while (job := self._next()) is not None:
                self._do(job)
        finally:
            device, self._device = self._device, None
            if device is not None:
                device.close()

    def _next(self) -> Job | None:
        """Return what is to be done next; None when the server closes."""
        while True:
            with self._lock:
                while not self._closing and not self._jobs and not self._listeners:
                    self._lock.wait()
                if self._closing:
                    return None
                if self._jobs:
                    return self._jobs.popleft()
            self._listen()

    def _do(self, job: Job) -> None:
        start_ns = self._clock.monotonic_ns()
        with self._lock:
            waiting = [waiter for waiter in job.waiters if waiter.deadline_ns > start_ns]
            late = [waiter for waiter in job.waiters if waiter.deadline_ns <= start_ns]
            job.waiters[:] = waiting
            job.start_ns = start_ns
            if not waiting and self._shared.get(job.text) is job:
                del self._shared[job.text]
            if job.changes:
                self._kept.clear()
        for waiter in late:
            waiter.answer(refusal(self._too_late(job)))
        if not waiting:
            return
        timeout_s = (max(waiter.deadline_ns for waiter in waiting) - start_ns) / NS_PER_S
        reply, told = self._exchange(job, timeout_s)
        with self._lock:
            if self._shared.get(job.text) is job:
                del self._shared[job.text]
            if job.changes:
                self._kept.clear()
            elif reply.ok and self.sort(job.text)[1]:
                if len(self._kept) >= KEPT_REPLIES:
                    self._kept.clear()
                self._kept[job.text] = Kept(head_of(reply), start_ns)
            waiters = tuple(waiter for waiter in job.waiters if waiter is not told)
        if reply.ok and job.shared:
            reply.age_s = (self._clock.monotonic_ns() - start_ns) / NS_PER_S
        for waiter in waiters:
            waiter.answer(reply)

    def _exchange(self, job: Job, timeout_s: float) -> tuple[Reply, Waiter | None]:
        """Return the device's reply, or what kept it from coming; and who has it already."""
        judge = Judge(job, self.await_verdict)
        try:
            device = self.opened(timeout_s)
            if not job.changes:
                return self._asked(device.transport, job, judge, timeout_s), judge.told
            order = self._guard.order(device, job.text, force=job.force, remedy=job.remedy, within_s=timeout_s)
            with order as left_s:
                return self._asked(device.transport, job, judge, left_s), judge.told
        except TokaidoError as error:
            return refusal(error, sent=isinstance(error, OutcomeUnknownError)), judge.told
        except ValueError as error:  # the codec cannot say it
            return refusal(ProtocolError(f"{job.text[:80]!r} cannot be said to {self.entry.driver}: {error}")), None
        except Exception:
            logger.exception("%s: %s failed in the server", self.entry.name, job.text[:80])
            return refusal(TransportError("the server failed", remedy="Its log says more"), sent=True), judge.told

    def _asked(self, transport: TextTransport, job: Job, judge: Judge, timeout_s: float) -> Reply:
        request = transport.codec.request(job.text, repeatable=job.repeatable)
        self.exchanges += 1
        judge.generation = self._openings_before + transport.generation
        if not getattr(transport.codec, "correlated", False):
            request = Request(request.text, request.payload, judge.accepts(request), request.repeatable)
        text = transport.exchange(request, timeout_s)
        return Reply(text=text, generation=self._openings_before + transport.generation)

    def judged(self, exchange: int, *, right: bool) -> None:
        """Take a client's verdict on a reply."""
        verdict = self._verdicts.get(exchange)
        if verdict is not None:
            verdict.right = right
            verdict.given.set()

    def await_verdict(self, waiter: Waiter, text: str, generation: int) -> bool:
        """Hand out a reply, and return whether who asked could read it."""
        self._last_verdict += 1
        number, verdict = self._last_verdict, Verdict()
        self._verdicts[number] = verdict
        try:
            waiter.answer(Reply(text=text, generation=generation, exchange=number))
            verdict.given.wait(VERDICT_S)
        finally:
            del self._verdicts[number]
        return verdict.right

    def opened(self, timeout_s: float = 0.0) -> LineDevice:
        """Return the device, opened with the first call; any thread may ask it something.

        Raises:
            TransportError: It could not be reached.
            ConfigurationError: An interlock does not fit it.
            ClosedError: The server was closed.
        """
        with self._opening:
            if self._device is None:
                self._device = self._open(timeout_s)
            return self._device

    def _open(self, timeout_s: float) -> LineDevice:
        if self._closing:
            raise ClosedError("the server was closed")
        entry = self.entry
        device = Device.open(
            entry.driver,
            name=entry.name,
            serial_number=entry.serial_number,
            timeout=max(entry.timeout, timeout_s),
            clock=self._clock,
            control=entry.resources["control"],
        )
        try:
            if not isinstance(device, LineDevice):
                raise TypeError(f"{entry.driver} does not speak in lines")
            device.transport.codec = Overheard(device.transport.codec, self._hear)
            self._guard.bind(device)
        except BaseException:
            device.close()
            raise
        return device

    def _too_late(self, job: Job) -> DeviceTimeoutError:
        return DeviceTimeoutError(
            "others had their turn until the deadline; nothing was sent",
            device=self.entry.name,
            command=job.text,
            remedy="Give the call more time, or ask less often",
        )

    # --- what comes unasked -------------------------------------------------------------------------------------------

    def _hear(self, line: bytes) -> None:
        with self._lock:
            self._lines.append(line)
            self._last_line += 1

    def _listen(self) -> None:
        if self._device is not None:
            try:
                self._device.transport.listen(LISTEN_S)
            except TokaidoError as error:
                logger.debug("%s: nothing to listen to: %s", self.entry.name, error)
                self._clock.wait(LISTEN_S)
        else:
            self._clock.wait(LISTEN_S)
        now_ns = self._clock.monotonic_ns()
        with self._lock:
            told = [
                (waiter, self._lines_after(after))
                for after, waiter in self._listeners
                if self._last_line > after or waiter.deadline_ns <= now_ns
            ]
            answered = {id(waiter) for waiter, _ in told}
            self._listeners = [one for one in self._listeners if id(one[1]) not in answered]
        for waiter, reply in told:
            waiter.answer(reply)

    def _lines_after(self, after: int) -> Reply:
        new = min(max(self._last_line - after, 0), len(self._lines))
        lines = list(self._lines)[len(self._lines) - new :] if new else []
        return Reply(lines=lines, last=self._last_line)
