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
    longest_reopen_s: float = 30.0
    """Longest pause between two tries to reach a device that does not answer."""
    attempts_per_hour: int = 12
    """Most orders to one unit within an hour that may cost it authentication key: to power on, select a link, align,
    start and clear a fault."""
    give_up_after: int = 8
    """After so many failures in a row a person is called, and one attempt every `probe_s` is left."""
    probe_s: float = 3600.0
    set_up_s: float = 1800.0
    """How long self-test, warm-up, authentication and alignment may take together."""
    no_key_s: float = 600.0
    """How long a running unit may give no block before it is aligned again: longer than its longest block."""
    hands_off_s: float = 900.0
    """How long a unit that was stopped by hand is left alone."""
    reserve_bits: int = 16384
    """Authentication key that no attempt of the node's own touches: for 16 restarts of 1024 bits."""
    low_bits: int = 24576
    """Below so much authentication key `AUTH_KEY_LOW` is raised."""

    @staticmethod
    def checks() -> Mapping[str, Check]:
        """Return what each key of the table must be."""
        seconds = Check(number(0.05, 1e6), "a number of seconds, 0.05 to 1000000")
        bits = Check(whole(0, 1 << 30), "a whole number of bits, 0 to 1073741824")
        return {
            "poll_s": seconds,
            "start": Check(of_kind(bool), "true or false"),
            "back_off_s": seconds,
            "longest_back_off_s": seconds,
            "longest_reopen_s": seconds,
            "attempts_per_hour": Check(whole(1, 3600), "a whole number, 1 to 3600"),
            "give_up_after": Check(whole(1, 1000), "a whole number, 1 to 1000"),
            "probe_s": seconds,
            "set_up_s": seconds,
            "no_key_s": seconds,
            "hands_off_s": seconds,
            "reserve_bits": bits,
            "low_bits": bits,
        }
