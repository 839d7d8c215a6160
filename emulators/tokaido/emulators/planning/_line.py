"""What a line file says: sites, fibres, switches, kinds of units, links and demands, as frozen data."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from tokaido.emulators.optics import DpsParameters

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokaido.emulators.optics import AnyParameters, DriftKind, Fibre


@dataclass(frozen=True, slots=True)
class Site:
    """One place, with a trusted node."""

    name: str
    title: str
    title_ja: str = ""
    latitude: float | None = None
    """In degrees, north positive."""
    longitude: float | None = None
    """In degrees, east positive."""
    km_post: float | None = None
    """In km, along the line."""
    application: str = ""
    """SAE id of the application at the site; empty: there is none."""
    availability: float = 1.0
    """Share of the time in which its node works."""


@dataclass(frozen=True, slots=True)
class LineFibre:
    """One fibre between two sites."""

    name: str
    ends: tuple[str, str]
    fibre: Fibre
    dead: bool = False
    """Whether no light comes through."""
    availability: float = 1.0
    """Share of the time in which light comes through."""
    drift: DriftKind = "buried"
    """How it drifts."""


@dataclass(frozen=True, slots=True)
class LineSwitch:
    """One optical switch at a site."""

    name: str
    site: str
    driver: str
    """As `tokaido drivers` names it: "polatis.matrix"."""
    loss_db: float = 1.0
    """Of one pass, in dB, connectors included."""


@dataclass(frozen=True, slots=True)
class UnitClass:
    """One kind of transmitter and receiver, and what both are set to."""

    name: str
    preset: str
    """Of their optics."""
    settings: str
    """Of the preset's source, before `set` of the file changed some."""
    parameters: AnyParameters
    """Of one sub-channel, all but the loss of the path; `block_sifted_bits` is that of the file.

    Of emulated units `detector_ratio` is the one that they state.
    """
    vendor: str = ""
    """Family of the emulated units: there are emulators VENDOR.transmitter and VENDOR.receiver. Empty: none are."""
    sub_channels: int = 1
    """How many are on at either end."""
    intensity_tolerance: float = 0.0
    """How far the light of a pulse may be off its intensity, as a fraction: key lengths hold for the worst case."""

    @property
    def block_bits(self) -> int | None:
        """Key-basis bits of a block; None: blocks of the preset's own duration."""
        if isinstance(self.parameters, DpsParameters) or self.parameters.block_sifted_bits is None:
            return None
        return round(self.parameters.block_sifted_bits)

    def over(self, loss_db: float) -> AnyParameters:
        """Return the parameters over a path of so many dB."""
        return replace(self.parameters, channel_loss_db=loss_db)


@dataclass(frozen=True, slots=True)
class LineLink:
    """One QKD link between two sites."""

    name: str
    ends: tuple[str, str]
    """The transmitter's site comes first."""
    units: str
    """Name of their kind."""
    fibres: tuple[str, ...]
    """Each is a path of the link; the first that makes key is used."""
    switches: tuple[str, ...] = ()
    """What every path passes, once each."""
    availability: float = 1.0
    """Share of the time in which its units work."""


@dataclass(frozen=True, slots=True)
class Demand:
    """Keys that two sites want."""

    ends: tuple[str, str]
    rate: float
    """Keys of 256 bit a second."""
    routes: Literal[1, 2] = 1
    """2: each key is the XOR of two that went two node-disjoint routes."""


@dataclass(frozen=True, slots=True)
class Line:
    """A whole line. `read_line` makes it."""

    name: str
    title: str
    note: str
    sites: Mapping[str, Site]
    fibres: Mapping[str, LineFibre]
    switches: Mapping[str, LineSwitch]
    units: Mapping[str, UnitClass]
    links: Mapping[str, LineLink]
    demands: tuple[Demand, ...]
    title_ja: str = ""

    def loss_db(self, link: str, fibre: str) -> float:
        """Return the loss in dB of a link's path over one of its fibres: the fibre, and one pass of each switch."""
        switches = sum(self.switches[name].loss_db for name in self.links[link].switches)
        return self.fibres[fibre].fibre.total_loss_db + switches
