"""Alarms that supervision raises, and what a person does about each."""

from __future__ import annotations

from enum import Enum

from tokaido.hal import Severity


class SupervisionAlarm(Enum):
    """Code, severity, whether a person has to acknowledge it, and what to do."""

    NOT_ANSWERING = (
        "NOT_ANSWERING",
        Severity.MAJOR,
        False,
        "Look at the device's power and cable; the node goes on trying",
    )
    """The device cannot be read."""
    SECURITY_HOLD = (
        "SECURITY_HOLD",
        Severity.CRITICAL,
        True,
        "Find the cause at the unit; only then acknowledge there: `tokaido ack STATION.toml#UNIT --all`",
    )
    """The unit holds for security."""
    GIVEN_UP = (
        "GIVEN_UP",
        Severity.MAJOR,
        False,
        "Remove what the text names, then let the node try again: `tokaido node resume LINK`. It tries once an hour",
    )
    """Attempts to bring the unit to exchange keys failed again and again."""
    AUTH_KEY_LOW = (
        "AUTH_KEY_LOW",
        Severity.MAJOR,
        False,
        "Load a new pre-shared key at both units of the link soon",
    )
    """The unit's authentication key goes to an end."""
    AUTH_KEY_RESERVE = (
        "AUTH_KEY_RESERVE",
        Severity.CRITICAL,
        False,
        "Load a new pre-shared key at both units, or spend of the reserve: `tokaido node resume LINK --use-reserve`",
    )
    """Only the reserve of authentication key is left: the node makes no attempt any more."""
    PRESHARED_KEY_MISSING = (
        "PRESHARED_KEY_MISSING",
        Severity.MAJOR,
        False,
        "Two custodians enter its components here and at the other end: `tokaido node preshared enter NODE.toml LINK`",
    )
    """The unit has no pre-shared key for the link."""
    SETUP_SLOW = (
        "SETUP_SLOW",
        Severity.MAJOR,
        False,
        "See which state the unit waits in: WARMUP for temperatures, AUTH for the peer's proof, ALIGN for its light",
    )
    """Warm-up, authentication or alignment take too long."""
    NO_BLOCKS = (
        "NO_BLOCKS",
        Severity.MAJOR,
        False,
        "Look at QBER and loss of the link at both ends; the node aligns the unit again",
    )
    """A unit runs and gives no key block."""
    NOT_DRAWN = (
        "NOT_DRAWN",
        Severity.MAJOR,
        False,
        "Look at the key channel of the device: its address and key files in the station file",
    )
    """Key blocks cannot be drawn from the device."""
    STOPPED_BY_HAND = (
        "STOPPED_BY_HAND",
        Severity.WARNING,
        False,
        "Say that you work at it (`tokaido node maintenance LINK`), or let the node go on: `tokaido node resume LINK`",
    )
    """Somebody stopped the unit, and not the node."""
    MAINTENANCE = (
        "MAINTENANCE",
        Severity.WARNING,
        False,
        "Give the unit back when the work is done: `tokaido node maintenance LINK --end`, or release its lease",
    )
    """A person took the unit: the node gives it no orders."""

    @property
    def code(self) -> str:
        """As the alarm is called."""
        return self.value[0]

    @property
    def severity(self) -> Severity:
        """How bad it is."""
        return self.value[1]

    @property
    def latched(self) -> bool:
        """Whether it stays until a person has acknowledged it."""
        return self.value[2]

    @property
    def to_do(self) -> str:
        """What a person does about it."""
        return self.value[3]
