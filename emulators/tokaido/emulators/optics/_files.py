"""Link parameters from TOML files, and single parameters changed by name. Every mistake is told, not only the first."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar, cast, get_args, get_origin, get_type_hints

import tokaido.hal as hal
from tokaido.hal.tables import Mistakes, read

from ._presets import presets, protocol_preset

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ._presets import AnyParameters, Protocol

_LENGTH_FIELDS: Final = ("distance_km", "fibre_db_per_km")
Parameters = TypeVar("Parameters", bound="AnyParameters")
_UNKNOWN: Final = "there is no link parameter"


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkFile:
    """One link as a file describes it."""

    params: AnyParameters
    fibre_db_per_km: float | None
    """What a kilometre of its fibre costs, where the file says so."""
    distance_km: float | None
    """Length of the fibre, where it was given."""


def link_from_file(
    path: str | Path, *, channel_loss_db: float | None = None, distance_km: float | None = None
) -> LinkFile:
    """Read a link from a TOML file with the fields of LinkParameters, each by its name; tuples are arrays.

    With `protocol = "one-decoy"` or `"dps"` in the file they are the fields of OneDecoyParameters or DpsParameters.
    The loss of the channel is `channel_loss_db` in the file, or `distance_km` times `fibre_db_per_km`; the arguments
    take the place of what the file says.

    Raises:
        ConfigurationError: With every mistake in the file.
    """
    text, table = read(Path(path), "the link file")
    model = _model(table.pop("protocol", "decoy-bb84"), path)
    length: dict[str, float | None] = {}
    mistakes = Mistakes(text)
    for name in _LENGTH_FIELDS:
        value = table.pop(name, None)
        if value is not None and (isinstance(value, bool) or not isinstance(value, (int, float)) or not _fine(value)):
            mistakes.say((name,), f"{name} = {value!r} is not possible: give a finite number >= 0")
            value = None
        length[name] = None if value is None else float(value)
    if channel_loss_db is not None or distance_km is not None:
        table.pop("channel_loss_db", None)
        length["distance_km"] = distance_km
    if distance_km is not None and not _fine(distance_km):
        mistakes.append(f"distance_km = {distance_km!r} is not possible: give a finite number >= 0")
    loss = _loss(table, length, channel_loss_db, mistakes)
    if loss is not None:
        table["channel_loss_db"] = loss
    wrong, values = _checked(table, model)
    for name, sentence in wrong:
        mistakes.say((name,), sentence)
    required = [item.name for item in dataclasses.fields(model) if item.default is dataclasses.MISSING]
    missing = [name for name in required if name not in table and name != "channel_loss_db"]
    if missing:
        mistakes.append(f"missing: {', '.join(missing)}")
    what = f"the link file {path} describes no link"
    if mistakes:
        raise _error(what, mistakes, model)
    try:
        params = type(model)(**values)
    except ValueError as error:  # each is right by itself, and they do not go together
        raise _error(what, [str(error)], model) from error
    return LinkFile(params=params, fibre_db_per_km=length["fibre_db_per_km"], distance_km=length["distance_km"])


def changed_parameters(params: Parameters, changes: Mapping[str, object]) -> Parameters:
    """Return parameters with some fields changed by name; sequences stand for tuples.

    Raises:
        ConfigurationError: With every field that is unknown or cannot have its value, and what is possible.
    """
    what = "the link parameters cannot be changed so"
    unknown, values = _converted(changes, params)
    if not unknown:
        try:
            return dataclasses.replace(params, **values)
        except ValueError as error:
            mistakes = [sentence for _, sentence in _checked(changes, params)[0]] or [str(error)]
            raise _error(what, mistakes, params) from error
    raise _error(what, [sentence for _, sentence in _checked(changes, params)[0]], params)


def _loss(
    table: Mapping[str, object],
    length: Mapping[str, float | None],
    channel_loss_db: float | None,
    mistakes: list[str],
) -> float | None:
    """Return the loss that was asked for or that length and fibre make; None where the table has it, or nothing has."""
    if channel_loss_db is not None:
        return channel_loss_db
    distance, per_km = (length[name] for name in _LENGTH_FIELDS)
    if "channel_loss_db" in table:
        if distance is not None and per_km is not None:
            mistakes.append("the loss is given twice: give channel_loss_db, or distance_km and fibre_db_per_km")
        return None
    if distance is None:
        mistakes.append("the loss is missing: give channel_loss_db, or distance_km and fibre_db_per_km")
        return None
    if per_km is None:
        mistakes.append("fibre_db_per_km is missing: without it a distance says nothing about the loss")
        return None
    return distance * per_km


def _model(protocol: object, path: str | Path) -> AnyParameters:
    """Return possible parameters of a protocol: what the fields of a file are tried in, one by one."""
    try:
        names = presets(cast("Protocol", protocol))
    except (ValueError, TypeError) as error:
        raise hal.ConfigurationError(f"the link file {path} describes no link: {error}") from error
    return protocol_preset(names[0], channel_loss_db=10.0)


def _checked(table: Mapping[str, object], model: AnyParameters) -> tuple[list[tuple[str, str]], dict[str, Any]]:
    """Return the mistakes in a table of fields, each with its field, and the fields that are right by themselves."""
    mistakes, values = _converted(table, model)
    for name, value in list(values.items()):
        try:
            dataclasses.replace(model, **{name: value})
        except ValueError as error:
            mistakes.append((name, str(error)))
            del values[name]
    return mistakes, values


def _converted(table: Mapping[str, object], model: AnyParameters) -> tuple[list[tuple[str, str]], dict[str, Any]]:
    """Return the fields that are unknown or of a wrong type, with sentences, and the others in their types."""
    import msgspec  # noqa: PLC0415 - for files and changes only

    kinds = get_type_hints(type(model))
    mistakes: list[tuple[str, str]] = []
    values: dict[str, Any] = {}
    for name, value in table.items():
        if name not in kinds:
            near = get_close_matches(name, kinds, n=2, cutoff=0.5)
            mistakes.append((name, f"{_UNKNOWN} {name!r}" + (f": {' or '.join(near)}?" if near else "")))
            continue
        try:
            values[name] = msgspec.convert(value, kinds[name])
        except msgspec.ValidationError:
            mistakes.append((name, f"link parameter {name} = {value!r} is not possible: give {_what(kinds[name])}"))
    return mistakes, values


def _fine(value: float) -> bool:
    return 0 <= value < math.inf


def _what(kind: Any) -> str:
    """Return what a field of this type takes, in words."""
    if kind is bool:
        return "true or false"
    if kind in (int, float):
        return "a number"
    if kind is type(None):
        return "none"
    arguments = get_args(kind)
    if get_origin(kind) is tuple:
        return f"{len(arguments)} numbers"
    if get_origin(kind) is Literal:
        return " or ".join(repr(choice) for choice in arguments)
    return " or ".join(_what(choice) for choice in arguments) or "text"


def _error(what: str, mistakes: list[str], model: AnyParameters) -> hal.ConfigurationError:
    unknown = any(_UNKNOWN in mistake for mistake in mistakes)
    fields = ", ".join(item.name for item in dataclasses.fields(model))
    return hal.ConfigurationError(
        what, mistakes=tuple(mistakes), remedy=f"The parameters are {fields}" if unknown else ""
    )
