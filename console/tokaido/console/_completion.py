"""What a shell offers when TAB is pressed behind a device, a link or a station: nothing is opened for it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


def complete_device(incomplete: str) -> list[str]:
    """Return what may be meant: devices and links behind `lab.toml#`, drivers, or station files with their `#`."""
    return [offer for offer in _offers(incomplete, "#") if offer.startswith(incomplete)]


def complete_target(incomplete: str) -> list[str]:
    """Return what `complete_device` does, with station files as they are."""
    return [offer for offer in _offers(incomplete, "") if offer.startswith(incomplete)]


def _offers(incomplete: str, mark: str) -> Iterator[str]:
    import tokaido.hal as hal  # noqa: PLC0415 - the command line begins without it

    path, found, _ = incomplete.partition("#")
    if found:
        try:
            station = hal.Station.from_file(path)
        except hal.ConfigurationError:
            return
        for name in (*station.devices, *station.links):
            yield f"{path}#{name}"
        return
    if "@" in incomplete:
        return
    folder, slash, _ = incomplete.rpartition("/")
    for file in sorted(Path(folder or slash or ".").glob("*")):
        if file.suffix == ".toml" or file.is_dir():
            yield f"{folder}{slash}{file.name}{'/' if file.is_dir() else mark}"
    for driver in hal.drivers():
        yield f"{driver.name}@"
