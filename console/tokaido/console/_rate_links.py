"""Which link a command line means: a preset or a file, its length or loss, changed parameters, an attack."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar, get_args

import tokaido.hal as hal
from tokaido.hal.driver import real_in, whole_in

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from tokaido.emulators.optics import AnyParameters

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenLink:
    """One link to calculate, and where its parameters come from."""

    preset: str | None
    """None for a link from a file."""
    settings: str | None
    title: str
    distance_km: float | None
    """None where only the loss was said."""
    params: AnyParameters
    fibre: str
    """What the loss of the fibre was taken to be; empty where it was not needed."""
    sources: dict[str, str]
    """Where each of a preset's values comes from, but for those that were changed."""


def link_from_preset(
    name: str, *, settings: str, distance_km: float | None, loss_db: float | None, changes: Sequence[str] = ()
) -> ChosenLink:
    """Return a preset over a distance or a loss, with `changes` as FIELD=VALUE.

    Raises:
        ConfigurationError: There is no such preset, the loss is not given once, or a change is not possible.
    """
    from tokaido.emulators import optics  # noqa: PLC0415 - numpy, when first needed

    info = asked(lambda: optics.preset_info(name))
    if (distance_km is None) == (loss_db is None):
        raise hal.ConfigurationError(
            f"preset {name} needs its loss once", remedy="Give either --distance KM or --loss DB"
        )
    params = asked(
        lambda: optics.protocol_preset(
            name,
            settings=settings,  # type: ignore[arg-type]
            channel_loss_db=loss_db,
            distance_km=distance_km,
        )
    )
    values = changes_from_text(changes)
    fields = info.fields[settings]
    return ChosenLink(
        preset=name,
        settings=settings,
        title=info.description,
        distance_km=None if "channel_loss_db" in values else distance_km,
        params=optics.changed_parameters(params, values) if values else params,
        fibre="" if distance_km is None else f"{info.db_per_km:g} dB/km, {info.fibre_source}",
        sources={field: entry.source for field, entry in fields.items() if field not in values},
    )


def link_from_file(
    path: Path, *, distance_km: float | None, loss_db: float | None, changes: Sequence[str] = ()
) -> ChosenLink:
    """Return the link of a file, over the distance or loss that it says unless another is given.

    Raises:
        ConfigurationError: With every mistake in the file or in the changes.
    """
    from tokaido.emulators import optics  # noqa: PLC0415 - numpy, when first needed

    if distance_km is not None and loss_db is not None:
        raise hal.ConfigurationError("the link has one loss", remedy="Give either --distance KM or --loss DB")
    found = optics.link_from_file(path, channel_loss_db=loss_db, distance_km=distance_km)
    values = changes_from_text(changes)
    return ChosenLink(
        preset=None,
        settings=None,
        title=str(path),
        distance_km=None if "channel_loss_db" in values else found.distance_km,
        params=optics.changed_parameters(found.params, values) if values else found.params,
        fibre="" if found.distance_km is None or found.fibre_db_per_km is None else f"{found.fibre_db_per_km:g} dB/km",
        sources={},
    )


def asked(make: Callable[[], T]) -> T:
    """Return what `make` makes; what it was asked wrongly is the command line's mistake.

    Raises:
        ConfigurationError: In place of a ValueError of the library.
    """
    try:
        return make()
    except hal.TokaidoError:
        raise
    except ValueError as error:
        raise hal.ConfigurationError(str(error)) from error


def changes_from_text(changes: Sequence[str]) -> dict[str, object]:
    """Return the values that FIELD=VALUE texts mean, by field.

    Raises:
        ConfigurationError: With every text that is not of this form, and every field that is given twice.
    """
    values: dict[str, object] = {}
    mistakes: list[str] = []
    for text in changes:
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            mistakes.append(f"{text!r} changes nothing: write FIELD=VALUE, such as detector_efficiency=0.25")
        elif name.strip() in values:
            mistakes.append(f"{name.strip()} is given twice")
        else:
            values[name.strip()] = value_from_text(value)
    if mistakes:
        raise hal.ConfigurationError("--set is not understood", mistakes=tuple(mistakes))
    return values


def value_from_text(text: str) -> object:
    """Return the number, flag, none or tuple (a,b,c) that a text means, or the text itself."""
    word = text.strip()
    if "," in word:
        return [value_from_text(part) for part in word.strip("()[] ").split(",")]
    if word.lower() in ("true", "false", "none"):
        return {"true": True, "false": False, "none": None}[word.lower()]
    for kind in (whole_in, real_in):
        try:
            return kind(word)
        except ValueError:
            continue
    return word


def attack_from_text(text: str) -> Any:
    """Return the eavesdropper that NAME=VALUE[:OPTION=VALUE]... means, such as intercept-resend=0.1:basis=z.

    Raises:
        ConfigurationError: There is no such attack, or it has no such option or value.
    """
    kinds = attacks()
    head, *options = text.split(":")
    name, equals, first = head.partition("=")
    if name not in kinds:
        raise hal.ConfigurationError(f"there is no attack {name!r}", remedy=f"There are {', '.join(kinds)}")
    fields = [item.name for item in dataclasses.fields(kinds[name])]
    values: dict[str, Any] = {}
    for option in [f"{fields[0] if fields else ''}={first}"] * bool(equals) + options:
        key, _, value = option.partition("=")
        if key not in fields or key in values:
            takes = f"It takes {', '.join(fields)}, each once" if fields else "It takes nothing"
            raise hal.ConfigurationError(f"attack {name} does not take {option!r}", remedy=takes)
        found = value_from_text(value)
        values[key] = tuple(found) if isinstance(found, list) else found
    missing = [item.name for item in dataclasses.fields(kinds[name]) if item.default is dataclasses.MISSING]
    missing = [field for field in missing if field not in values]
    if missing:
        raise hal.ConfigurationError(f"attack {text!r} lacks its {', '.join(missing)}", remedy=f"Write {name}=0.1")
    try:
        return kinds[name](**values)
    except (ValueError, TypeError) as error:  # TypeError: a word where a number belongs
        raise hal.ConfigurationError(f"attack {text!r} is not possible: {error}") from error


def attacks() -> dict[str, type[Any]]:
    """Return the attacks that rates are calculated under, by the names that a command line has for them."""
    from tokaido.emulators import optics  # noqa: PLC0415

    kinds: tuple[type[Any], ...] = get_args(optics.RateAttack)
    return {re.sub(r"(?<=[a-z])(?=[A-Z])", "-", kind.__name__).lower(): kind for kind in kinds}
