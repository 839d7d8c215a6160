"""Finds key bytes in text, in every form in which they could have got there."""

from __future__ import annotations

import re
from binascii import a2b_base64
from functools import cached_property
from typing import Final

WINDOW: Final = 8
"""Bytes of a key in a row that count as a leak; 2^-64 by chance."""
WORD: Final = 4
"""Bytes that are compared at once. Wherever a window begins, one of the words of a text lies wholly within it."""
LONGEST_NUMBER: Final = 1024
"""Bytes of a secret that is looked for as one decimal number; Python prints no longer ones."""

_HEX = re.compile(r"[0-9A-Fa-f]{16,}")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{11,}")
_NUMBERS = re.compile(r"(?:\d{1,3}, ){7,}\d{1,3}")
_ESCAPED = re.compile(r"(?:\\x[0-9a-f]{2}|[ -~]){8,}")
_PLAIN = str.maketrans("-_", "+/")


def _windows(data: bytes) -> list[bytes]:
    return [data[i : i + WINDOW] for i in range(len(data) - WINDOW + 1)]


def _words(data: bytes, start: int = 0) -> list[int]:
    """Return the words from a byte on, one after another."""
    return memoryview(data)[start : start + (len(data) - start) // WORD * WORD].cast("I").tolist()


class LeakScanner:
    """Knows some secrets, and looks for any eight bytes of them in a row."""

    def __init__(self, secrets: list[bytes]) -> None:
        self._secrets = [secret for secret in secrets if len(secret) >= WINDOW]
        self._words = {word for secret in self._secrets for start in range(WORD) for word in _words(secret, start)}
        short = [secret for secret in secrets if len(secret) <= LONGEST_NUMBER]
        self._numbers = {str(int.from_bytes(secret, order)) for secret in short for order in ("big", "little")}
        self._digits = re.compile(rf"[0-9]{{{min(map(len, self._numbers), default=1)},}}")  # as the shortest has

    def found(self, text: str) -> bool:
        """Whether the text holds key bytes: raw, hex, base64 of either alphabet, a list, a `repr`, or a number."""
        forms = {text.encode("utf-8", "surrogateescape"), text.encode("latin1", "replace"), *self._decoded(text)}
        suspect = not self._words.isdisjoint(_words(b"".join(forms)))
        return (suspect and any(self._any(data) for data in forms)) or any(
            number in run for run in self._digits.findall(text) for number in self._numbers
        )

    @cached_property
    def _windows(self) -> set[bytes]:
        return {window for secret in self._secrets for window in _windows(secret)}

    def _any(self, data: bytes) -> bool:
        return not self._windows.isdisjoint(_windows(data))

    @staticmethod
    def _decoded(text: str) -> list[bytes]:
        found: list[bytes] = []
        for run in _HEX.findall(text):
            found += [bytes.fromhex(run[i : i + (len(run) - i) // 2 * 2]) for i in (0, 1)]
        for run in _BASE64.findall(text):
            plain = run.translate(_PLAIN)
            found += [a2b_base64(plain[i : i + (len(plain) - i) // 4 * 4]) for i in range(4)]
        for run in _NUMBERS.findall(text):
            numbers = [int(number) for number in run.split(", ")]
            if max(numbers) < 256:
                found.append(bytes(numbers))
        for run in _ESCAPED.findall(text):
            found.append(run.encode("latin1").decode("unicode_escape", "replace").encode("latin1", "replace"))
        return found
