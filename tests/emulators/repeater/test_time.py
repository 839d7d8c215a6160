"""Time of an emulated repeater: its life does not depend on how often somebody looks at it."""

from __future__ import annotations

from typing import Any

import msgspec

from tokaido.emulators.repeater import RepeaterModel
from tokaido.hal import NS_PER_S

MS = NS_PER_S // 1000


def lived(step_ns: int) -> Any:
    """Return what a node says after 30 s, in which relays were delayed for a while, looked at so often."""
    model = RepeaterModel(secrets="seeded", seed=5, demand=20.0, utc_s=1e9)
    for until_s, change in ((10, model.provoked.add), (20, model.provoked.discard), (30, model.provoked.discard)):
        while model.now_ns < until_s * NS_PER_S:
            model.advance(min(model.now_ns + step_ns, until_s * NS_PER_S))
        change("relay_delays")
    return msgspec.to_builtins(model.status())


def test_its_life_does_not_depend_on_how_often_it_is_looked_at() -> None:
    seldom = lived(10 * NS_PER_S)
    assert lived(13 * MS) == seldom
    assert all(pair["counters"]["burned:lost"] > 0 for pair in seldom["pairs"])  # by the delays
