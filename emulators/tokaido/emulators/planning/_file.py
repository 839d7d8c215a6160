"""Line files: what they say, and every mistake in them, each with its line or key and what to do."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, TypeAlias, get_args

from tokaido.emulators.optics import (
    DriftKind,
    Fibre,
    PresetSettings,
    changed_parameters,
    preset_info,
    presets,
    protocol_preset,
)
from tokaido.emulators.planning._line import Demand, Line, LineFibre, LineLink, LineSwitch, Site, UnitClass
from tokaido.emulators.units import DETECTOR_RATIO, UnitModel
from tokaido.hal import ConfigurationError, drivers, emulators
from tokaido.hal.files import path_of
from tokaido.hal.tables import Check, Mistakes, number, of_kind, parsed, read, whole

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

Table: TypeAlias = Mapping[str, Any]
MOST_SITES: Final = 2000
"""Most sites of a line file."""
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_WHAT_A_NAME_IS: Final = "1 to 64 of A-Z a-z 0-9 . _ -, not first . _ or -"


def read_line(path: str | Path) -> Line:
    """Return what a line file says (docs/reference/line-file.md).

    Raises:
        ConfigurationError: With every mistake in it.
    """
    path = path_of(path, "the line file")
    text, tables = read(path, "the line file")
    return _line(text, tables, f"the line file {path}")


def line_from_text(text: str) -> Line:
    """Return what the text of a line file says.

    Raises:
        ConfigurationError: With every mistake in it.
    """
    return _line(text, parsed(text, "the line file"), "the line file")


def _line(text: str, tables: Table, what: str) -> Line:
    mistakes = Mistakes(text)
    found = _Reader(mistakes, tables).line()
    if mistakes:
        count = f"{len(mistakes)} mistake{'s' if len(mistakes) > 1 else ''}"
        raise ConfigurationError(f"{what} has {count}", mistakes=tuple(mistakes))
    return found


class _Reader:
    """Reads the tables of a line file, and notes every mistake."""

    def __init__(self, mistakes: Mistakes, tables: Table) -> None:
        self._mistakes = mistakes
        self._tables = tables

    def line(self) -> Line:
        """Return the line; it is good for nothing if a mistake was noted."""
        self._mistakes.only((), self._tables, ("line", "sites", "fibres", "switches", "units", "links", "demands"))
        head = self._mistakes.checked("line", self._mistakes.table((), self._tables, "line"), _HEAD)
        if "name" not in head and "name" not in self._tables.get("line", {}):
            self._mistakes.note(("line", "name"), f"is missing; it must be {_NAMED.must_be}")
        name = head.get("name", "")
        sites = {name: self._site(name, table) for name, table in self._named("sites")}
        if not 1 <= len(sites) <= MOST_SITES:
            self._mistakes.note(("sites",), f"must be 1 to {MOST_SITES} tables [sites.NAME], not {len(sites)}")
        self._sites = sites
        self._fibres = {name: self._fibre(name, table) for name, table in self._named("fibres")}
        self._switches = {name: self._switch(name, table) for name, table in self._named("switches")}
        self._units = {name: self._unit_class(name, table) for name, table in self._named("units")}
        links = {name: self._link(name, table) for name, table in self._named("links")}
        self._once_each(links)
        return Line(
            name=name,
            title=head.get("title", name),
            title_ja=head.get("title_ja", ""),
            note=head.get("note", ""),
            sites=sites,
            fibres={name: fibre for name, fibre in self._fibres.items() if fibre},
            switches={name: switch for name, switch in self._switches.items() if switch},
            units={name: unit for name, unit in self._units.items() if unit},
            links={name: link for name, link in links.items() if link},
            demands=self._demands(),
        )

    # --- what stands in the file, table by table ----------------------------------------------------------------------

    def _site(self, name: str, table: Table) -> Site:
        if ("latitude" in table) != ("longitude" in table):
            self._mistakes.note(("sites", name), "must have both latitude and longitude, or neither")
        return Site(name, **{"title": name, **self._mistakes.checked(f"sites.{name}", table, _SITE)})

    def _fibre(self, name: str, table: Table) -> LineFibre | None:
        where = ("fibres", name)
        entry = self._mistakes.checked(".".join(where), table, _FIBRE)
        self._missing(where, table, ("length_km",), _FIBRE)
        if ("db_per_km" in table) == ("loss_db" in table):
            self._mistakes.note(where, "must have its loss once: db_per_km, or loss_db of the whole length")
            return None
        ends = self._ends(where, table, entry)
        if ends is None or "length_km" not in entry or not ("db_per_km" in entry or "loss_db" in entry):
            return None
        fibre = Fibre(
            length_km=entry.pop("length_km"),
            loss_db=entry.pop("loss_db", None),
            loss_db_per_km=entry.pop("db_per_km", None),
            extra_loss_db=entry.pop("extra_db", 0.0),
        )
        return LineFibre(name, ends, fibre, **entry)

    def _switch(self, name: str, table: Table) -> LineSwitch | None:
        where = ("switches", name)
        entry = self._mistakes.checked(".".join(where), table, _SWITCH)
        self._missing(where, table, ("site", "driver"), _SWITCH)
        if "site" in entry:
            self._there((*where, "site"), entry["site"], "site", self._sites)
        if "driver" in entry and entry["driver"] not in (found := [driver.name for driver in drivers()]):
            self._mistakes.note(
                (*where, "driver"), f"there is no driver {entry['driver']!r}; there are {', '.join(found)}"
            )
        return LineSwitch(name, **entry) if {"site", "driver"} <= entry.keys() else None

    def _unit_class(self, name: str, table: Table) -> UnitClass | None:
        where = ("units", name)
        entry = self._mistakes.checked(".".join(where), table, _UNITS)
        self._missing(where, table, ("preset",), _UNITS)
        vendor = entry.get("vendor", "")
        if vendor and not {f"{vendor}.transmitter", f"{vendor}.receiver"} <= {one.name for one in emulators()}:
            self._mistakes.note(
                (*where, "vendor"), f"there are no emulated units {vendor}.transmitter and {vendor}.receiver"
            )
        if "preset" not in entry:
            return None
        settings = entry.get("settings", "published")
        if settings not in (possible := preset_info(entry["preset"]).settings):
            place = (*where, "settings") if "settings" in table else where
            if "settings" in entry or "settings" not in table:
                self._mistakes.note(
                    place, f"preset {entry['preset']!r} has settings {' and '.join(possible)}, not {settings!r}"
                )
            return None
        changes = dict(entry.get("set", {}))
        if "block_bits" in entry:
            changes["block_sifted_bits"] = float(entry["block_bits"])
        for key in ("channel_loss_db", "block_sifted_bits") if "set" in entry else ():
            if key in entry["set"]:
                says = "the fibres say it" if key == "channel_loss_db" else "say it as block_bits"
                self._mistakes.note((*where, "set"), f"{key} is not set here: {says}")
        if "key_basis_probability" in changes:
            chance = changes.pop("key_basis_probability")
            changes |= {f"key_basis_probability_{side}": chance for side in ("transmitter", "receiver")}
        parameters = protocol_preset(entry["preset"], settings=settings, channel_loss_db=0.0)
        if vendor:
            changes = {"detector_ratio": DETECTOR_RATIO, **changes}
        try:
            parameters = changed_parameters(parameters, changes) if changes else parameters
        except ConfigurationError as error:
            for mistake in error.mistakes or (error.what,):
                self._mistakes.note((*where, "set"), mistake)
            return None
        tolerance = entry.get("intensity_tolerance", UnitModel.INTENSITY_TOLERANCE if vendor else 0.0)
        return UnitClass(name, entry["preset"], settings, parameters, vendor, entry.get("sub_channels", 1), tolerance)

    def _link(self, name: str, table: Table) -> LineLink | None:
        where = ("links", name)
        entry = self._mistakes.checked(".".join(where), table, _LINK)
        self._missing(where, table, ("units", "fibres"), _LINK)
        ends = self._ends(where, table, entry)
        if "units" in entry:
            self._there((*where, "units"), entry["units"], "kind of units", self._units)
        for fibre in entry.get("fibres", ()):
            if not self._there((*where, "fibres"), fibre, "fibre", self._fibres):
                continue
            found = self._fibres[fibre]
            if ends and found and set(found.ends) != set(ends):
                self._mistakes.note(
                    (*where, "fibres"), f"{fibre} joins {' and '.join(found.ends)}, not {' and '.join(ends)}"
                )
        for switch in entry.get("switches", ()):
            if not self._there((*where, "switches"), switch, "switch", self._switches):
                continue
            stands = self._switches[switch]
            if ends and stands and stands.site in self._sites and stands.site not in ends:
                self._mistakes.note((*where, "switches"), f"{switch} stands at {stands.site}, not at an end")
        if ends is None or not {"units", "fibres"} <= entry.keys():
            return None
        fibres, switches = tuple(entry.pop("fibres")), tuple(entry.pop("switches", ()))
        return LineLink(name, ends, entry.pop("units"), fibres, switches, **entry)

    def _demands(self) -> tuple[Demand, ...]:
        entries = self._tables.get("demands", [])
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            self._mistakes.note(("demands",), "must be tables [[demands]]")
            return ()
        found: list[Demand] = []
        for number_, table in enumerate(entries):
            where = (f"demands[{number_}]",)
            entry = self._mistakes.checked(where[0], table, _DEMAND)
            self._missing(where, table, ("rate",), _DEMAND)
            if (ends := self._ends(where, table, entry)) and "rate" in entry:
                found.append(Demand(ends, **entry))
        return tuple(found)

    # --- what is looked at everywhere ---------------------------------------------------------------------------------

    def _named(self, kind: str) -> Iterable[tuple[str, dict[str, Any]]]:
        entries = self._mistakes.table((), self._tables, kind)
        for name in entries:
            if not _NAME.fullmatch(name):
                self._mistakes.note((kind, name), f"{name!r} cannot be a name: {_WHAT_A_NAME_IS}")
            yield name, self._mistakes.table((kind,), entries, name)

    def _missing(self, where: tuple[str, ...], table: Table, keys: Iterable[str], checks: Mapping[str, Check]) -> None:
        for key in keys:
            if key not in table:
                self._mistakes.note(where, f"{key} is missing; it must be {checks[key].must_be}")

    def _there(self, where: tuple[str, ...], name: str, what: str, known: Mapping[str, object]) -> bool:
        if name in known:
            return True
        have = sorted(known)
        some = ", ".join(have[:12]) + (f" and {len(have) - 12} more" if len(have) > 12 else "")
        self._mistakes.note(where, f"there is no {what} {name!r}; the file has {some or 'none'}")
        return False

    def _ends(self, where: tuple[str, ...], table: Table, entry: dict[str, Any]) -> tuple[str, str] | None:
        self._missing(where, table, ("ends",), {"ends": _ENDS})
        if "ends" not in entry:
            return None
        one, other = entry.pop("ends")
        place = (*where, "ends")
        if one == other:
            self._mistakes.note(place, f"must be two sites, and both are {one!r}")
            return None
        right = [self._there(place, name, "site", self._sites) for name in (one, other)]
        return (one, other) if all(right) else None

    def _once_each(self, links: Mapping[str, LineLink | None]) -> None:
        """Note fibres that two links have: one fibre carries one quantum channel."""
        taken: dict[str, str] = {}
        for link in filter(None, links.values()):
            for fibre in link.fibres:
                if taken.setdefault(fibre, link.name) != link.name:
                    self._mistakes.note(
                        ("links", link.name, "fibres"), f"{fibre} is a path of link {taken[fibre]} already"
                    )


def _are_ends(value: object) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(isinstance(one, str) for one in value)


def _are_names(least: int) -> Check:
    def accepts(value: object) -> bool:
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            return False
        return len(set(value)) == len(value) >= least

    return Check(accepts, f"a list of {'one or more ' if least else ''}names, none of them twice")


_TEXT: Final = Check(lambda value: isinstance(value, str) and bool(value), "text in quotes")
_SHARE: Final = Check(number(0, 1), "a share of the time, 0 to 1")
_LOSS: Final = Check(number(0, 200), "a number of dB, 0 to 200")
_NAMED: Final = Check(
    lambda value: isinstance(value, str) and bool(_NAME.fullmatch(value)), f"a name: {_WHAT_A_NAME_IS}"
)
_ENDS: Final = Check(_are_ends, 'the names of two sites, such as ["tokyo", "odawara"]')
_HEAD: Final = {"name": _NAMED, "title": _TEXT, "title_ja": _TEXT, "note": _TEXT}
_SITE: Final = {
    "title": _TEXT,
    "title_ja": _TEXT,
    "latitude": Check(number(-90, 90), "degrees, -90 to 90"),
    "longitude": Check(number(-180, 180), "degrees, -180 to 180"),
    "km_post": Check(number(-1e5, 1e5), "a number of km"),
    "application": _NAMED,
    "availability": _SHARE,
}
_FIBRE: Final = {
    "ends": _ENDS,
    "length_km": Check(number(0, 1e5), "a number of km, at least 0"),
    "db_per_km": Check(number(0, 10), "a number of dB per km, 0 to 10"),
    "loss_db": _LOSS,
    "extra_db": _LOSS,
    "dead": Check(of_kind(bool), "true or false"),
    "availability": _SHARE,
    "drift": Check(lambda value: value in get_args(DriftKind), " or ".join(get_args(DriftKind))),
}
_SWITCH: Final = {"site": _TEXT, "driver": _TEXT, "loss_db": _LOSS}
_UNITS: Final = {
    "vendor": _TEXT,
    "preset": Check(lambda value: value in presets(), f"one of {', '.join(presets())}"),
    "settings": Check(lambda value: value in get_args(PresetSettings), " or ".join(get_args(PresetSettings))),
    "block_bits": Check(whole(1000, 1e12), "a whole number of key-basis bits, 1000 to 1e12"),
    "sub_channels": Check(whole(1, 80), "a whole number, 1 to 80"),
    "intensity_tolerance": Check(number(0, 0.99), "a fraction, 0 to 0.99"),
    "set": Check(of_kind(dict), "a table of link parameters, such as { key_basis_probability = 0.65 }"),
}
_LINK: Final = {
    "ends": _ENDS,
    "units": _TEXT,
    "fibres": _are_names(1),
    "switches": _are_names(0),
    "availability": _SHARE,
}
_DEMAND: Final = {
    "ends": _ENDS,
    "rate": Check(number(1e-9, 1e9), "keys of 256 bit a second, more than 0"),
    "routes": Check(lambda value: type(value) is int and value in (1, 2), "1 or 2"),
}
