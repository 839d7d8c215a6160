"""The dead-man timer of a unit, bound to the program that set it: docs/protocols/toshiba.md section 7."""

from __future__ import annotations

import re
from typing import Final

from tokaido.emulators.units._readings import Refusal

_HOLDER: Final = re.compile(r"[0-9A-F]{8}")


def parse_holder(text: str, called: str) -> str:
    """Return the name of a holder.

    Raises:
        Refusal: RANGE when it has another form.
    """
    if not _HOLDER.fullmatch(text):
        raise Refusal("RANGE", f"{called} takes a holder of eight hexadecimal digits, 0 to 9 and A to F")
    return text


class Watchdog:
    """A lease that only its holder renews. At its end the unit goes to its safe state."""

    def __init__(self) -> None:
        self.seconds = 0.0
        """Its time in s; 0 when there is none."""
        self.holder = ""
        """Who renews it: eight hexadecimal digits; empty when there is none."""
        self._ends_ns = 0

    def set(self, seconds: float, holder: str, now_ns: int) -> None:
        """Begin it for a holder, who may take it over from another; 0 ends it.

        Raises:
            Refusal: REFUSED when another's is to be ended.
        """
        if not seconds and self.holder not in ("", holder):
            raise Refusal("REFUSED", f"{self.holder} holds the lease; take it over first")
        self.seconds, self.holder = seconds, holder if seconds else ""
        self._begin(now_ns)

    def keep(self, holder: str, now_ns: int) -> None:
        """Begin it again.

        Raises:
            Refusal: REFUSED when there is none, or it is another's.
        """
        if holder != self.holder:
            raise Refusal("REFUSED", f"{self.holder or 'nobody'} holds the lease")
        self._begin(now_ns)

    def end(self) -> None:
        """Be off, held by nobody."""
        self.seconds, self.holder = 0.0, ""

    def left_s(self, now_ns: int) -> float:
        """Return the time after which it ends, in s; 0 when there is none."""
        return max(self._ends_ns - now_ns, 0) / 1e9 if self.seconds else 0.0

    @property
    def ends_ns(self) -> int | None:
        """When it ends, in ns; None when there is none."""
        return self._ends_ns if self.seconds else None

    def ended(self, now_ns: int) -> bool:
        """Whether its time is over."""
        return bool(self.seconds) and now_ns >= self._ends_ns

    def _begin(self, now_ns: int) -> None:
        self._ends_ns = now_ns + round(self.seconds * 1e9)
