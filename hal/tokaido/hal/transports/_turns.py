"""Who may use a transport now: one call at a time, each with a deadline, and what its errors are told."""

from __future__ import annotations

import threading
from functools import wraps
from os import getpid, register_at_fork
from threading import get_ident
from typing import TYPE_CHECKING, Any, TypeVar, cast

from tokaido.hal._clock import Deadline
from tokaido.hal._errors import (
    ClosedError,
    DeviceBusyError,
    DeviceError,
    NotConnectedError,
    RangeError,
    TokaidoError,
    ValueTypeError,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokaido.hal.transports._transport import Transport

M = TypeVar("M", bound="Callable[..., Any]")

_this_process = getpid()  # asking the system each time takes as long as a byte on the wire


def _be_another_process() -> None:
    global _this_process  # noqa: PLW0603 - a fork is a change of the whole module
    _this_process = getpid()


register_at_fork(after_in_child=_be_another_process)


class Turn:
    """One call's turn at a transport: what the call does, and until when."""

    __slots__ = ("_called", "deadline", "text")

    def __init__(self, transport: Transport[Any], text: str, timeout: float | None) -> None:
        self.text = text
        try:
            self._called = Deadline(transport.clock, transport.timeout_s if timeout is None else timeout)
        except (RangeError, ValueTypeError) as error:
            error.device, error.transport, error.command = transport.device, transport.name, text
            raise
        self.deadline = self._called
        """The deadline to keep: the call's own or, within a handshake, that of the handshake if it ends sooner."""

    def label(self, error: TokaidoError, transport: Transport[Any]) -> None:
        """Write into an error which device, which transport, which command, and after how long."""
        error.device = error.device or transport.device
        error.transport = error.transport or transport.name
        error.command = error.command or self.text
        error.elapsed_s = self._called.elapsed_s


def in_turn(method: M) -> M:
    """Run a method of a transport, whose first argument is a `Turn`, with the lock held; label the errors it raises.

    The lock is taken and given back within one `try`, and no Python call lies around either, so that no Ctrl-C can
    come between and leave it taken.
    """

    @wraps(method)
    def run(transport: Transport[Any], turn: Turn, *args: Any) -> Any:
        if transport._process not in (_this_process, 0):
            error = _of_another_process(transport)
            turn.label(error, transport)
            raise error
        thread = get_ident()
        first = transport._owner != thread  # not a call of the handshake, for which the lock is held already
        try:
            if first:
                if not transport._lock.acquire(blocking=False):
                    _wait(transport, turn)
                transport._owner = thread
                transport._inside, transport._shaking = False, None  # whatever an interrupt may have left
            if transport._closed:
                raise ClosedError("the transport was closed", remedy="Open the device again")
            if transport._inside:
                raise DeviceBusyError("a frame's handler may not exchange anything", remedy="Do it afterwards")
            transport._occupant = thread, turn.text
            shaking = transport._shaking
            if shaking is not None and shaking.remaining_s < turn.deadline.timeout_s:
                turn.deadline = shaking
            return method(transport, turn, *args)
        except TokaidoError as error:
            turn.label(error, transport)
            raise
        finally:
            if first:
                if transport._owner == thread:
                    transport._owner = 0
                try:  # noqa: SIM105 - a call of `suppress` is one that an interrupt can come into
                    transport._lock.release()
                except RuntimeError:  # it was not taken
                    pass

    return cast("M", run)


def _of_another_process(transport: Transport[Any]) -> ClosedError:
    return ClosedError(
        f"process {transport._process} opened the device, and this is a fork of it: two of them would take each "
        "other's answers",
        remedy="Open the device again in this process; the other one goes on as before",
    )


def _wait(transport: Transport[Any], turn: Turn) -> None:
    """Take the lock that another thread holds, as soon as it is free."""
    if transport._lock.acquire(timeout=turn.deadline.timeout_s):
        return
    ident, text = transport._occupant
    name = next((thread.name for thread in threading.enumerate() if thread.ident == ident), "ended since")
    raise DeviceBusyError(
        f"another thread ({name}, {text}) held the transport for the whole time",
        remedy="Give the call more time, or let one thread use the device",
    )


class Wire:
    """The context in which a transport runs one step on the wire: `with self._wire: ...`.

    The transport is untrusted meanwhile. Only the step's clean end, or a device that says no, leaves it trusted.
    Exceptions of the libraries below become ours. `Transport._exchange` says the same without a context, which would
    cost it four calls.
    """

    __slots__ = ("_transport",)

    def __init__(self, transport: Transport[Any]) -> None:
        self._transport = transport

    def __enter__(self) -> None:
        transport = self._transport
        transport._trusted = False
        transport._inside = True
        transport._said_no = False

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        transport = self._transport
        if error is None:
            transport._inside = False
            transport._trusted = True
        else:
            step_failed(transport, error)


def step_failed(transport: Transport[Any], error: BaseException) -> None:
    """Take note of an error that ended a step on the wire; raise ours for one of the libraries below."""
    transport._inside = False
    if isinstance(error, DeviceError):
        transport._trusted = transport._said_no
    elif isinstance(error, NotConnectedError):
        transport._sound = False
    elif isinstance(error, transport.foreign) and not isinstance(error, TokaidoError):
        transport._sound = False
        raise transport.translate(error) from error
