"""Readings: a value with its age, the refusal in its place, and small noise that a seed decides."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from struct import Struct
from typing import Final

_FOUR: Final = Struct(">4H")
NOISE_NS = 100_000_000
"""A reading asked for again within this time is the same reading."""


class Refusal(Exception):  # noqa: N818 - the word of the wire contracts; it is an answer
    """The unit says no; nothing was carried out.

    Args:
        name: Kind of the refusal, as the wire contracts name it: `STATE`, `NO_DATA`, `REFUSED`, `RANGE` and so on.
        text: The reason, for a person.
    """

    def __init__(self, name: str, text: str) -> None:
        super().__init__(text)
        self.name = name
        self.text = text


@dataclass(frozen=True, slots=True)
class UnitReading:
    """A value, and how old it is if it was not measured while answering."""

    value: float | str
    age_s: float | None = None


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
        first, second, third, fourth = _FOUR.unpack(digest)
        uniform: float = (first + second + third + fourth) / 65535 - 2
        return value + sigma * uniform * 3**0.5
