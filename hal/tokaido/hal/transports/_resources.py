"""Where a device is: `serial:/dev/ttyUSB0?baudrate=115200`, `visa:TCPIP::192.0.2.7::5025::SOCKET`, `zmq:tcp://...`."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal
from urllib.parse import quote, unquote

from tokaido.hal._errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable


Kind = Literal["serial", "visa", "zmq"]


@dataclass(frozen=True, slots=True)
class Resource:
    """How to reach one port of a device. It holds the names of secret files, never secrets."""

    kind: Kind
    """Which transport carries it."""
    address: str
    """Port, pyserial URL, VISA resource string or ZeroMQ endpoint."""
    options: dict[str, str] = field(default_factory=dict, hash=False)
    """What else the transport should know, checked and with files as absolute paths."""

    @classmethod
    def parse(cls, text: str, base: Path | None = None) -> Resource:
        """Return the resource that `text` describes; relative files lie in `base` (default: the working folder).

        In a value, `%26` stands for `&`. A pyserial URL keeps the options that are its own; one that has the name of
        ours is written with `%3F` before it: `serial:rfc2217://lab:2217%3Ftimeout=3?timeout=1`.

        Raises:
            ConfigurationError: With every mistake found, each with its remedy.
        """
        kind, colon, rest = text.partition(":")
        if not colon or kind not in _KINDS:
            raise ConfigurationError(
                f"not a resource: {text!r}", remedy=f"Begin it with one of {', '.join(f'{kind}:' for kind in _KINDS)}"
            )
        address, _, query = rest.partition("?")
        known = _KINDS[kind].options
        kept: list[str] = []
        options: dict[str, str] = {}
        mistakes: list[str] = []
        for item in filter(None, query.split("&")):
            key, equals, value = item.partition("=")
            if key not in known:
                if _stays(kind, address, item):
                    kept.append(item)
                else:
                    mistakes.append(f"{key}: {kind} has no such option; take one of {', '.join(sorted(known))}")
            elif key in options:
                mistakes.append(f"{key}: given twice; keep one of them")
            elif not equals or not value:
                mistakes.append(f"{key}: has no value; write {key}={known[key].example}")
            else:
                options[key] = unquote(value)
                if complaint := known[key].complaint(options[key]):
                    mistakes.append(f"{key}: {complaint}, not {options[key]!r}; for example {known[key].example}")
                elif known[key].is_file:
                    options[key] = str((base or Path()).absolute() / Path(options[key]).expanduser())
        address = unquote(address)
        if kept:
            address += ("&" if "?" in address else "?") + "&".join(kept)
        mistakes += _KINDS[kind].check(address, options)
        if mistakes:
            raise ConfigurationError(f"resource {text!r} is wrong", mistakes=tuple(mistakes))
        return cls(_KINDS[kind].name, address, options)

    def __str__(self) -> str:
        address, mark, own = self.address.partition("?")
        query = [f"{key}={quote(value, safe='/:@,~+')}" for key, value in self.options.items()]
        text = quote(address, safe="/:@[]*,~+!$'()=;")
        if mark and all(_stays(self.kind, address, item) for item in own.split("&")):
            query.insert(0, own)
        elif mark:
            text += quote(f"?{own}", safe="/:@,=&")
        return f"{self.kind}:{text}{'?' if query else ''}{'&'.join(query)}"


# --- what each kind knows -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Option:
    complaint: Callable[[str], str]
    """Returns what a value should be, or nothing if it is."""
    example: str
    is_file: bool = False


@dataclass(frozen=True, slots=True)
class _KindRules:
    name: Kind
    options: dict[str, _Option]
    check: Callable[[str, dict[str, str]], list[str]]


def _whole_number(value: str) -> str:
    return "" if value.isascii() and value.isdigit() and 0 < int(value) <= 50_000_000 else "should be a whole number"


def _seconds(value: str) -> str:
    try:
        seconds = float(value)
    except ValueError:
        seconds = math.nan
    return "" if 0 < seconds <= 1e9 else "should be a time in s"


def _one_of(*choices: str) -> Callable[[str], str]:
    return lambda value: "" if value in choices else f"should be one of {', '.join(choices)}"


def _file_name(value: str) -> str:
    return "should be a file name" if any(ord(character) < 32 for character in value) else ""


def _backend(value: str) -> str:
    return "" if "@" in value or "/" in value else "should be @ and a name, or a file"


def _check_serial(address: str, _options: dict[str, str]) -> list[str]:
    if not address:
        return ["port: is missing; for example serial:/dev/ttyUSB0"]
    if address.startswith("socket://"):
        host, _, port = address.removeprefix("socket://").partition("?")[0].rstrip("/").rpartition(":")
        if not host or not _is_port(port):
            return ["port: a socket has a host and a port; for example serial:socket://192.0.2.7:4001"]
    return []


def _check_visa(address: str, options: dict[str, str]) -> list[str]:
    kind, _, rest = address.partition("::")
    interface = kind.upper().rstrip("0123456789")
    if interface.startswith("ASRL"):
        return [] if kind[4:] else ["resource: names no port; for example visa:ASRL/dev/ttyUSB0::INSTR"]
    mistakes = [f"{key}: belongs to a serial line (ASRL), and this is none" for key in _LINE_OPTIONS if key in options]
    if interface not in ("TCPIP", "USB", "GPIB", "VXI", "PXI", "VICP", "PRLGX-TCPIP") or not rest:
        return [
            "resource: should be a VISA resource string; for example visa:TCPIP::192.0.2.7::5025::SOCKET",
            *mistakes,
        ]
    words = rest.split("::")
    if words[-1].upper() == "SOCKET" and not (len(words) == 3 and words[0] and _is_port(words[1])):
        mistakes.append("resource: a socket has a host and a port; for example visa:TCPIP::192.0.2.7::5025::SOCKET")
    return mistakes


def _check_zmq(address: str, options: dict[str, str]) -> list[str]:
    mistakes: list[str] = []
    scheme, _, rest = address.partition("://")
    if scheme not in ("tcp", "ipc", "inproc") or not rest:
        mistakes.append("endpoint: should be tcp://HOST:PORT, ipc://PATH or inproc://NAME")
    elif scheme == "tcp":
        host, _, port = rest.rpartition(":")
        if not host or "*" in host or not _is_port(port):
            mistakes.append("endpoint: has no host and port to connect to; for example tcp://192.0.2.7:5560")
    if scheme != "inproc":  # which never leaves the process, and for which ZeroMQ has no CURVE
        mistakes += [
            f"{key}: is missing, and nothing goes unencrypted; add {key}={_ZMQ_OPTIONS[key].example}"
            for key in ("server_key_file", "client_key_file")
            if key not in options
        ]
    return mistakes


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and 0 < int(text) < 65_536


def _stays(kind: str, address: str, item: str) -> bool:
    """Return whether an item of a query belongs to the URL itself and not to us."""
    key = item.partition("=")[0]
    if kind != "serial" or not key or key in _SERIAL_OPTIONS:
        return False
    scheme, mark, _ = address.partition("://")
    own = _URL_OPTIONS.get(scheme) if mark else frozenset[str]()
    return own is None or key in own


_FLAG = _Option(_one_of("0", "1"), "1")
_TIMEOUT = _Option(_seconds, "2.5")
_SERIAL_OPTIONS: Final = {
    "baudrate": _Option(_whole_number, "115200"),
    "bytesize": _Option(_one_of("5", "6", "7", "8"), "8"),
    "parity": _Option(_one_of("N", "E", "O", "M", "S"), "N"),
    "stopbits": _Option(_one_of("1", "1.5", "2"), "1"),
    "rtscts": _FLAG,
    "timeout": _TIMEOUT,
}
_LINE_OPTIONS: Final = {
    "baud_rate": _Option(_whole_number, "38400"),
    "data_bits": _Option(_one_of("5", "6", "7", "8"), "8"),
    "parity": _Option(_one_of("N", "E", "O", "M", "S"), "N"),
    "stop_bits": _Option(_one_of("1", "1.5", "2"), "1"),
    "flow_control": _Option(_one_of("none", "xon_xoff", "rts_cts", "dtr_dsr"), "none"),
}
_VISA_OPTIONS: Final = {"backend": _Option(_backend, "@py"), **_LINE_OPTIONS, "timeout": _TIMEOUT}
_ZMQ_OPTIONS: Final = {
    "server_key_file": _Option(_file_name, "alice.key", is_file=True),
    "client_key_file": _Option(_file_name, "node.key_secret", is_file=True),
    "timeout": _TIMEOUT,
}
_KINDS: Final = {
    "serial": _KindRules("serial", _SERIAL_OPTIONS, _check_serial),
    "visa": _KindRules("visa", _VISA_OPTIONS, _check_visa),
    "zmq": _KindRules("zmq", _ZMQ_OPTIONS, _check_zmq),
}
# What pyserial's own URLs understand; of the URLs of others nothing is known.
_URL_OPTIONS: Final = {
    "socket": frozenset({"logging"}),
    "rfc2217": frozenset({"logging", "ign_set_control", "poll_modem", "timeout"}),
    "loop": frozenset({"logging"}),
    "spy": frozenset({"file", "color", "raw", "all"}),
    "alt": frozenset({"class"}),
    "hwgrep": frozenset({"n", "skip_busy"}),
}
