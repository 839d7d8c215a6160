"""What the scenario takes from a line file: sites, spans with their units and fibres, and for whom keys are kept."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import tokaido.hal as hal
from tokaido.console._line.plant import Fibre, Pair, Site, Span

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tokaido.emulators.planning import Line, LineLink, UnitClass

STOCK: Final = 256
"""Keys of 256 bit that are kept for each pair."""
WANTED: Final = 32


@dataclass(frozen=True, slots=True)
class Described:
    """A line, as the scenario runs it."""

    scenario: str
    """Which of `tokaido demo` it is."""
    title: str
    titles_ja: Mapping[str, str]
    """By site, and of the whole by an empty name."""
    wanted: int
    """Keys in stock at both ends of the first pair with which the applications begin."""
    sites: tuple[Site, ...]
    spans: tuple[Span, ...]
    pairs: tuple[Pair, ...]
    losses_db: Mapping[str, float]
    """By span, over its first fibre."""
    styles: Mapping[str, str]
    """By span, what its units are called."""
    sifted_bps: Mapping[str, float]
    """By span, of the key basis in an emulated second."""
    protocols: str
    """Where the protocols of the units come from."""

    @property
    def names(self) -> frozenset[str]:
        """Of all sites and spans."""
        return frozenset((*(site.name for site in self.sites), *(span.name for span in self.spans)))

    @property
    def ends(self) -> tuple[Site, Site]:
        """The sites of the first pair."""
        by_name = {site.name: site for site in self.sites}
        first, last = self.pairs[0].ends
        return by_name[first], by_name[last]


def described_line(file: Path | None = None) -> Described:
    """Return what a line file says.

    Args:
        file: None: the line from Tokyo to Kobe that comes with Tokaido.

    Raises:
        ConfigurationError: It cannot be read, or asks for something that cannot be emulated.
    """
    from tokaido.console._examples import folder  # noqa: PLC0415
    from tokaido.emulators.demonstrations import demonstration  # noqa: PLC0415 - numpy, when first needed
    from tokaido.emulators.optics import link_rate  # noqa: PLC0415
    from tokaido.emulators.planning import read_line  # noqa: PLC0415

    line = read_line(folder() / "tokaido-line" / "line.toml" if file is None else file)
    mistakes = [f"links.{link.name}: {why}" for link in line.links.values() if (why := _obstacle(line, link))]
    if not line.demands:
        mistakes.append("demands: there is none; say for whom keys are kept")
    if mistakes:
        raise hal.ConfigurationError(
            f"{line.name} cannot be run; it has {len(mistakes)} mistakes", mistakes=tuple(mistakes)
        )
    losses = {name: line.loss_db(name, link.fibres[0]) for name, link in line.links.items()}
    shown = {name: demonstration(line.units[link.units].vendor) for name, link in line.links.items()}
    return Described(
        scenario="line",
        title=line.title,
        wanted=WANTED,
        titles_ja={"": line.title_ja, **{site.name: site.title_ja for site in line.sites.values()}},
        sites=tuple(
            Site(site.name, site.title, site.application, site.latitude, site.longitude, site.km_post)
            for site in line.sites.values()
        ),
        spans=tuple(_span(line, link) for link in line.links.values()),
        pairs=tuple(Pair(demand.ends, STOCK, demand.routes) for demand in line.demands),
        losses_db=losses,
        styles={name: one.style for name, one in shown.items()},
        protocols=" ".join(dict.fromkeys(one.protocols for one in shown.values())),
        sifted_bps={
            name: line.units[link.units].sub_channels * link_rate(line.units[link.units].over(losses[name])).sifted_bps
            for name, link in line.links.items()
        },
    )


def _span(line: Line, link: LineLink) -> Span:
    units = line.units[link.units]
    at = {line.switches[name].site: line.switches[name] for name in link.switches}
    first, second = link.ends
    return Span(
        name=link.name,
        ends=link.ends,
        family=units.vendor,
        settings=units.settings,
        fibres=tuple(
            Fibre(name, line.fibres[name].fibre.length_km, line.fibres[name].fibre.total_loss_db)
            for name in link.fibres
        ),
        switches=(at[first].driver if first in at else "", at[second].driver if second in at else ""),
        options=_options(units),
        block_bits=units.block_bits,
    )


def _options(units: UnitClass) -> tuple[str, str]:
    if units.vendor != "nec":
        return "", ""
    channels = f"sub_channels = {units.sub_channels}"
    return channels, f'{channels}, detectors = "{_DETECTORS[units.preset]}"'


def _obstacle(line: Line, link: LineLink) -> str:
    """Return why a link cannot be emulated as the file says, nothing if it can."""
    from tokaido.emulators.optics import preset  # noqa: PLC0415 - numpy, when first needed
    from tokaido.emulators.units import DETECTOR_RATIO  # noqa: PLC0415

    units = line.units[link.units]
    if units.preset not in _PRESETS.get(units.vendor, ()):
        return f"no emulated units are built as {units.preset} of {units.vendor or 'no vendor'}"
    settings: Any = units.settings
    plain = preset(units.preset, settings=settings, channel_loss_db=0.0)
    as_emulated = replace(plain, block_sifted_bits=units.block_bits, detector_ratio=DETECTOR_RATIO)
    if units.over(0.0) != as_emulated:
        return f"units.{units.name} changes the preset's settings; emulated units are set to those of a preset"
    if len(link.fibres) > 1 and not all(any(line.switches[n].site == end for n in link.switches) for end in link.ends):
        return "several fibres take a switch at either end"
    return ""


_DETECTORS: Final = {"nec-sspd": "nanowire", "nec-apd": "avalanche"}
_PRESETS: Final = {"toshiba": ("t12",), "nec": ("nec-sspd", "nec-apd")}
"""How emulated units are built, by vendor."""
