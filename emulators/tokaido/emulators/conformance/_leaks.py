"""Finds key bytes in text, in every form in which they could have got there."""

from __future__ import annotations

import base64
import re

WINDOW = 8
"""Bytes of a key in a row that count as a leak; 2^-64 by chance."""
LONGEST_NUMBER = 1024
"""Bytes of a secret that is looked for as one decimal number; Python prints no longer ones."""


def _windows(data: bytes) -> list[bytes]:
    return [data[i : i + WINDOW] for i in range(len(data) - WINDOW + 1)]


class LeakScanner:
    """Knows some secrets, and looks for any eight bytes of them in a row."""

    def __init__(self, secrets: list[bytes]) -> None:
        self._windows = {window for secret in secrets for window in _windows(secret)}
        short = [secret for secret in secrets if len(secret) <= LONGEST_NUMBER]
        self._numbers = {str(int.from_bytes(secret, order)) for secret in short for order in ("big", "little")}
        self._digits = re.compile(rf"[0-9]{{{min(map(len, self._numbers), default=1)},}}")  # as the shortest has

    def found(self, text: str) -> bool:
        """Whether the text holds key bytes: raw, hex, base64 of either alphabet, a list, a `repr`, or a number."""
        plain = {text.encode("utf-8", "surrogateescape"), text.encode("latin1", "replace")}
        return (
            any(self._any(data) for data in plain)
            or any(self._any(data) for data in self._decoded(text) if data not in plain)
            or any(number in run for run in self._digits.findall(text) for number in self._numbers)
        )

    def _any(self, data: bytes) -> bool:
        return not self._windows.isdisjoint(_windows(data))

    @staticmethod
    def _decoded(text: str) -> list[bytes]:
        found: list[bytes] = []
        for run in re.findall(r"[0-9A-Fa-f]{16,}", text):
            found += [bytes.fromhex(run[i : i + (len(run) - i) // 2 * 2]) for i in (0, 1)]
        for run in re.findall(r"[A-Za-z0-9+/_-]{11,}", text):
            plain = run.replace("-", "+").replace("_", "/")
            for i in range(4):
                part = plain[i:]
                found.append(base64.b64decode(part[: len(part) // 4 * 4]))
        for run in re.findall(r"(?:\d{1,3}, ){7,}\d{1,3}", text):
            numbers = [int(number) for number in run.split(", ")]
            if max(numbers) < 256:
                found.append(bytes(numbers))
        for run in re.findall(r"(?:\\x[0-9a-f]{2}|[ -~]){8,}", text):
            found.append(run.encode("latin1").decode("unicode_escape", "replace").encode("latin1", "replace"))
        return found
