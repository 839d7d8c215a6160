"""What `tokaido demo` shows of a family's units: the entry that a family brings beside its drivers and emulators.

A family is named by what stands before the dot: with the drivers and emulators `acme.transmitter` and `acme.receiver`,
and the entry `acme` in the entry point group `tokaido.demonstrations`, `tokaido demo --scenario switch --vendor acme`
runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tokaido.hal import ConfigurationError, drivers, emulators, installed

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokaido.emulators.optics import Fibre, LinkParameters
    from tokaido.hal import DriverEntry

__all__ = ["GROUP", "INVENTED", "Demonstration", "FieldLink", "Published", "demonstrable", "demonstration"]

GROUP: Final = "tokaido.demonstrations"
"""Entry point group: the name of a family, and its `Demonstration`."""
INVENTED: Final = "The units' protocols are Tokaido's own inventions: no vendor's is public, and none was used."
"""What is to be said of protocols that Tokaido invented."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A published system that a family's units are built after."""

    parameters: Callable[[float], LinkParameters]
    """Its published settings over a path of so many dB."""
    remark: str
    """What to say of these settings, without a full stop: "The published probabilities are made for long blocks"."""
    measured_bps: float
    """Secret key rate that was measured in the field, in bit/s."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldLink:
    """One link that really exists, for the scenario `link`."""

    name: str
    """Name in records: "tokyo-field"."""
    title: str
    """What a person reads: "the Tokyo field link"."""
    fibre: Fibre
    block_bits: int
    """Key-basis bits of a block."""
    parameters: Callable[[float], LinkParameters]
    """What the units are built of and set to, over a path of so many dB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Demonstration:
    """What to show of a family."""

    style: str
    """What its units are called: "Toshiba-style"."""
    protocols: str
    """One sentence on where the units' protocols come from."""
    fibres: tuple[Fibre, Fibre]
    """For the scenario `switch`: the fibre that is cut, and the one that the link goes on over."""
    parameters: Callable[[float], LinkParameters]
    """For the scenario `switch`: what the units are built of and set to, over a path of so many dB, for blocks of 1e6
    bits."""
    sub_channels: int = 1
    """How many sub-channels are on at either end."""
    published: Published | None = None
    field_link: FieldLink | None = None
    """None: the family has no scenario `link`."""


def demonstrable() -> tuple[str, ...]:
    """Return the families that can be demonstrated: with both units, driver and emulator of each, and an entry."""
    complete = {entry.name for entry in drivers()} & {entry.name for entry in emulators()}
    return tuple(sorted(name for name in _entries() if {f"{name}.transmitter", f"{name}.receiver"} <= complete))


def demonstration(family: str) -> Demonstration:
    """Return what to show of a family.

    Raises:
        ConfigurationError: The family cannot be demonstrated.
    """
    known = demonstrable()
    if family not in known:
        raise ConfigurationError(
            f"there is no family {family!r} to demonstrate", remedy=f"Choose one of: {', '.join(known) or 'none'}"
        )
    entry = _entries()[family]
    found = entry.load()
    if not isinstance(found, Demonstration):
        raise ConfigurationError(f"{family} is registered as a demonstration, and {entry.target} is none: {found!r}")
    return found


def _entries() -> dict[str, DriverEntry]:
    return {entry.name: entry for entry in installed(GROUP)}
