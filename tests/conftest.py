"""What holds for every test."""

from __future__ import annotations

from tokaido_testing.isolation import leaves_nothing_behind

__all__ = ["leaves_nothing_behind"]
