"""What the resource of a key manager says to its driver: docs/protocols/etsi014.md, section 2."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self
from urllib.parse import unquote

import tokaido.hal as hal

if TYPE_CHECKING:
    from collections.abc import Mapping

ENDS: Final = {"master": hal.KeyEnd.MASTER, "slave": hal.KeyEnd.SLAVE}
LARGEST: Final = 1 << 20
OF_THE_CONNECTION: Final = ("cert_file", "key_file", "ca_file", "server_name")


@dataclass(frozen=True, slots=True)
class Options:
    """Which end it is, who is at the other, and what is asked for."""

    peer: str
    end: hal.KeyEnd
    key_size: int | None
    number: int | None

    @classmethod
    def of(cls, resource: hal.Resource) -> Self:
        """Return the options of a resource.

        Raises:
            ConfigurationError: With every mistake in them.
        """
        mistakes = cls.mistakes(resource)
        if mistakes:
            raise hal.ConfigurationError(f"resource '{resource}' is wrong", mistakes=tuple(mistakes))
        given = _given(resource)
        numbers = {name: int(given[name]) if name in given else None for name in ("key_size", "number")}
        return cls(given["peer"], ENDS[given.get("end", "master")], numbers["key_size"], numbers["number"])

    @classmethod
    def mistakes(cls, resource: hal.Resource) -> list[str]:
        """Return what is wrong with the options of a resource."""
        given = _given(resource)
        found = [
            f"{name}: there is no such option; take one of {', '.join((*OF_THE_CONNECTION, *KNOWN))}"
            for name in given
            if name not in KNOWN
        ]
        if not given.get("peer"):
            found.append("peer: is missing; name the SAE id of the application at the other end: peer=sae-b")
        if given.get("end", "master") not in ENDS:
            found.append(f"end: should be master or slave, not {given['end']!r}")
        found += [
            f"{name}: should be {what}, not {given[name]!r}"
            for name, (step, what) in NUMBERS.items()
            if name in given and not _is_number(given[name], step)
        ]
        return found


NUMBERS: Final[Mapping[str, tuple[int, str]]] = {
    "key_size": (8, "a number of bit, a multiple of 8"),
    "number": (1, "a number of keys"),
}
KNOWN: Final = ("peer", "end", *NUMBERS)


def _is_number(text: str, step: int) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 8 and 0 < int(text) <= LARGEST and int(text) % step == 0


def _given(resource: hal.Resource) -> dict[str, str]:
    items = filter(None, resource.address.partition("?")[2].split("&"))
    return {key: unquote(value) for key, _, value in (item.partition("=") for item in items)}
