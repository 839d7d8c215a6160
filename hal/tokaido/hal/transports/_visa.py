"""VISA sessions: of pyvisa-py by default, of a vendor's library where the user has one."""

from __future__ import annotations

import fcntl
import math
import os
import socket
import sys
import threading
import weakref
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Any, Final

from tokaido.hal._clock import SYSTEM_CLOCK, Clock
from tokaido.hal._errors import ConfigurationError, NotConnectedError, TokaidoError, UnsupportedError
from tokaido.hal.transports._consent import complaints_about_backend, complaints_about_url
from tokaido.hal.transports._hislip import HislipAddress, HislipPort, Limit
from tokaido.hal.transports._kinds import LINE_END, MODEM_OPTIONS, Option, TransportKind, is_port
from tokaido.hal.transports._ports import (
    CLOSING_S,
    POLL_S,
    DescriptorPort,
    Port,
    PyserialPort,
    connected,
    descriptor,
    explained,
    gone,
    release,
    set_modem_lines,
)
from tokaido.hal.transports._stream import StreamTransport
from tokaido.hal.transports._terminals import check_that_no_session_has
from tokaido.hal.transports._transport import SLICE_S
from tokaido.hal.transports._turns import in_turn
from tokaido.hal.transports._visa_errors import not_opened
from tokaido.hal.transports._visa_ports import LONGEST_TIMEOUT_MS, SessionPort

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tokaido.hal._clock import Deadline
    from tokaido.hal.transports._codec import Codec
    from tokaido.hal.transports._resources import Resource

PARITIES = {"N": "none", "O": "odd", "E": "even", "M": "mark", "S": "space"}
STOP_BITS = {"1": "one", "1.5": "one_and_a_half", "2": "two"}


class VisaTransport(StreamTransport):
    """A stream of frames over a VISA session: `visa:TCPIP::192.0.2.7::5025::SOCKET`, `visa:ASRL/dev/ttyUSB0::INSTR`.

    The resource's `backend` names the VISA library as pyvisa does: "@py" (the default), "@ivi" for the vendor's, a
    file and "@ivi", or another package "pyvisa_NAME" by "@NAME". Framing is the codec's; where a message has an END of
    its own (HiSLIP, VXI-11, USB, GPIB), that ends a frame as well.

    With pyvisa-py, HiSLIP is spoken by Tokaido itself, since its own client believes the lengths that a device names
    and passes deadlines; a SOCKET is a connection of our own, since its own fails beyond 1,023 descriptors; and an
    ASRL session is opened, set up and closed by it while its bytes pass by the descriptor, since its own read loses
    what came before a timeout, takes the end of the stream for one, and costs more than the wire. Of every other
    library only `viRead`, `viWrite`, `viReadSTB` and `viClear` are used; there, a call of another thread to `close`
    may have to wait until the present exchange ends.
    """

    def __init__(
        self, resource: Resource, codec: Codec, *, clock: Clock = SYSTEM_CLOCK, timeout_s: float = 1.0
    ) -> None:
        super().__init__(resource, codec, clock=clock, timeout_s=timeout_s)
        self._backend = resource.options.get("backend", "@py")
        self._hislip = HislipAddress.of(resource.address) if self._backend == "@py" else None
        if self._hislip is None:
            load_library(self._backend)
        self._manager: Any = None
        self._may_clear = True  # false after a device clear that failed or left no time: the next call does without
        self._limit = _limit(self)

    def status_byte(self, timeout: float | None = None) -> int:
        """Return the status byte (IEEE 488.2, 11.2) by a serial poll or its like, beside any message.

        Raises:
            UnsupportedError: A stream has no such thing; ask `*STB?`.
            TransportError: As `exchange`.
        """
        return self._status_byte("status byte", timeout)

    @in_turn
    def _status_byte(self, deadline: Deadline) -> int:
        self._ensure_open(deadline)
        self._deadline = deadline
        try:
            with self._wire:
                return self._ask_status()
        except NotConnectedError:
            self._reopen(deadline)  # the session was out of step; a status may be asked for again
            with self._wire:
                return self._ask_status()

    def _ask_status(self) -> int:
        if self._port is None:
            raise gone("the port was closed")
        if isinstance(self._port, (HislipPort, SessionPort)):
            return self._port.status_byte()
        raise UnsupportedError("a stream has no status byte of its own", remedy="Ask *STB?")

    def _dial(self, deadline: Deadline) -> Port:  # noqa: ARG002 - `_limit` has it
        if self._hislip is not None:
            try:
                return HislipPort(self._hislip, self.codec.terminator, self._limit)
            except Exception as error:
                raise not_opened(error) from error
        if self._manager is None:
            self._manager = open_library(self._backend)
        return open_session(self._manager, self.resource, self.codec.terminator, self._limit)

    def _keep(self, port: Port) -> None:
        self._opaque = not isinstance(port, DescriptorPort)
        whole = isinstance(port, SessionPort) and not port.streaming
        self._slice_s = math.inf if whole else SLICE_S
        super()._keep(port)

    def _settle(self, deadline: Deadline) -> None:
        if isinstance(self._port, SessionPort) and self._may_clear:
            self._may_clear = False
            self._port.clear()
        super()._settle(deadline)
        self._may_clear = True


def _limit(transport: VisaTransport) -> Limit:
    """Return what limits the library's calls, which does not keep the transport; once that is gone, no time is left."""
    there, over = weakref.ref(transport), transport._deadline

    def deadline() -> Deadline:
        alive = there()
        return over if alive is None else alive._deadline

    def is_closed() -> bool:
        alive = there()
        return alive is None or alive._closed

    return Limit(transport.clock, deadline, is_closed)


def load_library(backend: str) -> None:
    """Import pyvisa and the package of a backend, which takes long, so that no deadline has to cover it.

    Raises:
        ConfigurationError: It is not installed.
    """
    try:
        from pyvisa import highlevel  # noqa: PLC0415 - loaded by those who use it

        highlevel.get_wrapper_class(backend.rpartition("@")[2] if "@" in backend else "ivi")
    except (ImportError, ValueError, AttributeError) as error:
        raise ConfigurationError(
            f"there is no VISA backend {backend}: {error}", remedy="Install it, or name another by ?backend=@py"
        ) from error


def open_library(backend: str) -> Any:
    """Return pyvisa's resource manager for a backend; pyvisa keeps one a library.

    Raises:
        ConfigurationError: The library cannot be opened.
    """
    import pyvisa  # noqa: PLC0415 - loaded by those who use it

    try:
        return pyvisa.ResourceManager(backend)
    except Exception as error:
        raise ConfigurationError(
            f"the VISA library of backend {backend} does not open: {error}",
            remedy="Install it, or leave `backend` out to use pyvisa-py",
        ) from error


# --- opening one session ----------------------------------------------------------------------------------------------


def open_session(manager: Any, resource: Resource, terminator: bytes, limit: Limit) -> Port:
    """Open a VISA session again. If that fails, all that was opened on the way is closed.

    Raises:
        NotConnectedError: Nobody is there.
        DeviceBusyError: Another program has it.
        ConfigurationError: The resource or a setting is refused.
    """
    owned = ExitStack()
    try:
        return _opened(manager, resource, terminator, limit, owned)
    except BaseException as error:
        with suppress(Exception):
            owned.close()
        _close_what_was_forgotten(error)
        if isinstance(error, TokaidoError) or not isinstance(error, Exception):
            raise
        raise not_opened(error) from error


def _opened(manager: Any, resource: Resource, terminator: bytes, limit: Limit, owned: ExitStack) -> Port:
    library = manager.visalib
    kind = resource.address.upper()
    if kind.startswith("ASRL"):
        _take(resource.address, owned)
    if kind.endswith("::SOCKET") and _is_pyvisa_py(library):
        _, host, port, _ = resource.address.split("::")  # whose own connecting knows no descriptor above 1,023
        return connected(host, int(port), limit.remaining_s)
    timeout_ms = min(math.ceil(limit.remaining_s * 1000) + 1, LONGEST_TIMEOUT_MS)
    session, _ = manager.open_bare_resource(resource.address, open_timeout=timeout_ms)
    owned.callback(_close_session, library, session)
    if kind.startswith("ASRL"):
        _set_up_line(library, session, resource)
    below = None
    if _is_pyvisa_py(library):
        below = getattr(library.sessions.get(session), "interface", None)
    if hasattr(below, "in_waiting"):
        return _serial_port(below, resource, owned.close)
    is_line = kind.startswith("ASRL")
    streaming = is_line or kind.endswith("::SOCKET")
    return SessionPort(
        library,
        session,
        terminator,
        limit,
        lambda: closed_soon(owned.close),
        streaming=streaming,
        is_line=is_line,
    )


def _is_pyvisa_py(library: Any) -> bool:
    return type(library).__module__.partition(".")[0] == "pyvisa_py"


def _close_session(library: Any, session: Any) -> None:
    library.close(session)
    if _is_pyvisa_py(library):
        library.sessions.pop(session, None)  # where it keeps closed ones for ever


def _serial_port(line: Any, resource: Resource, close: Callable[[], None]) -> Port:
    scheme, mark, _ = _device(resource.address).partition("://")
    line.timeout = POLL_S
    set_modem_lines(line, resource)
    fd = descriptor(line, scheme if mark else "")
    if fd is None:
        return PyserialPort(line, close)
    return DescriptorPort(fd, lambda: release(fd, close))


def _set_up_line(library: Any, session: Any, resource: Resource) -> None:
    from pyvisa.constants import ControlFlow, LineState, Parity, ResourceAttribute, StopBits  # noqa: PLC0415 - as above

    meaning: dict[str, Callable[[str], Any]] = {
        "baud_rate": int,
        "data_bits": int,
        "parity": lambda text: Parity[PARITIES[text]],
        "stop_bits": lambda text: StopBits[STOP_BITS[text]],
        "flow_control": lambda text: ControlFlow[text],
    }
    if not _is_pyvisa_py(library):  # which knows neither; `_serial_port` sets them there
        meaning["dtr"] = meaning["rts"] = lambda text: LineState.asserted if text == "1" else LineState.unasserted
    attributes = {
        "baud_rate": ResourceAttribute.asrl_baud_rate,
        "data_bits": ResourceAttribute.asrl_data_bits,
        "parity": ResourceAttribute.asrl_parity,
        "stop_bits": ResourceAttribute.asrl_stop_bits,
        "flow_control": ResourceAttribute.asrl_flow_control,
        "dtr": ResourceAttribute.asrl_dtr_state,
        "rts": ResourceAttribute.asrl_rts_state,
    }
    for option, value in meaning.items():
        if option in resource.options:
            library.set_attribute(session, attributes[option], value(resource.options[option]))


def _device(address: str) -> str:
    """Return the device file or URL in "ASRL/dev/ttyUSB0::INSTR"."""
    return address[4:].removesuffix("::INSTR")


def _take(address: str, owned: ExitStack) -> None:
    """Take a device file for this owner only (flock), before opening it again throws away what its owner waits for.

    Raises:
        NotConnectedError: There is no such port.
        DeviceBusyError: Another process has it; its pid and command are named.
    """
    path = _device(address)
    if path.startswith("/"):
        check_that_no_session_has(path)
        try:
            fd = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
            owned.callback(os.close, fd)
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise explained(error, path) from error


def _close_what_was_forgotten(error: BaseException | None) -> None:
    """Close the sockets that pyvisa-py had made when it failed, and that only the traceback still knows."""
    while error is not None:
        trace = error.__traceback__
        while trace is not None:
            if trace.tb_frame.f_globals.get("__name__", "").startswith("pyvisa_py."):
                for value in getattr(trace.tb_frame.f_locals.get("self"), "__dict__", {}).values():
                    if isinstance(value, socket.socket):
                        value.close()
            trace = trace.tb_next
        error = error.__cause__ or error.__context__


def closed_soon(close: Callable[[], object]) -> None:
    """Close in a thread, and wait for it only shortly: a session over RPC asks the device before it ends.

    While the interpreter ends no thread begins any more, and to wait for one would never end: the system closes it.
    """
    if sys.is_finalizing():
        return
    thread = threading.Thread(target=_quietly, args=(close,), name="close VISA session", daemon=True)
    thread.start()
    thread.join(CLOSING_S)


def _quietly(close: Callable[[], object]) -> None:
    with suppress(Exception):  # whatever a VISA library raises: nobody is left to tell
        close()


# --- its resources --------------------------------------------------------------------------------------------------


def _backend(value: str) -> str:
    return "" if "@" in value or "/" in value else "should be @ and a name, or a file"


def _check_visa(address: str, options: Mapping[str, str]) -> list[str]:
    kind, _, rest = address.partition("::")
    interface = kind.upper().rstrip("0123456789")
    library = complaints_about_backend(options.get("backend", "@py"))
    if interface.startswith("ASRL"):
        mistakes = complaints_about_url(_device(address)) + library
        if not kind[4:]:
            mistakes = ["resource: names no port; for example visa:ASRL/dev/ttyUSB0::INSTR"]
        if "rts" in options and options.get("flow_control") == "rts_cts":
            mistakes.append("rts: the flow control moves that line (rts_cts); leave one of both out")
        return mistakes
    mistakes = library + [
        f"{key}: belongs to a serial line (ASRL), and this is none" for key in _LINE_OPTIONS if key in options
    ]
    if interface not in ("TCPIP", "USB", "GPIB", "VXI", "PXI", "VICP", "PRLGX-TCPIP") or not rest:
        return [
            "resource: should be a VISA resource string; for example visa:TCPIP::192.0.2.7::5025::SOCKET",
            *mistakes,
        ]
    words = rest.split("::")
    name, comma, number = words[1].partition(",") if len(words) > 1 else ("", "", "")
    if name.lower().startswith("hislip") and comma and not is_port(number):
        mistakes.append("resource: HiSLIP has no such port; for example visa:TCPIP::192.0.2.7::hislip0,4880::INSTR")
    if words[-1].upper() == "SOCKET" and not (len(words) == 3 and words[0] and is_port(words[1])):
        mistakes.append("resource: a socket has a host and a port; for example visa:TCPIP::192.0.2.7::5025::SOCKET")
    return mistakes


def _serial_line(address: str, settings: Mapping[str, str]) -> dict[str, str] | None:
    if not address.upper().startswith("ASRL"):
        return None
    return dict(_FLOW.get(item, (_NAMES.get(item[0], item[0]), item[1])) for item in settings.items())


_FLOW: Final = {("rtscts", "1"): ("flow_control", "rts_cts"), ("rtscts", "0"): ("flow_control", "none")}
_NAMES: Final = {"baudrate": "baud_rate", "bytesize": "data_bits", "stopbits": "stop_bits"}
_LINE_OPTIONS: Final = {
    "baud_rate": Option.whole_number("38400"),
    "data_bits": Option.one_of("5", "6", "7", "8", example="8"),
    "parity": Option.one_of("N", "E", "O", "M", "S", example="N"),
    "stop_bits": Option.one_of("1", "1.5", "2", example="1"),
    "flow_control": Option.one_of("none", "xon_xoff", "rts_cts", "dtr_dsr", example="none"),
    **MODEM_OPTIONS,
}
KIND: Final = TransportKind(
    name="visa",
    stream=VisaTransport,
    options={"backend": Option(_backend, "@py"), "line_end": LINE_END, **_LINE_OPTIONS},
    check=_check_visa,
    serial_line=_serial_line,
)
