"""Repeater nodes in tests: what only asks on their wire."""

from __future__ import annotations

import re

ASKS = re.compile(r"\\xa2do\\x..(?:hello|read|status|alarms|events)")


def repeater_only_asks(text: str) -> bool:
    """Return whether a message of TRN1, as a trace shows it, is a question."""
    return ASKS.search(text) is not None
