"""Where a device is: `serial:/dev/ttyUSB0?baudrate=115200`, `visa:TCPIP::192.0.2.7::5025::SOCKET`, `zmq:tcp://...`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tokaido.hal._errors import ConfigurationError

if not TYPE_CHECKING:
    from tokaido.hal._records import dataclass, field

if TYPE_CHECKING:
    from dataclasses import dataclass, field
    from pathlib import Path

    from tokaido.hal.transports._kinds import TransportKind


@dataclass(frozen=True, slots=True)
class Resource:
    """How to reach one port of a device. It holds the names of secret files, never secrets."""

    kind: str
    """Which kind of transport carries it; `transport_kinds` lists those that are installed."""
    address: str
    """Port, pyserial URL, VISA resource string, ZeroMQ endpoint, or what else the kind takes."""
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
        _check_text(text)
        name, colon, rest = text.partition(":")
        kind = _kind(name) if colon else None
        if kind is None:
            from tokaido.hal.transports._kinds import transport_kinds  # noqa: PLC0415 - for the mistaken only

            raise ConfigurationError(
                f"not a resource: {text!r}",
                remedy=f"Begin it with one of {', '.join(f'{name}:' for name in transport_kinds())}",
            )
        address, _, query = rest.partition("?")
        known = kind.options
        kept: list[str] = []
        options: dict[str, str] = {}
        mistakes: list[str] = []
        for item in filter(None, query.split("&")):
            key, equals, value = item.partition("=")
            if key not in known:
                if kind.owns(address, item):
                    kept.append(item)
                else:
                    mistakes.append(f"{key}: {name} has no such option; take one of {', '.join(sorted(known))}")
            elif key in options:
                mistakes.append(f"{key}: given twice; keep one of them")
            elif not equals or not value:
                mistakes.append(f"{key}: has no value; write {key}={known[key].example}")
            else:
                options[key] = _unquoted(value)
                if complaint := known[key].complaint(options[key]):
                    mistakes.append(f"{key}: {complaint}, not {options[key]!r}; for example {known[key].example}")
                elif known[key].is_file:
                    options[key] = _absolute(options[key], base)
        address = _unquoted(address)
        if kept:
            address += ("&" if "?" in address else "?") + "&".join(kept)
        mistakes += kind.check(address, options)
        if any(ord(character) < 32 for character in address):
            mistakes.append("address: has a control character; write the name of a port")
        if mistakes:
            raise ConfigurationError(f"resource {text!r} is wrong", mistakes=tuple(mistakes))
        return cls(name, address, options)

    def __str__(self) -> str:
        from urllib.parse import quote  # noqa: PLC0415 - 3 ms, for what is shown alone

        address, mark, own = self.address.partition("?")
        query = [f"{key}={quote(value, safe='/:@,~+')}" for key, value in self.options.items()]
        text = quote(address, safe="/:@[]*,~+!$'()=;")
        if mark and (kind := _kind(self.kind)) and all(kind.owns(address, item) for item in own.split("&")):
            query.insert(0, own)
        elif mark:
            text += quote(f"?{own}", safe="/:@,=&")
        return f"{self.kind}:{text}{'?' if query else ''}{'&'.join(query)}"


def _check_text(given: object) -> None:
    if not isinstance(given, str):
        example = f"serial:{given}" if isinstance(given, os.PathLike) else "serial:/dev/ttyUSB0"
        what = f"a resource is text, not {type(given).__name__} {given!r}"
        raise ConfigurationError(what[:200], remedy=f"Write {example!r}")


def _unquoted(text: str) -> str:
    if "%" not in text:
        return text
    from urllib.parse import unquote  # noqa: PLC0415 - 3 ms, for the quoted alone

    return unquote(text)


def _absolute(file: str, base: Path | None) -> str:
    from pathlib import Path  # noqa: PLC0415 - 4 ms, for files alone

    return str((base or Path()).absolute() / Path(file).expanduser())


def _kind(name: str) -> TransportKind | None:
    """Return the kind of that name, if there is one.

    Raises:
        ConfigurationError: There is one, and it cannot be used.
    """
    from tokaido.hal._own_entries import OWN, TRANSPORTS  # noqa: PLC0415 - `import tokaido.hal` is to be quick
    from tokaido.hal.transports._kinds import is_name, transport_kind, transport_kinds  # noqa: PLC0415

    known = name in OWN[TRANSPORTS] or (is_name(name) and name in transport_kinds())
    return transport_kind(name) if known else None
