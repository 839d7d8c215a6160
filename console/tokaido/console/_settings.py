"""The commands `settings save`, `diff` and `restore`."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tokaido.console._devices import opened, opened_station, to_station
from tokaido.console._output import print_json, print_table
from tokaido.lab import settings
from tokaido.lab.settings import Settings, shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tokaido.hal import Device, Station
    from tokaido.lab.settings import Change


@contextmanager
def _target(text: str, *, trace: bool) -> Iterator[Device | Station]:
    """Give the device that a text names, or the station whose file it is."""
    if to_station(text):
        with opened_station(text, trace=trace) as station:
            yield station
    else:
        with opened(text, trace=trace) as device:
            yield device


def save(text: str, output: Path | None, *, as_json: bool, trace: bool) -> None:
    """Print the settings of a device or a station, or write them to a file."""
    with _target(text, trace=trace) as target:
        found = settings.save(target)
    if output is not None:
        found.to_file(output)
    if as_json:
        print_json(
            {
                "file": None if output is None else str(output),
                "devices": {
                    name: {
                        "driver": device.driver,
                        "vendor": device.vendor,
                        "model": device.model,
                        "serial_number": device.serial_number,
                        "firmware": device.firmware,
                        "settings": dict(device.values),
                        "missing": dict(device.missing),
                    }
                    for name, device in found.devices.items()
                },
            }
        )
    elif output is None:
        print(found.to_text(), end="")
    else:
        for name, device in found.devices.items():
            lost = f", {len(device.missing)} missing" if device.missing else ""
            print(f"{output}: {len(device.values)} settings of {name}{lost}")


def diff(text: str, file: Path, *, as_json: bool, trace: bool) -> int:
    """Print where a device or a station differs from a file; 1 if it does."""
    saved = Settings.from_file(file)
    with _target(text, trace=trace) as target:
        changes = saved.diff(target)
    if as_json:
        print_json({"changes": [_record(change) for change in changes]})
    elif changes:
        _print(changes)
    return int(bool(changes))


def restore(text: str, file: Path, *, yes: bool, other_device: bool, as_json: bool, trace: bool) -> int:
    """Print what would be set, or set it and print each change as it is made; 1 if it could not be set now."""
    saved = Settings.from_file(file)
    with _target(text, trace=trace) as target:
        changes = saved.restore(
            target,
            dry_run=not yes,
            other_device=other_device,
            on_set=None if as_json else lambda change: print(change, flush=True),
        )
    hindered = [change for change in changes if change.hindrance]
    if as_json:
        print_json({"restored": yes, "changes": [_record(change) for change in changes]})
        return int(bool(hindered))
    if not changes:
        print("everything is as it was saved")
    elif yes:
        print(f"{len(changes)} restored and read back")
    else:
        _print(changes)
        for reason in dict.fromkeys(change.hindrance for change in hindered):
            print(f"not now: {reason}")
        print("nothing was sent: this is what --yes would set, in this order")
    return int(bool(hindered))


def _print(changes: Sequence[Change]) -> None:
    print_table(
        ("device", "setting", "now", "saved"),
        [
            (change.device, change.path, shown(change.present, change.unit), shown(change.saved, change.unit))
            for change in changes
        ],
    )


def _record(change: Change) -> dict[str, Any]:
    return {
        "device": change.device,
        "setting": change.path,
        "now": change.present,
        "saved": change.saved,
        "unit": change.unit,
        "hindrance": change.hindrance,
    }
