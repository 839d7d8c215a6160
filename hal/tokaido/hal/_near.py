"""What a mistyped name may have meant, for errors."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a question with the known name that is nearest, and a blank behind it; empty if none is near."""
    from difflib import get_close_matches  # noqa: PLC0415 - for the mistaken alone

    near = get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"Did you mean {near[0]}? " if near else ""
