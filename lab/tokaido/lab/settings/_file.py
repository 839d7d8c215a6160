"""The file that settings are held in: TOML, a table for each device."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from tokaido.hal import ConfigurationError
from tokaido.hal.files import path_of
from tokaido.hal.tables import Mistakes, read
from tokaido.lab.settings._settings import DeviceSettings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from os import PathLike

    from tokaido.hal.driver import Plain

WHO: Final = ("driver", "vendor", "model", "serial_number", "firmware")
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def text_of(devices: Mapping[str, DeviceSettings]) -> str:
    """Return the text of a file."""
    return "\n".join(line for name, of_device in devices.items() for line in _lines(name, of_device))


def _lines(name: str, settings: DeviceSettings) -> Iterator[str]:
    yield f"[devices.{_key(name)}]"
    for key in WHO:
        yield f"{key} = {_text(getattr(settings, key))}"
    saved = EPOCH + timedelta(microseconds=settings.utc_ns // 1000)
    yield f"saved = {saved.isoformat(timespec='microseconds').replace('+00:00', 'Z')}"
    yield ""
    yield f"[devices.{_key(name)}.settings]"
    for path, value in settings.values.items():
        unit = settings.units.get(path, "")
        yield f"{_key(path)} = {_written(value)}{f'  # {_on_one_line(unit)}' if unit else ''}"
    for path, why in settings.missing.items():
        yield f"# {_on_one_line(path)}: {_on_one_line(why)}"
    yield ""


def _written(value: Plain) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return _text(value)
        case dict():
            return f"{{ {', '.join(f'{_key(key)} = {item}' for key, item in value.items())} }}" if value else "{}"
        case _:
            return repr(value)


def _key(text: str) -> str:
    return text if text and text.isascii() and text.replace("_", "").replace("-", "").isalnum() else _text(text)


def _text(text: str) -> str:
    """Return a basic string of TOML, whose escapes JSON's are among."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _on_one_line(text: str) -> str:
    return "".join(sign if sign.isprintable() else " " for sign in text)


def devices_in(path: str | PathLike[str]) -> dict[str, DeviceSettings]:
    """Return what a file holds, by name of the device.

    Raises:
        ConfigurationError: With every mistake in it.
    """
    file = path_of(path, "the file of settings")
    text, tables = read(file, "the file of settings")
    mistakes = Mistakes(text)
    mistakes.only((), tables, ("devices",))
    devices = mistakes.table((), tables, "devices")
    found = {name: _device(mistakes, name, mistakes.table(("devices",), devices, name)) for name in devices}
    if not found and not mistakes:
        mistakes.append("there is no table devices.NAME; `tokaido settings save` writes such a file")
    if mistakes:
        count = len(mistakes)
        raise ConfigurationError(f"{file} has {count} mistake{'s' if count > 1 else ''}", mistakes=tuple(mistakes))
    return found


def _device(mistakes: Mistakes, name: str, table: Mapping[str, Any]) -> DeviceSettings:
    where = ("devices", name)
    mistakes.only(where, table, (*WHO, "saved", "settings"))
    for key in ("driver", "model", "serial_number"):
        if key not in table:
            mistakes.note((*where, key), "is missing; it says whose settings these are")
    saved = table.get("saved", EPOCH)
    if not isinstance(saved, datetime) or saved.tzinfo is None:
        mistakes.note((*where, "saved"), f"must be a date and time with its offset, not {saved!r}")
        saved = EPOCH
    values: dict[str, Plain] = {}
    for path, value in mistakes.table(where, table, "settings").items():
        if isinstance(value, (bool, int, float, str)) or _is_map(value):
            values[path] = value
        else:
            mistakes.note((*where, "settings", path), f"must be a number, text, a flag or a map, not {value!r}")
    who = {key: mistakes.text(where, table, key, "") for key in WHO}
    utc_ns = (saved - EPOCH) // timedelta(microseconds=1) * 1000
    return DeviceSettings(
        who["driver"], who["vendor"], who["model"], who["serial_number"], who["firmware"], utc_ns, values
    )


def _is_map(value: object) -> bool:
    return isinstance(value, dict) and all(type(item) is int for item in value.values())
