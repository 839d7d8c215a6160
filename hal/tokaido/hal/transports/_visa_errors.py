"""What a VISA library raises, said in our words. pyvisa-py lets the exceptions of every layer below it through."""

from __future__ import annotations

import errno
import socket
import termios
from typing import TYPE_CHECKING, TypeVar

from tokaido.hal._errors import (
    ClosedError,
    ConfigurationError,
    DeviceBusyError,
    DeviceTimeoutError,
    NotConnectedError,
    ProtocolError,
    TokaidoError,
    TransportError,
    UnsupportedError,
)
from tokaido.hal.transports._ports import gone

if TYPE_CHECKING:
    from collections.abc import Callable

R = TypeVar("R")

BUSY = ("error_resource_busy", "error_resource_locked")
LACKING = ("error_nonsupported_operation", "error_nonsupported_attribute", "error_nonimplemented_operation")
WRONG = (
    "error_invalid_resource_name",
    "error_nonsupported_attribute_state",
    "error_attribute_read_only",
    "error_invalid_access_mode",
    "error_invalid_parameter",
)
GARBLED_LINE = ("error_serial_parity", "error_serial_framing", "error_serial_overrun")


def carried(step: Callable[..., R], *arguments: object) -> R:
    """Return what `step` returns; whatever a VISA library raises leaves as ours."""
    try:
        return step(*arguments)
    except Exception as error:
        raise translated(error) from error


def moved(step: Callable[..., R], *arguments: object) -> R:
    """Return what `step`, which reads or writes, returns; what it raises leaves as a `TransportError`."""
    try:
        return step(*arguments)
    except ClosedError:
        raise
    except Exception as error:
        said = translated(error)
        raise (said if isinstance(said, TransportError) else gone(f"the VISA session failed: {error!r}")) from error


def timed_out(error: Exception) -> bool:
    """Return whether the library says that nothing, or not enough, came in time."""
    return isinstance(error, TimeoutError) or _status(error) == "error_timeout"


def translated(error: Exception) -> TokaidoError:
    """Return our error for any exception of a VISA library, of pyserial or of the operating system."""
    if isinstance(error, TokaidoError):
        return error
    if timed_out(error):
        return DeviceTimeoutError("no reply", remedy="Check that the device is on and not busy")
    status = _status(error)
    if status in BUSY:
        return DeviceBusyError(f"another program holds the device ({status})", remedy="Stop it, or wait for it")
    if status in LACKING or isinstance(error, NotImplementedError):
        return UnsupportedError(f"this VISA library cannot do that: {error}", remedy="Try another backend")
    if status in WRONG or _errno(error) == errno.EINVAL:
        return ConfigurationError(f"VISA refuses the resource or its settings: {error}", remedy="See the resource")
    if status in GARBLED_LINE:
        return ProtocolError(f"a byte was garbled on the line ({status})", remedy="Check the baud rate and parity")
    if status or hasattr(error, "error_code"):
        return gone(f"the VISA session failed ({error})")
    if isinstance(error, socket.gaierror):
        return NotConnectedError(f"the host's name is not known: {error}", remedy="Check the resource and the network")
    if isinstance(error, (OSError, EOFError, termios.error)) or "dropped by server" in str(error):  # pyvisa-py's words
        return gone(f"the connection failed: {error}")
    return ProtocolError(f"the VISA session is out of step: {error!r}", remedy="Call again; it is opened again")


def not_opened(error: Exception) -> TokaidoError:
    """Return our error for one that came up while a session was opened, from what was raised first."""
    first: BaseException = error
    while (earlier := first.__cause__ or first.__context__) is not None:
        first = earlier
    if isinstance(error, (ValueError, ImportError)):
        return ConfigurationError(f"this VISA library cannot open that: {error}", remedy="Install what it names")
    said = translated(first if isinstance(first, OSError) else error)
    if isinstance(said, (ProtocolError, DeviceTimeoutError)):
        return gone(f"the VISA session could not be opened: {first}")
    return said


def _status(error: Exception) -> str:
    """Return the name of the VISA status code that an error carries, if it does."""
    return getattr(getattr(error, "error_code", None), "name", "")


def _errno(error: Exception) -> int:
    """Return the error number that an error carries, also where it is not an `OSError` (termios.error)."""
    code = getattr(error, "errno", None) or (error.args[0] if error.args else 0)
    return code if isinstance(code, int) else 0
