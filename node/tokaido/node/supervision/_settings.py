"""How patient a node is with its devices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tokaido.hal.tables import Check, number, of_kind, whole

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class SupervisionSettings:
    """The table `supervision` of a node file; times in s."""

    poll_s: float = 1.0
    """How often each device is read."""
    start: bool = True
    """Whether units are powered on and started by the node; without, it draws and watches."""
    back_off_s: float = 5.0
    """Pause after a first failed attempt; it doubles with each further one."""
    longest_back_off_s: float = 600.0
    attempts_per_hour: int = 12
    """Most starts, alignments and cleared faults of one unit in an hour."""
    set_up_s: float = 1800.0
    """How long self-test, warm-up, authentication and alignment may take together."""
    no_key_s: float = 600.0
    """How long a running unit may give no block before it is aligned again."""

    @staticmethod
    def checks() -> Mapping[str, Check]:
        """Return what each key of the table must be."""
        seconds = Check(number(0.05, 1e6), "a number of seconds, 0.05 to 1000000")
        return {
            "poll_s": seconds,
            "start": Check(of_kind(bool), "true or false"),
            "back_off_s": seconds,
            "longest_back_off_s": seconds,
            "attempts_per_hour": Check(whole(1, 3600), "a whole number, 1 to 3600"),
            "set_up_s": seconds,
            "no_key_s": seconds,
        }
