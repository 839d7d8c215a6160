"""Lines of a FiberLabs amplifier in tests: which of them only ask."""

from __future__ import annotations

import re

_ORDER = re.compile(r"(ACTIVE|SET(MOD|ALC|ACC),[0-9]),")


def amplifier_only_asks(text: str) -> bool:
    """Return whether no line of what a trace shows sets anything."""
    return not any(_ORDER.match(line) for line in text.split("\\r"))
