"""The command `curve-keys`: a CURVE identity for a unit or a host."""

from __future__ import annotations

from typing import TYPE_CHECKING

import tokaido.hal as hal

if TYPE_CHECKING:
    from pathlib import Path


def curve_keys(name: str, directory: Path) -> None:
    """Make a CURVE key pair and print which file is whose."""
    if not name or "/" in name or name.startswith("."):
        raise hal.ConfigurationError(f"{name!r} is not a name for a key", remedy="Take a plain name, such as alice")
    files = hal.create_curve_keys(directory, name)
    print(f"{files.public}  public: give it to the other side, as its server_key_file or on its list of clients")
    print(f"{files.secret}  secret: keep it here (mode 0600), as this side's client_key_file")
