"""Moves of a link in memory, and what is to be so after them."""

from __future__ import annotations

from typing import Any

import tokaido.hal as hal
from tokaido_testing.toy_link import PATHS, STRANGERS, World


class QuickLease(hal.Lease):
    """A lease that nobody contends for, so that hundreds of moves need no disk."""

    def check(self) -> float:
        return self.seconds

    def keep(self) -> None:
        """It is kept."""

    renew = release = keep


class QuickBook(hal.LeaseBook):
    """Gives such leases."""

    def __init__(self) -> None:
        super().__init__("/nowhere")
        self._fence = 0

    def acquire(self, name: Any, holder: str, seconds: float) -> hal.Lease:
        self._fence += 1
        return QuickLease(self, (name,) if isinstance(name, str) else tuple(name), holder, self._fence, seconds)


def move(world: World, to: str, leases: hal.LeaseBook, **options: Any) -> hal.MoveReport:
    """Move with patience for a test."""
    patience = dict[str, Any](light_timeout=1, align_timeout=2, start_timeout=2)
    patience.update(options)
    return world.link().move(to, leases=leases, **patience)


def check_whole(world: World, path: str) -> None:
    """See that all devices are on one path, exchange keys, and that nothing forbidden happened on the way."""
    assert world.shown() == {
        "alice": ("RX-1", path),
        "bob": ("TX-1", path),
        **{name: dict(pairs) | STRANGERS[name] for name, pairs in PATHS[path].items()},
    }
    assert world.runs()
    assert world.violations == []
