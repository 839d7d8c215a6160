"""What a way to reach devices is: how its resources are written and checked, and how its transport is made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, Protocol

from tokaido.hal._entry_points import entries, load
from tokaido.hal._errors import ConfigurationError
from tokaido.hal._numbers import real_in
from tokaido.hal._own_entries import TRANSPORTS

if not TYPE_CHECKING:
    from tokaido.hal._records import dataclass, field

if TYPE_CHECKING:
    from dataclasses import dataclass, field

    from tokaido.hal._clock import Clock
    from tokaido.hal.transports._codec import Codec
    from tokaido.hal.transports._resources import Resource
    from tokaido.hal.transports._text import TextTransport
    from tokaido.hal.transports._transport import Transport


@dataclass(frozen=True, slots=True)
class Option:
    """One option of a resource: `baudrate` in `serial:/dev/ttyUSB0?baudrate=9600`."""

    complaint: Callable[[str], str]
    """Return what a value should be, such as "should be a whole number", or nothing if the value is right."""
    example: str
    """A value that is right, to show beside a complaint."""
    is_file: bool = False
    """Whether the value names a file; the resource then has it as an absolute path."""

    @classmethod
    def one_of(cls, *choices: str, example: str) -> Option:
        """Return an option with a few possible values."""
        return cls(lambda value: "" if value in choices else f"should be one of {', '.join(choices)}", example)

    @classmethod
    def whole_number(cls, example: str) -> Option:
        """Return an option that is a whole number, 1 to 50,000,000."""
        return cls(_whole_number, example)

    @classmethod
    def file(cls, example: str) -> Option:
        """Return an option that names a file; a resource names the files of secrets and holds no secret itself."""
        return cls(_file_name, example, is_file=True)


class MakesStream(Protocol):
    """What makes the transport of a stream; a subclass of `StreamTransport` or `TextTransport` does."""

    def __call__(self, resource: Resource, codec: Codec, *, clock: Clock, timeout_s: float) -> TextTransport:
        """Return the transport, not opened yet."""
        ...


class MakesMessages(Protocol):
    """What makes a transport that needs no codec; a subclass of `Transport` does."""

    def __call__(self, resource: Resource, *, clock: Clock, timeout_s: float) -> Transport[Any]:
        """Return the transport, not opened yet."""
        ...


def _any_address(address: str, options: Mapping[str, str]) -> list[str]:  # noqa: ARG001 - a default `check`
    return [] if address else ["address: is missing"]


def _keeps_nothing(address: str, key: str) -> bool:  # noqa: ARG001 - a default `keeps`
    return False


def _no_serial_line(address: str, settings: Mapping[str, str]) -> dict[str, str] | None:  # noqa: ARG001 - as above
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportKind:
    """One way to reach devices: all that Tokaido knows about `NAME:ADDRESS?OPTION=VALUE`.

    A package of its own brings one by an entry point of the group `tokaido.transports` whose name is the kind's. Give
    `stream` for bytes that a codec cuts into frames, or `messages` for whatever has frames of its own.

    Raises:
        ValueError: The name is not lower-case letters and digits, or `stream` and `messages` are both given or absent.
    """

    name: str
    """What its resources begin with: lower-case letters and digits, such as `unixsocket`."""
    stream: MakesStream | None = None
    """Makes its transport from a resource and a codec."""
    messages: MakesMessages | None = None
    """Makes its transport from a resource."""
    options: Mapping[str, Option] = field(default_factory=dict)
    """Its options by name. Every kind has `timeout` besides, which a transport reads by itself, and `identity`, which a
    driver reads."""
    check: Callable[[str, Mapping[str, str]], list[str]] = _any_address
    """Return every mistake in an address and its options, each as "word: what is wrong; what to write"."""
    keeps: Callable[[str, str], bool] = _keeps_nothing
    """Return whether an option that is not ours belongs to the address, which is a URL with a query of its own."""
    serial_line: Callable[[str, Mapping[str, str]], dict[str, str] | None] = _no_serial_line
    """Return how this kind writes the settings of a serial line, given as `serial` writes them (`baudrate`,
    `bytesize`, `parity`, `stopbits`, `rtscts`), or None if the address is not a serial line."""
    stands_for: frozenset[str] = frozenset()
    """Kinds in whose place it may be used: with {"serial"}, by every driver that takes a serial resource."""

    def __post_init__(self) -> None:
        if not is_name(self.name):
            raise ValueError(f"a kind's name is lower-case letters and digits, not {self.name!r}")
        if (self.stream is None) is (self.messages is None):
            raise ValueError(f"{self.name} carries a stream or messages: give one of both")
        object.__setattr__(self, "options", {**self.options, "timeout": TIMEOUT, "identity": IDENTITY})

    def owns(self, address: str, item: str) -> bool:
        """Return whether an item of a query belongs to the address itself."""
        key = item.partition("=")[0]
        return bool(key) and key not in self.options and self.keeps(address, key)


def is_name(text: str) -> bool:
    """Return whether a kind may be called so."""
    return text.isascii() and text.isalnum() and text == text.lower() and text[0].isalpha()


def is_port(text: str) -> bool:
    """Return whether a text is the number of a TCP port."""
    return text.isascii() and text.isdigit() and 0 < int(text) < 65_536


def transport_kind(name: str) -> TransportKind:
    """Return the kind of resource of that name; one that is not ours is imported now.

    Raises:
        ConfigurationError: There is none (the remedy lists those that are installed), or it cannot be imported.
    """
    found = load(TRANSPORTS, name)
    if not isinstance(found, TransportKind) or found.name != name:
        raise ConfigurationError(
            f"{name} is registered as a transport and is not a TransportKind of that name: {found!r}",
            remedy="Correct its entry point, or remove its distribution",
        )
    return found


def transport_kinds() -> tuple[str, ...]:
    """Return the names of the kinds of resource that are installed, without importing them."""
    return tuple(entry.name for entry in entries(TRANSPORTS))


def _whole_number(value: str) -> str:
    return "" if value.isascii() and value.isdigit() and 0 < int(value) <= 50_000_000 else "should be a whole number"


def _seconds(value: str) -> str:
    try:
        seconds = real_in(value)
    except ValueError:
        seconds = 0.0
    return "" if 0 < seconds <= 1e9 else "should be a time in s"


def _file_name(value: str) -> str:
    return "should be a file name" if any(ord(character) < 32 for character in value) else ""


def _identity_fields(value: str) -> str:
    named = [field for field in value.split(",") if field != "-"]
    right = set(named) <= set(IDENTITY_FIELDS) and len(set(named)) == len(named) and {"vendor", "model"} <= set(named)
    return "" if right else f"should name the fields of *IDN?, of {', '.join(IDENTITY_FIELDS)}, '-' for any other"


IDENTITY_FIELDS: Final = ("vendor", "model", "serial_number", "firmware")
"""The fields of `*IDN?` (IEEE 488.2, 10.14)."""
IDENTITY: Final = Option(_identity_fields, "vendor,model,firmware")
TIMEOUT: Final = Option(_seconds, "2.5")
LINE_ENDS: Final = {"cr": "\r", "lf": "\n", "crlf": "\r\n"}
LINE_END: Final = Option.one_of(*LINE_ENDS, example="crlf")
"""How the device ends its lines, where that can be chosen."""
MODEM_OPTIONS: Final = {
    "open_delay": Option(_seconds, "2"),
    "dtr": Option.one_of("0", "1", example="0"),
    "rts": Option.one_of("0", "1", example="0"),
}
"""What every serial line takes: how long to wait after opening it, and the modem lines."""
