"""How bytes reach a device: one exchange at a time, each within its deadline, no reply to another's question."""

from __future__ import annotations

import os
import struct
import sys
import threading
from abc import ABC, abstractmethod
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, Literal, Self

from tokaido.hal._clock import SYSTEM_CLOCK, Clock, Deadline
from tokaido.hal._errors import (
    DeviceError,
    DeviceTimeoutError,
    NotConnectedError,
    OutcomeUnknownError,
    ProtocolError,
    TokaidoError,
    TransportError,
)
from tokaido.hal._numbers import real, real_in
from tokaido.hal.transports._codec import GARBLED, NOT_MINE, Codec, F, LineCodec, NotMine, Request, T
from tokaido.hal.transports._trace import TraceRecord, record
from tokaido.hal.transports._turns import Wire, in_turn, step_failed

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from types import TracebackType

    from tokaido.hal.transports._resources import Resource

__all__ = ["NOT_MINE", "Codec", "F", "LineCodec", "NotMine", "Request", "T", "Transport"]

SLICE_S = 0.1
"""Longest time in s that a waiting exchange takes to notice that its transport was closed by another thread."""

DEBUG, INFO = 10, 20
"""Levels of `logging`."""


def log(level: int, text: str, *values: object) -> None:
    """Log a line below WARNING if `logging` is loaded; if it is not, nobody can have asked for such lines.

    It is not loaded for them: it takes 6 ms, and nothing is imported within an exchange, which Ctrl-C may interrupt.
    """
    if (logger := _logger()) is not None:
        logger.log(level, text, *values, stacklevel=2)


def _logger() -> Any:
    get = getattr(sys.modules.get("logging"), "getLogger", None)
    return get and get("tokaido.hal.transport")


def _log_record(device: str, told: TraceRecord) -> None:
    log(DEBUG, "%s %s %s %s", device, told.transport, told.direction, told.text)


class Transport(ABC, Generic[F]):
    """A way to one device.

    Every call holds one re-entrant lock for the whole of an exchange and keeps one deadline, which covers the wait for
    the lock, opening, handshake and reply. A transport is *trusted* only between exchanges that went well: whatever
    else happens leaves it tainted, and the next call closes and reopens it, waits until the line is quiet and repeats
    the handshake before it sends a byte. Every error says device, transport, command and after how long.
    """

    foreign: tuple[type[Exception], ...] = (OSError, EOFError, struct.error)
    """Exceptions of the libraries below; `translate` turns them into ours."""

    def __init__(self, resource: Resource, *, clock: Clock = SYSTEM_CLOCK, timeout_s: float = 1.0) -> None:
        self.resource = resource
        self.name = f"{resource.kind}:{resource.address}"
        """What errors and traces call the transport."""
        self.device = ""
        """What errors call the device; its driver sets it."""
        self.clock = clock
        given = resource.options.get("timeout")
        self.timeout_s = real(timeout_s, "timeout") if given is None else real_in(given)
        """Deadline in s of a call that names none; the resource's own `timeout` goes before the driver's."""
        self.generation = 0
        """How many times the transport was opened, handshake included."""
        self._lock = threading.RLock()
        self._process = 0  # the process that opened it, 0 if none did yet
        self._owner = 0  # the thread whose turn it is, 0 if none
        self._occupant: tuple[int, str] = 0, ""  # thread and command that came last
        self._checks: tuple[Callable[[], None], ...] = ()
        self._sinks: tuple[Callable[[TraceRecord], None], ...] = ()
        self._logs = False  # whether what goes over the wire is logged
        self._closed = False
        self._trusted = False
        self._sound = False  # whether the connection is one that was greeted and has not failed itself
        self._used = False  # whether it was connected before: something may still be under way
        self._shaking: Deadline | None = None  # the deadline of the handshake that is running
        self._inside = False  # whether a step runs on the wire
        self._said_no = False  # whether that step ended with the device's own error
        self._sent = False  # whether a byte of this exchange may have left

    # --- what a caller uses -----------------------------------------------------------------------------------------

    @property
    def oldest_reply_s(self) -> float:
        """How old the oldest reply was, in s, that this thread got since it set this to 0; a device's own are not."""
        return 0.0

    @oldest_reply_s.setter
    def oldest_reply_s(self, age_s: float) -> None:
        """Forget earlier ones."""

    def on_open(self, check: Callable[[], None]) -> None:
        """Call `check` after every opening, before anything else is exchanged.

        It may itself call `exchange`, and raises `WrongDeviceError` if this is not the device. An exchange that fails
        within it makes the opening fail, even if the check catches the error. On a transport that is already open it
        runs before the next exchange. Several checks run in the order in which they were given. The transport keeps it,
        so a check should not keep what has the transport: a device gives one that refers to it weakly.
        """
        with self._lock:
            self._checks = (*self._checks, check)
            self._trusted = self._sound = False

    def open(self, timeout: float | None = None) -> None:
        """Open the transport and run the handshake, unless it is open and trusted.

        Raises:
            TransportError: It could not be opened within `timeout` s, or the wrong device answers.
            ConfigurationError: A file or a setting that the resource names is wrong.
            ClosedError: It was closed.
        """
        self._open("open", timeout)

    def close(self) -> None:
        """Close the transport for good. May be called again; a call that another thread is waiting in ends soon."""
        self._closed = True
        if self._process not in (0, os.getpid()):
            return  # a fork leaves its parent's connection alone, and perhaps its parent's lock was held
        with self._lock:
            self._trusted = False
            self._disconnect()

    def exchange(self, request: Request[F, T], timeout: float | None = None) -> T:
        """Send `request` once and return the value of its reply, within `timeout` s.

        Raises:
            DeviceError: The device answered that it will not or cannot.
            DeviceTimeoutError: No reply within the deadline; `OutcomeUnknownError` if the request is not repeatable.
            NotConnectedError: The device cannot be reached; before anything was sent, if it is a command.
            ProtocolError: The device sent something that is not a reply.
            DeviceBusyError: Another thread held the transport, or another process the port, until the deadline.
            WrongDeviceError: Another device answers now.
            ClosedError: The transport was closed.
        """
        return self._exchange(request.text, timeout, request)

    def listen(self, timeout: float = 0.0) -> None:
        """Hand on what arrived unasked; if nothing waits, wait up to `timeout` s for it, holding the lock.

        Raises:
            TransportError: The device is not there; the next call opens it again.
        """
        self.open(max(real(timeout, "timeout"), self.timeout_s))
        self._listen("listen", timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        """Disconnect when nobody has it any more: its port is free for the next one at once."""
        with suppress(Exception):  # half made, or the interpreter ends
            self._closed = True
            if self._process in (0, os.getpid()):
                self._disconnect()  # without the lock, which nobody can want, so that no collection waits for one

    @property
    def _wire(self) -> Wire:
        return Wire(self)  # not kept: a cycle would keep the port until a collection

    def __repr__(self) -> str:
        state = "closed" if self._closed else "open" if self._trusted else "not open"
        return f"<{type(self).__name__} {self.name} {state}>"

    # --- what a kind of transport provides ----------------------------------------------------------------------------

    @abstractmethod
    def _connect(self, deadline: Deadline) -> None:
        """Open again what was disconnected before. May raise `foreign` exceptions, as may all that follow."""

    @abstractmethod
    def _disconnect(self) -> None:
        """Close what is open, raising nothing. May be called again."""

    @abstractmethod
    def _salvage(self) -> None:
        """Before a connection that failed is given up: hand on what still waits in it, if it is open."""

    @abstractmethod
    def _settle(self, deadline: Deadline) -> None:
        """After a failure and a new opening: read what is left over until the line is quiet."""

    @abstractmethod
    def _prepare(self, deadline: Deadline) -> None:
        """Hand on what waits unasked. `NotConnectedError`: the peer is gone, and nothing was sent."""

    @abstractmethod
    def _transact(self, request: Request[F, T], deadline: Deadline) -> T:
        """Send the request, setting `_sent` as soon as a byte may have left, and return what `_judge` makes of it."""

    def _goes_on(self) -> bool:
        """Return whether a connection that has not failed itself is used on after an exchange that did."""
        return False

    def _abandon(self) -> None:
        """After a command was given up: see that nothing of it leaves any more. Raises nothing."""

    @abstractmethod
    def _hear(self, deadline: Deadline) -> None:
        """Hand on what waits or comes before the deadline."""

    def translate(self, error: Exception) -> TokaidoError:
        """Return our error for an exception of the libraries below."""
        return NotConnectedError(f"the connection failed: {error}", remedy="Check that the device is on and plugged in")

    # --- calls that take their turn -----------------------------------------------------------------------------------

    @in_turn
    def _open(self, deadline: Deadline) -> None:
        self._ensure_open(deadline)

    @in_turn
    def _listen(self, deadline: Deadline) -> None:
        with self._wire:
            self._hear(deadline)

    # --- one exchange -------------------------------------------------------------------------------------------------

    @in_turn
    def _exchange(self, deadline: Deadline, request: Request[F, T]) -> T:
        return self._exchange_with_care(deadline, request)

    def _exchange_with_care(self, deadline: Deadline, request: Request[F, T]) -> T:
        self._make_ready(deadline)
        self._sent = False
        return self._accounted_for(request, deadline, self._transact)

    def _accounted_for(
        self, request: Request[F, T], deadline: Deadline, work: Callable[[Request[F, T], Deadline], T]
    ) -> T:
        """Do work on the wire; of a command whose reply it did not get, nobody may believe to know the outcome."""
        try:
            self._trusted, self._inside, self._said_no = False, True, False  # as `Wire` has it, without its four calls
            try:
                value = work(request, deadline)
            except BaseException as error:
                step_failed(self, error)
                raise
            self._inside, self._trusted = False, True
            return value  # noqa: TRY300 - an interrupt until here is one of the exchange
        except BaseException as error:
            if request.repeatable or not self._sent or isinstance(error, DeviceError):
                raise
            self._abandon()
            if not isinstance(error, TransportError):
                raise
            raise OutcomeUnknownError(
                f"the reply to a command was lost ({error.what})",
                remedy="It may or may not have been carried out: read the state, then decide",
            ) from error

    def _make_ready(self, deadline: Deadline) -> None:
        """See that the transport is open and trusted, and that nothing waits in it."""
        if not self._usable():
            self._reopen(deadline)
            return
        try:
            with self._wire:
                self._prepare(deadline)
        except NotConnectedError:
            if self._shaking is not None:
                raise
            self._reopen(deadline)  # nothing was sent yet, so this call itself may go on

    def _judge(self, request: Request[F, T], frame: F) -> T | NotMine:
        """Return what the request makes of a frame; one that cannot be decoded is a `ProtocolError`."""
        try:
            return request.accept(frame)
        except DeviceError:
            self._said_no = True
            raise
        except GARBLED as error:
            if isinstance(error, TokaidoError):
                raise
            raise ProtocolError(f"the reply could not be decoded: {error}") from error

    # --- opening ------------------------------------------------------------------------------------------------------

    def _usable(self) -> bool:
        return self._trusted or (self._sound and self._goes_on())

    def _ensure_open(self, deadline: Deadline) -> None:
        if not self._usable():
            self._reopen(deadline)

    def _reopen(self, deadline: Deadline) -> None:
        """Open, settle and shake hands, or leave the transport untrusted."""
        if self._shaking is not None:
            raise NotConnectedError("an earlier exchange of this handshake failed")
        try:
            self._shaking = deadline
            self._sound = False
            with suppress(TransportError), self._wire:
                self._salvage()
            self._disconnect()
            self._process = os.getpid()
            self._log_if_asked()
            with self._wire:
                self._connect(deadline)
            if self._used:
                log(DEBUG, "%s: opened again after a failure", self.name)
                with self._wire:
                    self._settle(deadline)
            self._used = True
            self._shake_hands(deadline)
            self._sound = True
        except BaseException:
            self._trusted = self._sound = False
            self._disconnect()
            raise
        finally:
            self._shaking = None
        self.generation += 1

    def _shake_hands(self, deadline: Deadline) -> None:
        for check in self._checks:
            check()
            if not self._trusted:
                raise NotConnectedError("an exchange failed during the handshake")
        if deadline.passed:
            raise DeviceTimeoutError("the device answered, but no time was left; nothing was sent")

    def _log_if_asked(self) -> None:
        """Log what goes over the wire if somebody listens at DEBUG when it is opened: no exchange has time to ask."""
        if not self._logs and (logger := _logger()) is not None and logger.isEnabledFor(DEBUG):
            self._logs = True
            self._sinks = (*self._sinks, partial(_log_record, self.device))

    # --- traces -------------------------------------------------------------------------------------------------------

    def add_sink(self, sink: Callable[[TraceRecord], None]) -> None:
        """Give every trace record to `sink` as well; see `tokaido.hal.trace`."""
        with self._lock:
            self._sinks = (*self._sinks, sink)

    def remove_sink(self, sink: Callable[[TraceRecord], None]) -> None:
        """Give no more records to `sink`."""
        with self._lock:
            sinks = list(self._sinks)
            sinks.remove(sink)
            self._sinks = tuple(sinks)

    def _record(self, direction: Literal[">", "<"], content: bytes | list[bytes], *, confidential: bool) -> None:
        told = record(self.clock.monotonic_ns(), self.name, direction, content, confidential=confidential)
        for sink in self._sinks:
            sink(told)


@contextmanager
def trace(transport: Transport[Any], sink: Callable[[TraceRecord], None]) -> Generator[None]:
    """Call `sink` with every record of `transport` while the context lasts.

    The sink runs inside the exchange, with the lock held: it should be quick and must not use the transport.
    """
    transport.add_sink(sink)
    try:
        yield
    finally:
        transport.remove_sink(sink)
