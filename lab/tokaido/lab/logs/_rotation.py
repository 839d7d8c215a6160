"""Rotation: when a file of a log is full, and what it is called then."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import tokaido.hal as hal
from tokaido.hal.driver import real, whole

if TYPE_CHECKING:
    from pathlib import Path

SMALLEST_FILE: Final = 1000
MINUTE_S: Final = 60
DAY_S: Final = 86_400
JOURNAL: Final = ".journal"
"""What the name of a journal has behind that of the file which will be made of it."""


@dataclass(frozen=True, slots=True)
class Rotation:
    """When a file is full.

    Args:
        largest: How large it may become, in bytes. Default: as large as it likes.
        every_s: How long a period is, in s; a file holds one. Default: as long as it likes.

    Raises:
        RangeError: The size is too small, or days cannot be divided so.
    """

    largest: int | None = None
    every_s: float | None = None

    def __post_init__(self) -> None:
        if self.largest is not None and whole(self.largest, "rotate_bytes") < SMALLEST_FILE:
            raise hal.RangeError(f"rotate_bytes must be {SMALLEST_FILE} or more, not {self.largest!r}")
        if self.every_s is None:
            return
        every_s = real(self.every_s, "rotate_every")
        if not MINUTE_S <= every_s <= DAY_S or every_s % MINUTE_S or DAY_S % every_s:
            raise hal.RangeError(
                f"rotate_every must be whole minutes that divide a day, in s, not {self.every_s!r}",
                remedy="Take 60 (a minute), 900, 3600 (an hour), 21600 or 86400 (a day), for example",
            )

    def period(self, utc_ns: int) -> int:
        """Return when the period began that a time lies in, in s of UTC; 0 if periods do not matter."""
        return 0 if self.every_s is None else utc_ns // hal.NS_PER_S // int(self.every_s) * int(self.every_s)

    def name(self, path: Path, period: int) -> Path:
        """Return what a full file is called: by its period, by the next number that is free, or by both.

        Raises:
            TokaidoError: The folder cannot be read.
        """
        stem, suffix = path.stem, path.suffix
        if self.every_s is not None:
            begin = datetime.fromtimestamp(period, UTC)
            stem += begin.strftime(".%Y-%m-%d" if self.every_s == DAY_S else ".%Y-%m-%dT%H%MZ")
        try:
            there = {one.name.removesuffix(JOURNAL) for one in path.parent.iterdir()}
        except OSError as error:
            raise hal.TokaidoError(f"the log {path} is full and cannot be renamed: {error.strerror}") from error
        if self.every_s is not None and self.largest is None and f"{stem}{suffix}" not in there:
            return path.with_name(f"{stem}{suffix}")
        numbered = re.compile(rf"{re.escape(stem)}\.(\d{{4,}}){re.escape(suffix)}")
        taken = [int(found[1]) for name in there if (found := numbered.fullmatch(name))]
        return path.with_name(f"{stem}.{max(taken, default=0) + 1:04}{suffix}")
