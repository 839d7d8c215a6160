"""What is told of an alarm: a program, a web server, people by mail."""

from __future__ import annotations

import json
import os
import signal
import stat
import threading
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

from tokaido.hal._clock import SYSTEM_CLOCK
from tokaido.hal._errors import ConfigurationError, RangeError, TokaidoError, TransportError
from tokaido.hal._numbers import real
from tokaido.hal.files import path_of

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Callable, Generator, Mapping, Sequence
    from pathlib import Path

    from tokaido.hal.roles._alarms import Severity

TIMEOUT_S: Final = 10.0
LONGEST_TIMEOUT_S: Final = 600.0
LONGEST_SECRET: Final = 4096
LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})
MailTls = Literal["implicit", "starttls"]


class AlarmHook(Protocol):
    """What is told of alarms beside the loop that takes them. It may be of any class."""

    name: str
    """What the log calls it."""
    severity: Severity | None
    """The least severe that it is told of; None: all."""

    def tell(self, record: Mapping[str, Any]) -> None:
        """Tell of one alarm, in the hook's own thread; what it raises is logged, and the next alarm is told.

        Args:
            record: `StationAlarm.record()`, and `dropped`: how many before this one were dropped, the hook being slow.
        """
        ...


class ProgramHook:
    """Runs a program for each alarm, with the event as one line of JSON at its standard input.

    No shell is between, so nothing that a device says is ever a command. What the program prints is dropped.

    Args:
        arguments: The program and its arguments, a list.
        severity: The least severe that it is told of; default: all.
        timeout: After so many s it is killed, with the processes that it began.

    Raises:
        ConfigurationError: It is not a list of texts.
    """

    def __init__(
        self, arguments: Sequence[str], *, severity: Severity | None = None, timeout: float = TIMEOUT_S
    ) -> None:
        listed = [] if isinstance(arguments, str) else list(arguments)
        if not listed or not all(isinstance(one, str) and "\0" not in one for one in listed) or not listed[0]:
            raise ConfigurationError(
                f"a program is a list of its name and its arguments, not {arguments!r}"[:200],
                remedy='Write ["/usr/local/bin/lamp", "--red"]; no shell takes it apart',
            )
        self.arguments = tuple(listed)
        self.severity = severity
        self.timeout_s = _timeout(timeout)
        self.name = listed[0]

    def tell(self, record: Mapping[str, Any]) -> None:
        """Run the program once.

        Raises:
            TokaidoError: It could not be started, ended with another status than 0, or was killed after its time.
        """
        import subprocess  # noqa: PLC0415 - for those who have such a hook

        nothing = subprocess.DEVNULL  # a grandchild that keeps a pipe would hold us
        try:
            process = subprocess.Popen(  # noqa: S603 - the owner of the station file named it, and no shell reads it
                self.arguments, stdin=subprocess.PIPE, stdout=nothing, stderr=nothing, start_new_session=True
            )
        except OSError as error:
            raise TokaidoError(f"{self.name} could not be started: {error.strerror}") from error
        with process:
            try:
                process.communicate(_line(record), timeout=self.timeout_s)
            except subprocess.TimeoutExpired as error:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                raise TokaidoError(f"{self.name} was killed after {self.timeout_s:g} s") from error
        if process.returncode:
            raise TokaidoError(f"{self.name} ended with status {process.returncode}")


class WebHook:
    """Posts each alarm as JSON to a web server: over https, or over http to this machine alone.

    Redirections are not followed, and proxies that the environment names are not used.

    Args:
        url: Where to.
        severity: The least severe that it is told of; default: all.
        timeout: Deadline of one post in s.
        token_file: A file of mode 0600 with what goes behind `Authorization: Bearer`; default: none does.
        ca_file: Certificates to trust; default: those of the system.

    Raises:
        ConfigurationError: The URL is another one, or has a name and password in it.
    """

    def __init__(
        self,
        url: str,
        *,
        severity: Severity | None = None,
        timeout: float = TIMEOUT_S,
        token_file: str | Path | None = None,
        ca_file: str | Path | None = None,
    ) -> None:
        from urllib.parse import urlsplit  # noqa: PLC0415 - for those who have such a hook

        try:
            parts = urlsplit(url)
            self._port = parts.port
        except ValueError as error:
            raise ConfigurationError(f"{url!r} is not a URL: {error}"[:200]) from error
        self._secure = parts.scheme == "https"
        self._host = parts.hostname or ""
        self._path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        if parts.username is not None or parts.password is not None:
            raise ConfigurationError("a URL holds no password", remedy="Put a token into a file: token_file")
        if not self._host or not (self._secure or (parts.scheme == "http" and self._host in LOOPBACK)):
            raise ConfigurationError(
                f"a web hook is https://..., or http:// to {', '.join(sorted(LOOPBACK))}, not {url!r}"[:250],
                remedy="Alarms say what is wrong with a device: they go over no network in the clear",
            )
        if not url.isascii() or any(one.isspace() or not one.isprintable() for one in url):
            raise ConfigurationError(f"{url!r} has a character that no URL has"[:200], remedy="Write it as %XX")
        self.name = f"{parts.scheme}://{self._host}{parts.path}"
        self.severity = severity
        self.timeout_s = _timeout(timeout)
        self.token_file = None if token_file is None else path_of(token_file, "the file of the token")
        self.ca_file = None if ca_file is None else path_of(ca_file, "the file of certificates")

    def tell(self, record: Mapping[str, Any]) -> None:
        """Post one alarm.

        Raises:
            TransportError: The server could not be reached, or answered with another status than 2xx.
            ConfigurationError: A file of the hook is missing or open to others.
        """
        from http.client import HTTPConnection, HTTPException, HTTPSConnection  # noqa: PLC0415

        head = {"Content-Type": "application/json", "User-Agent": "tokaido"}
        if self.token_file is not None:
            head["Authorization"] = f"Bearer {secret_of(self.token_file, 'token')}"
        connection = (
            HTTPSConnection(self._host, self._port, timeout=self.timeout_s, context=_context(self.ca_file))
            if self._secure
            else HTTPConnection(self._host, self._port, timeout=self.timeout_s)
        )
        cut = threading.Event()
        try:
            with _cut_off(self.timeout_s, lambda: connection.sock, cut):
                connection.request("POST", self._path, _line(record), head)
                status = connection.getresponse().status
        except (OSError, HTTPException, ValueError) as error:
            what = f"no answer within {self.timeout_s:g} s" if cut.is_set() else str(error) or type(error).__name__
            raise TransportError(f"{self.name}: {what}") from error
        finally:
            connection.close()
        if not 200 <= status < 300:
            raise TransportError(f"{self.name} answered with status {status}")


class MailHook:
    """Sends each alarm by mail, over TLS.

    Args:
        to: Addresses.
        sender: Address of the sender.
        server: Host and port of the mail server: `mail.example.org:465`.
        severity: The least severe that it is told of; default: all.
        timeout: Deadline of one mail in s.
        tls: "implicit" from the first byte on (port 465), or "starttls" (port 587). There is no mail without TLS.
        user: Name to log in with; default: no log-in.
        password_file: A file of mode 0600 with the password of `user`.
        ca_file: Certificates to trust; default: those of the system.

    Raises:
        ConfigurationError: Something of this is not as it should be.
    """

    def __init__(
        self,
        to: Sequence[str],
        *,
        sender: str,
        server: str,
        severity: Severity | None = None,
        timeout: float = TIMEOUT_S,
        tls: MailTls = "implicit",
        user: str = "",
        password_file: str | Path | None = None,
        ca_file: str | Path | None = None,
    ) -> None:
        self.to = () if isinstance(to, str) else tuple(to)
        if not self.to or not all(_is_address(one) for one in (*self.to, sender)):
            raise ConfigurationError(
                f"a mail goes to a list of addresses and comes from one, not to {to!r} from {sender!r}"[:300],
                remedy='Write to = ["operator@example.org"]',
            )
        host, colon, port = server.rpartition(":")
        if not colon or not host or not port.isdecimal() or not 0 < int(port) < 65536:
            raise ConfigurationError(f"a mail server is host:port, not {server!r}"[:200])
        if tls not in ("implicit", "starttls"):
            raise ConfigurationError(f'tls is "implicit" or "starttls", not {tls!r}'[:200])
        if bool(user) != (password_file is not None):
            raise ConfigurationError("a user has a password_file, and a password_file a user")
        self.sender, self.tls, self.user = sender, tls, user
        self._host, self._port = host.strip("[]"), int(port)
        self.name = f"mail to {', '.join(self.to)}"
        self.severity = severity
        self.timeout_s = _timeout(timeout)
        self.password_file = None if password_file is None else path_of(password_file, "the file of the password")
        self.ca_file = None if ca_file is None else path_of(ca_file, "the file of certificates")

    def tell(self, record: Mapping[str, Any]) -> None:
        """Send one mail.

        Raises:
            TransportError: The server could not be reached, or took it for none of the addresses.
            ConfigurationError: A file of the hook is missing or open to others.
        """
        import smtplib  # noqa: PLC0415 - for those who have such a hook
        from socket import gethostname  # noqa: PLC0415 - the full name would be asked of a name server

        password = "" if self.password_file is None else secret_of(self.password_file, "password")
        context, message = _context(self.ca_file), self._message(record)
        mail: smtplib.SMTP | None = None
        cut = threading.Event()
        try:
            with _cut_off(self.timeout_s, lambda: mail.sock if mail is not None else None, cut):
                kind = smtplib.SMTP if self.tls == "starttls" else partial(smtplib.SMTP_SSL, context=context)
                mail = kind(local_hostname=gethostname(), timeout=self.timeout_s)
                mail.__dict__["_host"] = (
                    self._host
                )  # the name that its certificate must have; no connection before it can be cut
                mail.connect(self._host, self._port)
                if self.tls == "starttls":
                    mail.starttls(context=context)
                if self.user:
                    mail.login(self.user, password)
                refused = mail.send_message(message)
                with suppress(smtplib.SMTPException):  # the mail is sent
                    mail.quit()
        except (OSError, smtplib.SMTPException, ValueError) as error:
            what = f"not sent within {self.timeout_s:g} s" if cut.is_set() else _without(password, error)
            raise TransportError(f"{self.name}: {what}") from None  # the cause may show the password
        finally:
            if mail is not None:
                mail.close()
        if refused:
            raise TransportError(f"{self.name}: the server does not take {', '.join(refused)}")

    def _message(self, record: Mapping[str, Any]) -> Any:
        from email.message import EmailMessage  # noqa: PLC0415

        message = EmailMessage()
        change = "raised" if record["raised"] else "cleared"
        subject = f"{record['station']}: {record['device']} {record['code']} {change} ({record['severity']})"
        message["Subject"] = " ".join(subject.split())
        message["From"], message["To"] = self.sender, ", ".join(self.to)
        message.set_content("".join(f"{key}: {value}\n" for key, value in record.items()))
        return message


def secret_of(path: Path, what: str) -> str:
    """Return the one line of a file that nobody but its owner may read.

    Raises:
        ConfigurationError: The file is missing, empty or open to others.
    """
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)  # of the very file that is read
            text = file.read(LONGEST_SECRET).decode("utf-8", "replace").strip()
    except OSError as error:
        raise ConfigurationError(f"the {what} file {path} cannot be read: {error.strerror}") from error
    if mode & 0o077:
        raise ConfigurationError(
            f"others may read the {what} file {path} (mode {mode:04o})", remedy=f"chmod 600 {path}"
        )
    if not text or not text.isprintable():
        raise ConfigurationError(f"the {what} file {path} does not hold one line of text")
    return text


def _timeout(given: float) -> float:
    timeout_s = real(given, "timeout")
    if not 0 < timeout_s <= LONGEST_TIMEOUT_S:
        raise RangeError(f"a hook's timeout must lie in 0 to {LONGEST_TIMEOUT_S:g} s, not {given!r}")
    return timeout_s


def _line(record: Mapping[str, Any]) -> bytes:
    return json.dumps(record).encode("ascii") + b"\n"


def _context(ca_file: Path | None) -> ssl.SSLContext:
    import ssl  # noqa: PLC0415

    try:
        return ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
    except OSError as error:  # ssl.SSLError is one
        raise ConfigurationError(f"the certificates {ca_file} cannot be read: {error.strerror or error}") from error


@contextmanager
def _cut_off(seconds: float, sock: Callable[[], socket.socket | None], cut: threading.Event) -> Generator[None]:
    """Shut the socket down and set `cut` when the block takes longer: a socket's own timeout begins with each byte."""
    import socket as sockets  # noqa: PLC0415

    done = threading.Event()

    def wait() -> None:
        if not SYSTEM_CLOCK.wait(seconds, done):
            cut.set()
            open_socket = sock()
            if open_socket is not None:
                with suppress(OSError):
                    open_socket.shutdown(sockets.SHUT_RDWR)

    watcher = threading.Thread(target=wait, name="tokaido-hook-deadline", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()


def _is_address(text: object) -> bool:
    return (
        isinstance(text, str)
        and text.isascii()
        and text.isprintable()
        and text.count("@") == 1
        and not any(one in text for one in ' ,;<>"()[]\\')
    )


def _without(password: str, error: Exception) -> str:
    text = str(error) or type(error).__name__
    return text.replace(password, "...") if password else text
