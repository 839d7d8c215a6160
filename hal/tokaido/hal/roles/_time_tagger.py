"""The role of a time tagger: it tells when each of its inputs saw a pulse."""

from __future__ import annotations

from abc import ABC, abstractmethod
from enum import Enum
from typing import TYPE_CHECKING

from tokaido.hal._declarations import setting
from tokaido.hal._device import Device
from tokaido.hal._errors import RangeError
from tokaido.hal._numbers import real, whole
from tokaido.hal._values import Setting

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tokaido.hal.tags import Tags

MOST_TAGS = 10_000_000
"""Most tags of one acquisition that are kept in memory, if nobody says otherwise: 90 MB."""


class TaggerCapability(Enum):
    """What not every time tagger has."""

    THRESHOLD = "threshold"


class TimeTagger(Device, ABC):
    """Takes the time of electrical pulses at several channels, numbered from 1. It is always in its safe state.

    It does one thing at a time: another thread waits until a count or the tags have come.
    """

    threshold: Setting[float] = setting(float, unit="V")
    """Control the voltage at which a pulse is seen; a negative one is for negative pulses. See THRESHOLD."""

    @property
    @abstractmethod
    def channels(self) -> int:
        """How many channels there are."""

    @property
    @abstractmethod
    def resolution_ps(self) -> float:
        """Step of the times, in ps."""

    @property
    @abstractmethod
    def longest(self) -> float:
        """How long one acquisition may be, in s."""

    def count(self, duration: float) -> tuple[int, ...]:
        """Count for `duration` s and return how many pulses came, one number for each channel.

        Raises:
            ValueTypeError: The duration is not a number; nothing was sent.
            RangeError: It is not above 0, or longer than `longest`; nothing was sent.
            TokaidoError: Anything else that kept the counts from coming.
        """
        return self._count(self._checked(duration))

    def tags(self, duration: float, *, most: int = MOST_TAGS) -> Tags:
        """Acquire for `duration` s and return the tags.

        Of more than `most` tags the first are kept; the others are counted in `Tags.lost`. What the device lost itself
        is told there as well, as far as it can be known: never is an acquisition whole that may not be so.

        Raises:
            ValueTypeError: The duration or `most` is not a number; nothing was sent.
            RangeError: The duration is not above 0 or longer than `longest`, or `most` is below 1; nothing was sent.
            ProtocolError: Bytes are missing among the tags, or other ones came.
            TokaidoError: Anything else that kept the tags from coming.
        """
        kept = whole(most, "most")
        if kept < 1:
            raise RangeError(f"keep 1 tag at least, not {kept!r}", device=self.name, remedy="Nothing was sent")
        return self._tags(self._checked(duration), kept)

    def stream(self, piece: float, *, most: int = MOST_TAGS) -> Iterator[Tags]:
        """Acquire again and again, `piece` s at a time, without end; each piece is as `tags` returns it.

        Nothing is kept between pieces, so memory is bounded by `most`. Nothing is tagged between them either: the times
        of each piece begin at 0.

        Raises:
            TokaidoError: As `tags`, at the piece that it happens in.
        """
        while True:
            yield self.tags(piece, most=most)

    def _checked(self, duration: float) -> float:
        asked = real(duration, "duration")
        if not 0 < asked <= self.longest:
            raise RangeError(
                f"an acquisition takes above 0 to {self.longest:g} s, not {asked!r}",
                device=self.name,
                remedy="Nothing was sent",
            )
        return asked

    @abstractmethod
    def _count(self, duration: float) -> tuple[int, ...]:
        """Count for `duration` s, which was checked."""

    @abstractmethod
    def _tags(self, duration: float, most: int) -> Tags:
        """Acquire for `duration` s, which was checked, and keep `most` tags."""

    def apply_safe_state(self) -> None:
        """Leave it as it is: it sends nothing."""
