"""Opening what a stream runs over, for one owner only: serial ports, TCP sockets and pyserial's URLs."""

from __future__ import annotations

import errno
import os
import select
import stat
import struct
import termios
import threading
from contextlib import suppress
from fcntl import ioctl
from math import ceil
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from tokaido.hal._errors import ConfigurationError, DeviceBusyError, NotConnectedError, TokaidoError
from tokaido.hal.transports._terminals import check_that_no_session_has

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tokaido.hal._clock import Deadline
    from tokaido.hal.transports._resources import Resource

CHUNK = 16_384
CLOSING_S = 0.2
"""How long a call that ends waits for a port to close; a slower one closes in the background."""
POLL_S = 0.05
"""How long one read of a port without file descriptor waits; such ports may overrun a deadline by as much."""
SLOW_SCHEMES = ("rfc2217",)
"""URLs whose opening and closing pyserial cannot bound; a thread does it."""
FOREIGN: tuple[type[Exception], ...] = (OSError, EOFError, struct.error, termios.error)


class Port(Protocol):
    """An open stream that never blocks but where it says so."""

    def ready(self, seconds: float) -> bool:
        """Wait up to `seconds` and return whether something can be read (the end of the stream included)."""
        ...

    def read(self) -> bytes:
        """Return what waits, perhaps nothing; raise `NotConnectedError` at the end of the stream."""
        ...

    def write(self, data: bytes | memoryview) -> int:
        """Return how many bytes were taken, perhaps none."""
        ...

    def writable(self, seconds: float) -> None:
        """Wait up to `seconds` until a byte would be taken."""
        ...

    def abandon(self) -> bool:
        """Throw away what was written and has not left, and return whether the port must be closed at once for that.

        The operating system must not deliver an order later that was given up. May raise what the libraries below
        raise.
        """
        ...

    def close(self) -> None:
        """Give the stream back. May raise what the libraries below raise."""
        ...


class Closable(Protocol):
    """What is opened, and closed again."""

    def close(self) -> None:
        """Give it back. May raise what the libraries below raise."""
        ...


P = TypeVar("P", bound=Closable)


class DescriptorPort:
    """A non-blocking file descriptor: one system call a read, whatever the reply's length."""

    __slots__ = ("_close", "_fd", "_poll", "is_line")

    def __init__(self, fd: int, close: Callable[[], None]) -> None:
        self._fd = fd
        self._close = close
        self.is_line = os.isatty(fd)
        """Whether replies to what was asked before may still come after the port was opened again."""
        reader = select.poll()
        reader.register(fd, select.POLLIN)
        self._poll = reader.poll

    def ready(self, seconds: float) -> bool:
        """Wait up to `seconds` and return whether something can be read (the end of the stream included)."""
        return self._poll(ceil(seconds * 1000)) != []

    def read(self) -> bytes:
        """Return what waits, perhaps nothing; raise `NotConnectedError` at the end of the stream."""
        try:
            data = os.read(self._fd, CHUNK)
        except BlockingIOError:
            return b""
        if not data:
            raise gone("the stream ended")
        return data

    def write(self, data: bytes | memoryview) -> int:
        """Return how many bytes were taken, perhaps none."""
        try:
            return os.write(self._fd, data)
        except BlockingIOError:
            return 0

    def writable(self, seconds: float) -> None:
        """Wait up to `seconds` until a byte would be taken."""
        writer = select.poll()
        writer.register(self._fd, select.POLLOUT)
        writer.poll(ceil(seconds * 1000))

    def abandon(self) -> bool:
        """Reset a socket, which is to be closed at once; flush the output of a serial line, which goes on."""
        return abandon(self._fd)

    def close(self) -> None:
        """Give the descriptor back."""
        self._close()


class PyserialPort:
    """A pyserial port without a file descriptor, such as `loop://`, `rfc2217://` or one of another package."""

    __slots__ = ("_ahead", "_close", "_serial")
    is_line = True

    def __init__(self, serial: Any, close: Callable[[], None]) -> None:
        self._serial = serial
        self._close = close
        self._ahead = b""

    def ready(self, seconds: float) -> bool:
        """Wait up to `seconds`, in steps of `POLL_S`, and return whether something can be read."""
        if not self._ahead and seconds > 0:
            self._ahead = bytes(self._serial.read(1))
        return bool(self._ahead or self._serial.in_waiting)

    def read(self) -> bytes:
        """Return what waits, perhaps nothing."""
        data, self._ahead = self._ahead, b""
        while len(data) < CHUNK and (waiting := self._serial.in_waiting):
            data += self._serial.read(waiting)
        return data

    def write(self, data: bytes | memoryview) -> int:
        """Write everything, and return its length."""
        self._serial.write(bytes(data))
        return len(data)

    def writable(self, seconds: float) -> None:
        """Return at once: `write` takes everything."""

    def abandon(self) -> bool:
        """Drop what pyserial has not sent yet."""
        self._serial.reset_output_buffer()
        return False

    def close(self) -> None:
        """Close the port."""
        self._close()


def open_port(resource: Resource, deadline: Deadline) -> Port:
    """Open a serial resource again, following symbolic links as they are now.

    Raises:
        NotConnectedError: There is no such port, or nobody listens.
        DeviceBusyError: Another process has it; its pid and command are named.
        ConfigurationError: The port refuses its settings.
    """
    scheme, mark, _ = resource.address.partition("://")
    try:
        if mark and scheme == "socket":
            return _open_socket(resource.address, deadline)
        if mark and scheme in SLOW_SCHEMES:
            port = _pyserial(resource, scheme)
            return PyserialPort(port, lambda: threading.Thread(target=quietly, args=(port.close,), daemon=True).start())
        port = _pyserial(resource, scheme if mark else "")
        fd = descriptor(port, scheme)
        if fd is None:
            return PyserialPort(port, port.close)
        return DescriptorPort(fd, lambda: release(fd, port.close))
    except TokaidoError:
        raise
    except (ValueError, LookupError) as error:
        raise ConfigurationError(f"the port refuses its settings: {error}", remedy="See the resource") from error
    except FOREIGN as error:
        raise explained(error, resource.address) from error


def abandon(fd: int) -> bool:
    """Let the operating system deliver nothing more of what was written to a descriptor.

    A socket is told to reset its connection when it is closed (SO_LINGER 0), whatever else still refers to it by then,
    and `True` is returned. A terminal's output is flushed.
    """
    if stat.S_ISSOCK(os.fstat(fd).st_mode):
        import socket  # noqa: PLC0415 - loaded already by those who have one

        with socket.socket(fileno=os.dup(fd)) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return True
    if os.isatty(fd):
        termios.tcflush(fd, termios.TCOFLUSH)
    return False


def gone(what: str) -> NotConnectedError:
    """Return the error for a port that went away."""
    return NotConnectedError(what, remedy="Plug the device in and switch it on; the next call opens it again")


# --- opening ----------------------------------------------------------------------------------------------------------


def _pyserial(resource: Resource, scheme: str) -> Any:
    import serial  # noqa: PLC0415 - loaded by those who use it

    options = resource.options
    stop_bits = float(options.get("stopbits", "1"))
    check_that_no_session_has(resource.address)
    port = serial.serial_for_url(
        resource.address,
        do_not_open=True,
        baudrate=int(options.get("baudrate", "115200")),
        bytesize=int(options.get("bytesize", "8")),
        parity=options.get("parity", "N"),
        stopbits=stop_bits if stop_bits == 1.5 else int(stop_bits),
        rtscts=options.get("rtscts") == "1",
        timeout=POLL_S,
        exclusive=True if scheme in ("", "alt", "spy", "hwgrep") else None,
    )
    _keep_input(port)
    set_modem_lines(port, resource)
    try:
        port.open()
    except BaseException:
        quietly(port.close)  # some URLs leave a connection behind
        raise
    return port


def set_modem_lines(port: Any, resource: Resource) -> None:
    """Set DTR and RTS of a pyserial port as the resource says; of one that is not open yet, at its opening."""
    for name in ("dtr", "rts"):
        if name in resource.options:
            try:
                setattr(port, name, resource.options[name] == "1")
            except OSError as error:
                if error.errno not in (errno.EINVAL, errno.ENOTTY):  # a pseudo-terminal has none
                    raise


def _keep_input(port: Any) -> None:
    """Let opening throw nothing away: bytes that wait may be an alarm, or a reply still owed."""
    if hasattr(port, "_reset_input_buffer"):
        port._reset_input_buffer = _nothing


def _nothing() -> None:
    pass


def descriptor(port: Any, scheme: str) -> int | None:
    """Return the file descriptor of a port that has one and does nothing of its own with what passes."""
    if scheme == "spy":
        return None
    try:
        fd = int(port.fileno())
    except (AttributeError, OSError, TypeError):  # io.UnsupportedOperation is an OSError
        return None
    try:
        os.set_blocking(fd, False)
        claim(fd)
    except BaseException:
        port.close()
        raise
    return fd


def claim(fd: int, *, mark_terminals: bool = False) -> None:
    """Let nobody else open the terminal device `fd` (TIOCEXCL), beside the flock that pyserial took.

    Pseudo-terminals are left out unless `mark_terminals`: their mark lasts as long as their other end keeps a
    descriptor, so after a crash an emulated device would stay locked.
    """
    if mark_terminals or (os.isatty(fd) and not _is_pseudo(fd)):
        ioctl(fd, termios.TIOCEXCL)


def _is_pseudo(fd: int) -> bool:
    status = os.fstat(fd)
    return stat.S_ISCHR(status.st_mode) and 136 <= os.major(status.st_rdev) <= 143  # Unix98 pseudo-terminals on Linux


def release(fd: int, close: Callable[[], None]) -> None:
    """Give back the terminal device `fd`, throwing away what it has not taken yet."""
    with suppress(*FOREIGN):  # a socket, or a port that is unplugged
        termios.tcflush(fd, termios.TCOFLUSH)  # else closing waits for a device that takes no bytes
    with suppress(*FOREIGN):
        ioctl(fd, termios.TIOCNXCL)
    close()


def _open_socket(address: str, deadline: Deadline) -> Port:
    """Open `socket://HOST:PORT` without pyserial, whose handler connects for 5 s and closes for 0.3 s."""
    host, _, port = address.removeprefix("socket://").partition("?")[0].rstrip("/").rpartition(":")
    return connected(host.strip("[]"), int(port), deadline.remaining_s)


def connected(host: str, port: int, seconds: float) -> Port:
    """Connect to a TCP port within `seconds`, and let no byte wait for others (Nagle)."""
    import socket  # noqa: PLC0415 - loaded by those who use it

    connection = socket.create_connection((host, port), timeout=max(seconds, 1e-3))
    connection.setblocking(False)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return DescriptorPort(connection.fileno(), connection.close)


_late: dict[str, threading.Event] = {}
"""Openings that were given up, by name: each is set when its port is closed again."""


def within(deadline: Deadline, work: Callable[[], P], keep: Callable[[P], object], *, name: str) -> None:
    """Do work that opens a port in a thread, which gives it to `keep`, and wait until it did or the deadline passed.

    A port that comes later is closed. So is one that nobody waits for any more: Ctrl-C strikes the waiting thread
    alone, and whatever it interrupts, the port was kept or will be closed. Until then an exclusive port is in use, so
    the next opening by the same name first waits for that, half of its time at most.

    Raises:
        NotConnectedError: The deadline passed.
    """
    earlier = _late.pop(name, None)
    if earlier is not None and not earlier.wait(deadline.remaining_s / 2):
        _late.setdefault(name, earlier)
    handover = threading.Lock()
    done = threading.Event()
    given_up = False
    failed: list[BaseException] = []

    def run() -> None:
        try:
            port = work()
            with handover:
                if not given_up:
                    keep(port)
                    return
            quietly(port.close)
        except BaseException as error:  # noqa: BLE001 - it is raised where somebody waits
            failed.append(error)
        finally:
            done.set()

    thread = threading.Thread(target=run, name="open port", daemon=True)
    try:
        thread.start()
        if not done.wait(deadline.remaining_s):
            raise gone("the port did not open within the deadline")
    except BaseException as error:
        with handover:
            given_up = True
        if thread.is_alive():  # an interrupt may have come before it began
            _late[name] = done
        if not isinstance(error, Exception):
            done.wait(CLOSING_S)  # so that the port can be opened again at once
        raise
    if failed:
        raise failed[0]


def quietly(close: Callable[[], object]) -> None:
    """Close what may be broken already."""
    with suppress(*FOREIGN, RuntimeError):  # pyserial joins a thread that it may not have started
        close()


# --- what went wrong --------------------------------------------------------------------------------------------------


def explained(error: Exception, address: str) -> TokaidoError:
    """Return our error for one that came up when the serial port `address` was opened."""
    code = getattr(error, "errno", None)
    if code is None and error.args and isinstance(error.args[0], int):
        code = error.args[0]  # termios.error
    if code in (errno.EBUSY, errno.EAGAIN):
        return DeviceBusyError(
            f"the port is in use by {holder(address)}", remedy="Stop it, or use the device through it"
        )
    if code in (errno.EACCES, errno.EPERM):
        return NotConnectedError(
            "this user may not open the port",
            remedy="Join the group that owns it (often dialout), or install Tokaido's udev rules",
        )
    if code == errno.EINVAL:
        return ConfigurationError(f"the port refuses its settings: {error}", remedy="See the resource")
    if code == errno.ENOENT:
        return gone("there is no such port")
    return gone(f"the port could not be opened: {error}")


def holder(address: str) -> str:
    """Return who has the device file `address` open, for people: pid and command as /proc tells them."""
    from pathlib import Path  # noqa: PLC0415 - for who was refused alone

    real = os.path.realpath(address)
    pids: list[int] = []
    with suppress(OSError):
        status = Path(real).stat()
        place = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
        for line in Path("/proc/locks").read_text("ascii").splitlines():
            words = line.split()
            if "FLOCK" in words and place in words:
                pids.append(int(words[words.index(place) - 1]))
    if not pids:  # it took the port in another way
        pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit() and _has_open(entry, real)]
    return " and ".join(_process(pid) for pid in pids[:3]) or "another process that this user may not see"


def _has_open(process: Path, real: str) -> bool:
    with suppress(OSError):
        for entry in (process / "fd").iterdir():
            with suppress(OSError):
                if str(entry.readlink()) == real:
                    return True
    return False


def _process(pid: int) -> str:
    if pid == os.getpid():
        return f"pid {pid} (this process)"
    command = ""
    with suppress(OSError), open(f"/proc/{pid}/cmdline", "rb") as file:  # noqa: PTH123 - see `holder`
        command = file.read().replace(b"\0", b" ").decode("utf-8", "replace").strip()
    return f"pid {pid} ({command[:100] or 'command unknown'})"
