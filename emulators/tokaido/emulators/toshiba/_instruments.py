"""Readings: a value with its age, and small noise that a seed decides."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from tokaido.emulators.toshiba._commands import Refusal

NOISE_NS = 100_000_000
"""A reading asked for again within this time is the same reading."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A value, and how old it is if it was not measured while answering."""

    value: float | str
    age_s: float | None = None

    def text(self, digits: str) -> str:
        """Return the value in its page form: `0.0312`, `0.0312@12.5`, `OPEN`."""
        shown = self.value if isinstance(self.value, str) else _plain(format(self.value, digits))
        return shown if self.age_s is None else f"{shown}@{self.age_s:.1f}"


def _plain(number: str) -> str:
    return number.removeprefix("-") if float(number) == 0 else number


def no_data(why: str) -> Refusal:
    """Return the refusal of a reading that cannot be given."""
    return Refusal("NO_DATA", why)


class Noise:
    """Bounded noise, nearly normal, as a pure function of the seed, the reading and the time."""

    def __init__(self, seed: str) -> None:
        self._seed = seed

    def around(self, name: str, value: float, sigma: float, now_ns: int) -> float:
        """Return `value` with noise of standard deviation `sigma`, never more than 3.5 sigma off."""
        digest = hashlib.blake2b(f"{self._seed}/{name}/{now_ns // NOISE_NS}".encode(), digest_size=8).digest()
        uniform = sum(int.from_bytes(digest[i : i + 2], "big") for i in (0, 2, 4, 6)) / 65535 - 2
        return value + sigma * uniform * 3**0.5
