"""What changed from one state to the next."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from tokaido.console.page._state import PageState

LISTS: Final = {"sites": "name", "spans": "name", "pairs": "ends", "drills": "name", "applications": "name"}
"""Lists of a state, and what tells their items apart."""
OTHERS: Final = ("network", "title", "title_ja", "emulation", "geography", "exchange")


def change_between(before: PageState, after: PageState) -> dict[str, Any] | None:
    """Return all that is different in `after`; None if items came, went or moved, so that it takes the whole state."""
    found: dict[str, Any] = {}
    for name, key in LISTS.items():
        old, new = getattr(before, name), getattr(after, name)
        if [getattr(item, key) for item in old] != [getattr(item, key) for item in new]:
            return None
        if changed := [item for was, item in zip(old, new, strict=True) if was != item]:
            found[name] = changed
    for name in OTHERS:
        if getattr(before, name) != getattr(after, name):
            found[name] = getattr(after, name)
    return found
