"""Alarms that a node's core raises: docs/explanation/key-custody.md has the table."""

from __future__ import annotations

from enum import Enum

from tokaido.hal import Severity


class AlarmCode(Enum):
    """Code, severity, and whether a person has to acknowledge it."""

    STORE_ROLLBACK = "STORE_ROLLBACK", Severity.CRITICAL, True
    """A store went back in time: this node's, or that of the neighbour."""
    STORE_FAILED = "STORE_FAILED", Severity.CRITICAL, True
    """The store cannot be written or read."""
    CONFIRM_FAILED = "CONFIRM_FAILED", Severity.CRITICAL, True
    """Start and end of a route hold different keys, or different end-to-end keys."""
    KEYS_DIFFER = "KEYS_DIFFER", Severity.CRITICAL, True
    """A block is not the same at both ends of its link."""
    TAG_WRONG = "TAG_WRONG", Severity.MAJOR, False
    """Messages came with a wrong one-time tag."""
    KEY_INSECURE = "KEY_INSECURE", Severity.MAJOR, False
    """A source gives keys that protect nothing."""
    NEIGHBOUR_SILENT = "NEIGHBOUR_SILENT", Severity.MAJOR, False
    """A neighbour does not answer."""
    VERSION_MISMATCH = "VERSION_MISMATCH", Severity.MAJOR, False
    """A neighbour speaks another version, or under another name."""
    RELAY_FAILED = "RELAY_FAILED", Severity.MAJOR, False
    """Relays to a node fail one after the other; the text names the hop."""
    FETCH_FAILED = "FETCH_FAILED", Severity.MINOR, False
    """A source could not fetch a block that the neighbour holds."""
    STOCK_LOW = "STOCK_LOW", Severity.WARNING, False
    """Few keys have been ready for a while."""

    @property
    def severity(self) -> Severity:
        """How bad it is."""
        return self.value[1]

    @property
    def latched(self) -> bool:
        """Whether it stays until a person has acknowledged it."""
        return self.value[2]
