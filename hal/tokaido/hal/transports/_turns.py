"""Who may use a transport now: one call at a time, each with a deadline, and what its errors are told."""

from __future__ import annotations

import threading
from functools import wraps
from os import getpid, register_at_fork
from threading import get_ident
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar, cast

from tokaido.hal._clock import Deadline
from tokaido.hal._errors import (
    ClosedError,
    DeviceBusyError,
    DeviceError,
    NotConnectedError,
    TokaidoError,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokaido.hal.transports._transport import Transport

X = TypeVar("X", bound="Transport[Any]")
P = ParamSpec("P")
R = TypeVar("R")

_this_process = getpid()  # asking the system each time takes as long as a byte on the wire


def _be_another_process() -> None:
    global _this_process  # noqa: PLW0603 - a fork is a change of the whole module
    _this_process = getpid()


register_at_fork(after_in_child=_be_another_process)


def in_turn(
    method: Callable[Concatenate[X, Deadline, P], R],
) -> Callable[Concatenate[X, str, float | None, P], R]:
    """Run a method of a transport with the lock held and within a deadline; label the errors it raises.

    The method takes the deadline to keep: the call's own or, within a handshake, that of the handshake if it ends
    sooner. Its caller gives instead what the call does, for errors, and its timeout in s (None: the transport's own).

    The lock is taken and given back within one `try`, and no Python call lies around either, so that no Ctrl-C can
    come between and leave it taken.
    """

    @wraps(method)
    def run(transport: X, text: str, timeout: float | None, *args: P.args, **options: P.kwargs) -> R:
        called: Deadline | None = None
        first = False
        thread = 0
        try:
            deadline = called = Deadline(transport.clock, transport.timeout_s if timeout is None else timeout)
            if transport._process not in (_this_process, 0):
                raise _of_another_process(transport)
            thread = get_ident()
            first = transport._owner != thread  # not a call of the handshake, for which the lock is held already
            if first:
                if not transport._lock.acquire(blocking=False):
                    _wait(transport, deadline)
                transport._owner = thread
                transport._inside, transport._shaking = False, None  # whatever an interrupt may have left
            if transport._closed:
                raise ClosedError("the transport was closed", remedy="Open the device again")
            if transport._inside:
                raise DeviceBusyError("a frame's handler may not exchange anything", remedy="Do it afterwards")
            transport._occupant = thread, text
            shaking = transport._shaking
            if shaking is not None and shaking.remaining_s < deadline.timeout_s:
                deadline = shaking
            return method(transport, deadline, *args, **options)
        except TokaidoError as error:
            error.device = error.device or transport.device
            error.transport = error.transport or transport.name
            error.command = error.command or text
            if called is not None:
                error.elapsed_s = called.elapsed_s
            raise
        finally:
            if first:
                if transport._owner == thread:
                    transport._owner = 0
                try:  # noqa: SIM105 - a call of `suppress` is one that an interrupt can come into
                    transport._lock.release()
                except RuntimeError:  # it was not taken
                    pass

    return cast("Callable[Concatenate[X, str, float | None, P], R]", run)


def _of_another_process(transport: Transport[Any]) -> ClosedError:
    return ClosedError(
        f"process {transport._process} opened the device, and this is a fork of it: two of them would take each "
        "other's answers",
        remedy="Open the device again in this process; the other one goes on as before",
    )


def _wait(transport: Transport[Any], deadline: Deadline) -> None:
    """Take the lock that another thread holds, as soon as it is free."""
    if transport._lock.acquire(timeout=deadline.timeout_s):
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
    Exceptions of the libraries below become ours.
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
            transport._inside, transport._trusted = False, True
        else:
            step_failed(transport, error)


def step_failed(transport: Transport[Any], error: BaseException) -> None:
    """Take note of an error that ends a step on the wire; raise ours for one of the libraries below."""
    transport._inside = False
    if isinstance(error, DeviceError):
        transport._trusted = transport._said_no
    elif isinstance(error, NotConnectedError):
        transport._sound = False
    elif isinstance(error, transport.foreign) and not isinstance(error, TokaidoError):
        transport._sound = False
        raise transport.translate(error) from error
