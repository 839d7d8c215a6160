"""Looks for keys in files, in every form in which one could stand there."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PIECE = 12
"""Bytes of a key that are looked for at a time: a part of one shows it, too."""


def forms(secret: bytes) -> Iterator[bytes]:
    """Give what a secret could look like."""
    for data in (secret, secret[::-1]):
        yield data
        yield data.hex().encode()
        yield data.hex().upper().encode()
        yield repr(data)[2:-1].encode()
        for shift in range(3):  # base64 of what it may stand in the middle of
            text = base64.b64encode(bytes(shift) + data)
            yield text[4 if shift else 0 : len(text) - 4]
        yield str(int.from_bytes(data, "big")).encode()
        yield str(int.from_bytes(data, "little")).encode()


def pieces(keys: list[bytes]) -> dict[bytes, int]:
    """Return every form of every piece of every key, with the number of the key."""
    return {
        form: number
        for number, key in enumerate(keys)
        for at in range(0, len(key) - PIECE + 1, PIECE)
        for form in forms(key[at : at + PIECE])
    }


def found(folder: Path, looked_for: dict[bytes, int]) -> list[str]:
    """Return what was found, and where."""
    shown: list[str] = []
    for file in folder.rglob("*"):
        if file.is_file():
            content = file.read_bytes()
            shown += [f"key {number} in {file.name}" for form, number in looked_for.items() if form in content]
    return shown
