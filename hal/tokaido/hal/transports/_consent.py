"""What a resource may make happen only where a person agreed: loading code from a file, or writing one.

A resource often comes from a file or from somebody else. Its address may name a VISA library to load, or a pyserial URL
that writes what passes to a file. A person agrees by an environment variable, which no such file can set.
"""

from __future__ import annotations

import os
import re
from typing import Final

VARIABLE: Final = "TOKAIDO_TRUST_RESOURCES"
"""Environment variable: "1" lets resources load code from files and write files."""
WILFUL_SCHEMES: Final = {
    "spy": "writes what passes to a file or to the terminal",
    "alt": "makes any object of pyserial's by its name",
}
"""Schemes of pyserial's URLs that do more than to reach a port, and what they do."""
_NAMED_BACKEND: Final = re.compile(r"@[A-Za-z0-9_]+")


def complaints_about_url(address: str) -> list[str]:
    """Return why a port or pyserial URL is refused without consent, as a kind's `check` does."""
    scheme, mark, _ = address.partition("://")
    does = WILFUL_SCHEMES.get(scheme.lower()) if mark else None
    return _unless_trusted(f"port: {scheme}:// {does}") if does else []


def complaints_about_backend(backend: str) -> list[str]:
    """Return why a VISA library is refused without consent: one that is named by its file; `@NAME` is installed."""
    named = _NAMED_BACKEND.fullmatch(backend) or not {"@", "/"} & set(backend)  # which is a mistake of another kind
    return [] if named else _unless_trusted(f"backend: {backend} loads code from a file")


def _unless_trusted(what: str) -> list[str]:
    if os.environ.get(VARIABLE) == "1":
        return []
    return [f"{what}; set the environment variable {VARIABLE}=1 if you trust who wrote the resource"]
