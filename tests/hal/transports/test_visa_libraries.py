"""What VISA libraries raise, lose and leave open, and that none of it gets through."""

from __future__ import annotations

import errno
import struct
import termios
from typing import TYPE_CHECKING, Any

import pytest
import pyvisa
from pyvisa.constants import StatusCode
from pyvisa.errors import VisaIOError

from tokaido.hal import (
    DeviceBusyError,
    DeviceTimeoutError,
    NotConnectedError,
    OutcomeUnknownError,
    ProtocolError,
    TokaidoError,
)
from tokaido.hal.transports import VisaTransport
from tokaido_testing.rigs import Rig
from tokaido_testing.visa_peers import HislipPeer

if TYPE_CHECKING:
    from collections.abc import Callable


# --- what libraries raise ---------------------------------------------------------------------------------------------

FOREIGN: list[tuple[Exception, type[TokaidoError]]] = [
    (VisaIOError(StatusCode.error_timeout), DeviceTimeoutError),
    (VisaIOError(StatusCode.error_connection_lost), NotConnectedError),
    (VisaIOError(StatusCode.error_resource_locked), DeviceBusyError),
    (VisaIOError(StatusCode.error_serial_framing), ProtocolError),
    (VisaIOError(StatusCode.error_nonsupported_operation), NotConnectedError),
    (VisaIOError(-1), NotConnectedError),
    (pyvisa.errors.InvalidSession(), ProtocolError),
    (NotImplementedError(), NotConnectedError),
    (RuntimeError("protocol synchronization error"), ProtocolError),
    (TimeoutError("timed out"), DeviceTimeoutError),
    (BrokenPipeError(errno.EPIPE, "Broken pipe"), NotConnectedError),
    (ConnectionResetError(errno.ECONNRESET, "reset"), NotConnectedError),
    (EOFError(), NotConnectedError),
    (termios.error(errno.EIO, "Input/output error"), NotConnectedError),
    (termios.error(errno.EINVAL, "Invalid argument"), NotConnectedError),
    (UnicodeDecodeError("ascii", b"\xff", 0, 1, "ordinal not in range"), ProtocolError),
    (struct.error("unpack requires 16 bytes"), ProtocolError),
    (AssertionError(), ProtocolError),
    (KeyError(7), ProtocolError),
    (Exception("could not connect"), ProtocolError),
]


@pytest.mark.parametrize(("leak", "error"), FOREIGN, ids=lambda value: repr(value)[:40])
@pytest.mark.parametrize("step", ["read", "write"])
def test_nothing_that_a_library_raises_gets_through(
    make_rig: Callable[..., Rig], step: str, leak: Exception, error: type[TokaidoError]
) -> None:
    if step == "read" and error is DeviceTimeoutError:
        pytest.skip("a read that brings nothing is tried again until the deadline")
    rig = make_rig("plain socket")
    rig.ask(1)
    assert isinstance(rig.transport, VisaTransport)
    library: Any = rig.transport._manager.visalib
    good = getattr(library, step)

    def once(session: Any, data: Any) -> Any:
        if isinstance(data, bytes) or rig.times_asked(2):
            setattr(library, step, good)
            raise leak
        return good(session, data)

    setattr(library, step, once)
    with pytest.raises(error):
        rig.ask(2)
    assert rig.ask(3, 0.6) == "3 BOX1"
    assert rig.wrong == []


@pytest.mark.parametrize("kind", ["plain socket", "plain hislip"])
def test_a_command_that_the_library_fails_to_write_may_have_left_all_the_same(
    make_rig: Callable[..., Rig], monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    rig = make_rig(kind)
    rig.ask(1)
    assert isinstance(rig.transport, VisaTransport)

    def fail(session: Any, data: bytes) -> Any:
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    monkeypatch.setattr(rig.transport._manager.visalib, "write", fail)
    with pytest.raises(OutcomeUnknownError):
        rig.ask(2, repeatable=False)


def test_a_device_that_keeps_an_unread_reply_is_cleared_before_the_next_question(
    make_rig: Callable[..., Rig],
) -> None:
    rig = make_rig("plain hislip")
    assert isinstance(rig.peer, HislipPeer)
    rig.ask(1, 1.0)
    assert rig.peer.clears == 0  # opening changes nothing
    rig.peer.fault("drop")
    with pytest.raises(DeviceTimeoutError):
        rig.ask(2)
    assert rig.ask(3, 1.0) == "3 BOX1"
    assert rig.peer.clears == 1


def test_what_a_read_lost_at_its_timeout_is_never_taken_for_a_reply(
    make_rig: Callable[..., Rig], monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = make_rig("plain hislip")
    rig.ask(1)
    assert isinstance(rig.transport, VisaTransport)
    library: Any = rig.transport._manager.visalib
    replies = iter([VisaIOError(StatusCode.error_timeout), (b"2 BOX1\n", StatusCode.success)])

    def read(session: Any, count: int) -> Any:  # its first call times out early, having swallowed a "1"
        reply = next(replies)
        if isinstance(reply, Exception):
            raise reply
        return reply

    monkeypatch.setattr(library, "read", read)
    with pytest.raises(DeviceTimeoutError, match="no whole reply"):
        rig.ask(12)
