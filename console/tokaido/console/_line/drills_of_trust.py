"""The drill that shows what a node in the middle of a route can see."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

import tokaido.hal as hal
from tokaido.console._line.outcome import Outcome, outcome
from tokaido.console._line.tapped_node import NONCE, tapped_node

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tokaido.console._line.shown import Shown

_RESTART_S: Final = 120.0
_TOLD_S: Final = 5.0
"""How long a node may take to tell what it saw."""


def what_a_node_sees(shown: Shown, deadline: hal.Deadline, broken: bool) -> Outcome:
    """Let nodes in the middle look at what they relay, and compare it with what applications got."""
    (first, last), pair = shown.run_ends, next(pair for pair in shown.run.plant.pairs if pair.routes == 2)
    nonce = bytes(16) if broken else shown.nonce
    middle = ("maibara", "kameyama", "nara")
    sites = ("shizuoka", *middle)
    with ExitStack() as stack:
        stack.callback(_restart, shown, sites)
        for site in sites:
            shown.run.end_node(site, deadline)
        for site in sites:
            shown.run.start_again(site, deadline, program=tapped_node, environment={NONCE: nonce.hex()})
        shown.wait_until_run(sites, deadline)
        shown.use_stock_up(first, last, deadline)
        shown.wait_for_keys(deadline)
        one = shown.fetch(first, last)[0]
        passed = _seen_by(shown, "shizuoka", one.digest_slave)
        shown.use_stock_up(*pair.ends, deadline)
        shown.run.watch.wait_for(
            f"keys are ready at {pair.ends[0]}", lambda seen: seen.ready(*pair.ends) >= 1, deadline
        )
        other = shown.fetch(*pair.ends)[0]
        looked = {site: _seen_by(shown, site, other.digest_slave) for site in middle}
    counts = ", ".join(f"{site} saw {len(digests)}" for site, digests in looked.items())
    hidden = all(other.digest_slave not in digests for digests in looked.values())
    return outcome(
        f"Shizuoka saw {len(passed)} keys, that of {one.master_sae} and {one.slave_sae} "
        f"{'among them' if one.digest_slave in passed else 'NOT among them'}; on the two ways from {pair.ends[0]} to "
        f"{pair.ends[1]} {counts}, and the applications' key is {'not ' if hidden else ''}among them",
        one.digest_slave in passed,
        one.agree,
        other.agree,
        hidden,
        all(looked.values()),
    )


def _seen_by(shown: Shown, site: str, wanted: str) -> set[str]:
    """Return the digests that a node told, once the wanted one is among them or it had time to tell."""
    found: set[str] = set()
    waiting = hal.Deadline(hal.SYSTEM_CLOCK, _TOLD_S)
    while wanted not in found and not waiting.passed:
        found.update(line["digest"] for line in shown.run.said(site, "saw"))
        hal.SYSTEM_CLOCK.wait(0.1)
    return found


def _restart(shown: Shown, sites: Sequence[str]) -> None:
    """Run nodes as they are, and wait until their spans make key."""
    deadline = hal.Deadline(hal.SYSTEM_CLOCK, _RESTART_S)
    for site in sites:
        shown.run.kill(site)
    for site in sites:
        shown.run.start_again(site, deadline)
    shown.wait_until_run(sites, deadline)
