"""Presets: published and assumed systems as tables, every field with where its value comes from.

A source is a paper, "assumed" or "estimate" where nobody published the value, or "fitted to ..." where it was chosen
so that the model meets a published figure; such a figure proves nothing about the model.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from ._dps import DpsParameters
from ._one_decoy import OneDecoyParameters
from ._parameters import LinkParameters
from ._preset_tables import TABLES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ._preset_tables import PresetField

PresetSettings = Literal["published", "short-block", "megabit-block"]
Protocol = Literal["decoy-bb84", "one-decoy", "dps"]
AnyParameters = LinkParameters | OneDecoyParameters | DpsParameters
"""The parameters of one link, whichever its protocol."""

_FORMS: Final[dict[Protocol, Callable[..., AnyParameters]]] = {
    "decoy-bb84": LinkParameters,
    "one-decoy": OneDecoyParameters,
    "dps": DpsParameters,
}


@dataclass(frozen=True, slots=True)
class PresetInfo:
    """What is known about a preset."""

    name: str
    protocol: Protocol
    """Which form its parameters have: LinkParameters, OneDecoyParameters or DpsParameters."""
    description: str
    settings: tuple[str, ...]
    """The settings of the source that exist for it."""
    db_per_km: float
    """Loss of its fibre, by which `distance_km` becomes a loss,"""
    spools: Mapping[float, float]
    """unless it is the length of one of these: published losses in dB by km, where the spools of a source differ."""
    fibre_source: str
    fields: Mapping[str, Mapping[str, PresetField]]
    """For each of the settings, every field of its parameters with value and source. The channel loss is not one."""

    @property
    def fitted(self) -> dict[str, str]:
        """Which fields were fitted, and to what."""
        every = {name: field for fields in self.fields.values() for name, field in fields.items()}
        return {name: field.source for name, field in every.items() if field.source.startswith("fitted")}


def presets(protocol: Protocol | None = None) -> tuple[str, ...]:
    """Return the names of all presets, or of those of one protocol: "decoy-bb84", "one-decoy" or "dps"."""
    if protocol is not None and protocol not in _FORMS:
        raise ValueError(f"no protocol {protocol!r}: choose {', '.join(map(repr, _FORMS))}")
    return tuple(name for name, table in TABLES.items() if protocol in (None, table.protocol))


def preset_info(name: str) -> PresetInfo:
    """Return what a preset is, which settings it has and where each of its values comes from."""
    if name not in TABLES:
        raise ValueError(f"no link preset {name!r}: the presets are {', '.join(map(repr, TABLES))}")
    table = TABLES[name]
    return PresetInfo(
        name,
        table.protocol,
        table.description,
        tuple(table.settings),
        table.fibre.value,
        table.spools,
        table.fibre.source,
        {settings: {**table.fields, **fields} for settings, fields in table.settings.items()},
    )


def preset(
    name: str,
    *,
    settings: PresetSettings = "published",
    channel_loss_db: float | None = None,
    distance_km: float | None = None,
) -> LinkParameters:
    """Return the parameters of a decoy-state BB84 system over `channel_loss_db` dB, or over `distance_km` of its fibre.

    `settings`: "published" intensities and probabilities, or, where there are any, "short-block" ones that give key
    within seconds, and "megabit-block" ones for blocks of 1e6 sifted bits, where "short-block" is for longer ones.
    What a preset is and where its values come from: `preset_info(name)`. Presets of other protocols
    have no such parameters and are refused: `protocol_preset` has them.
    """
    made = protocol_preset(name, settings=settings, channel_loss_db=channel_loss_db, distance_km=distance_km)
    if not isinstance(made, LinkParameters):
        raise ValueError(  # noqa: TRY004 - the name is the wrong value
            f"preset {name!r} is not a BB84 link with signal, decoy and vacuum but {preset_info(name).protocol}: take "
            f"protocol_preset({name!r}, ...), whose parameters link_rate accepts"
        )
    return made


def protocol_preset(
    name: str,
    *,
    settings: PresetSettings = "published",
    channel_loss_db: float | None = None,
    distance_km: float | None = None,
) -> AnyParameters:
    """Return the parameters of a system of any protocol, in the form of that protocol; arguments as of `preset`."""
    info = preset_info(name)
    if settings not in info.settings:
        choices = " or ".join(map(repr, info.settings))
        raise ValueError(f"preset {name!r} has no settings {settings!r}: choose {choices}")
    if (channel_loss_db is None) == (distance_km is None):
        raise ValueError(f"preset {name!r} needs its loss once: give either channel_loss_db or distance_km")
    loss = channel_loss_db
    if distance_km is not None:
        if not 0 <= distance_km < math.inf:
            raise ValueError(f"distance_km = {distance_km!r} is not possible: give a finite length >= 0 in km")
        loss = info.spools.get(distance_km, distance_km * info.db_per_km)
    values: dict[str, Any] = {field: entry.value for field, entry in info.fields[settings].items()}
    return _FORMS[info.protocol](**values, channel_loss_db=loss)
