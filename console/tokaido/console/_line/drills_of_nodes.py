"""Drills that begin with a node: it fails where there is a second way, and where there is none; its store is old."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import ExitStack, closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

import tokaido.hal as hal
from tokaido.console._line.described import STOCK
from tokaido.console._line.outcome import Outcome, outcome
from tokaido.console._line.traffic import Traffic

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokaido.console._line.shown import Shown
    from tokaido.console._line.watch import Seen
    from tokaido.node.client import KeyManagerError

_BROKEN_S: Final = 20.0
AT_ONCE: Final = 32
"""Keys that an application asks for at a time to use a stock up."""
MOST: Final = 8 * STOCK
"""Keys after which a stock that nobody fills would long be used up."""
_STILL_S: Final = 8.0
"""After so long there would be keys again, if the way were not cut."""
_WATCHED_S: Final = 4.0
_TRIES: Final = 20


def kill_with_a_second_way(shown: Shown, deadline: hal.Deadline, broken: bool) -> Outcome:
    """Kill a node that keys go through, where others lead around it."""
    site, (first, last) = "maibara", shown.run_ends
    waiting = hal.Deadline(hal.SYSTEM_CLOCK, _BROKEN_S) if broken else deadline
    killed = [site, "nara"] if broken else [site]
    with ExitStack() as stack:
        traffic = stack.enter_context(Traffic(shown, first, last))
        for name in killed:
            shown.run.kill(name)
            stack.callback(_start_again, shown, name, deadline)
        since = hal.Deadline(hal.SYSTEM_CLOCK, waiting.remaining_s)
        seen = shown.run.watch.wait_for(
            f"keys go around {site}",
            lambda seen: bool(shown.route(seen, first, last)) and site not in shown.route(seen, first, last),
            waiting,
        )
        took_s = since.elapsed_s
        route = shown.route(seen, first, last)
        born = _born(seen, first, last)
        shown.run.watch.wait_for("new keys come by it", lambda seen: _born(seen, first, last) > born, waiting)
    return outcome(f"after {took_s:.1f} s keys go {' - '.join(route)}; {traffic.told}", traffic.held)


def _born(seen: Seen, node: str, other: str) -> int:
    """Return how many keys for another node a node has ever got by relay."""
    status = seen.nodes.get(node)
    return next((pair.counters.get("born", 0) for pair in status.pairs if pair.neighbour == other), 0) if status else 0


def kill_without(shown: Shown, deadline: hal.Deadline, broken: bool) -> Outcome:
    """Kill a node that all keys go through, and use the stock up."""
    site, (first, last) = "shizuoka", shown.run_ends
    if not broken:
        shown.run.kill(site)
    reserves: list[float] = []
    try:
        with Traffic(shown, first, last) as traffic:
            watched = hal.Deadline(hal.SYSTEM_CLOCK, _WATCHED_S)
            while not watched.passed:
                seen = shown.run.watch.wait_for("another look", lambda _: True, deadline)
                reserves += _reserve_s(seen, first, last)
        served, refusal = _use_up(shown, first, last)
        hal.SYSTEM_CLOCK.wait(_STILL_S)
        later, still = _use_up(shown, first, last, most=1)
    finally:
        if not broken:
            _start_again(shown, site, deadline)
    shown.wait_for_keys(deadline)
    countdown = " - ".join(f"{one:.0f} s" for one in reserves[:: max(len(reserves) // 4, 1)][:5])
    told = f"{len(traffic.served) + served} keys came from stock (reserve {countdown}), then {_said(refusal)}"
    return outcome(
        f"{told}; {_STILL_S:g} s later {_said(still) if still else f'{later} key'}; {traffic.told}; keys again when it "
        "was back",
        refusal is not None and refusal.status == 503,
        still is not None and still.status == 503,
        traffic.held,
    )


def _use_up(shown: Shown, first: str, last: str, most: int = MOST) -> tuple[int, KeyManagerError | None]:
    """Fetch keys until there are none, and return how many came, and what the key manager said then."""
    from tokaido.node.client import KeyManagerError  # noqa: PLC0415 - aiohttp, when first needed

    bank, hospital = shown.applications[first], shown.applications[last]
    served = 0
    while served < most:
        try:
            left = bank.client.status(hospital.sae).stored_key_count
            served += len(shown.fetch(first, last, max(min(left, most - served, AT_ONCE), 1)))
        except KeyManagerError as error:
            return served, error
    return served, None


def _said(refusal: KeyManagerError | None) -> str:
    return "no request was refused" if refusal is None else f"{refusal.status}: {refusal.message}"


def restore(shown: Shown, deadline: hal.Deadline, broken: bool) -> Outcome:
    """Put an old copy of a node's key store back while the node is down."""
    site, (first, last) = "odawara", shown.run_ends
    near = [
        end for files in shown.run.plant.spans.values() if site in (e := files.span.ends) for end in e if end != site
    ]
    waiting = hal.Deadline(hal.SYSTEM_CLOCK, _BROKEN_S) if broken else deadline
    with TemporaryDirectory(prefix="tokaido-copy-") as name:
        copy = Path(name)
        shown.run.end_node(site, deadline)
        _copy_store(shown.run.plant.folder, site, copy)
        old = _leases(copy, site)
        _start_again(shown, site, deadline)
        shown.use_stock_up(first, last, deadline)
        shown.wait_for_keys(deadline)
        shown.run.kill(site)
        granted = {neighbour: _leases_of_a_running(shown.run.plant.folder, neighbour) for neighbour in near}
        if not broken:
            for file in shown.run.plant.folder.glob(f"{site}.sqlite*"):
                file.unlink()
            _copy_store(copy, site, shown.run.plant.folder)
        _start_again(shown, site, deadline)
        told = (site, *near)
        shown.run.watch.wait_for(
            f"{', '.join(told)} say STORE_ROLLBACK", lambda seen: all(_rolled_back(seen, one) for one in told), waiting
        )
        shown.use_stock_up(first, last, deadline)
        shown.wait_for_keys(deadline)
        keys = shown.fetch(first, last)
        now = _leases_of_a_running(shown.run.plant.folder, site)
    common = {block: mark for marks in granted.values() for block, (_, mark) in marks.items() if block in old}
    used = {block: now[block][0] for block in common if block in now and now[block][0] > old[block][0]}
    again = [block for block, own in used.items() if own <= common[block]]
    for one in told:
        shown.acknowledge(one)
    ranges = (
        f"{len(again)} ranges of link key were granted twice" if again else "no range of link key was granted twice"
    )
    return outcome(
        f"STORE_ROLLBACK at {', '.join(told)}; of {len(common)} blocks in the copy {len(used)} were spent from later, "
        f"{ranges}; keys agree: {keys[0].agree}",
        not again,
        bool(common),
        keys[0].agree,
    )


# --- what is seen -----------------------------------------------------------------------------------------------------


def _start_again(shown: Shown, site: str, deadline: hal.Deadline) -> None:
    """Start a node again, and wait until all of its links make key."""
    shown.run.start_again(site, deadline)
    shown.wait_until_run([site], deadline)


def _reserve_s(seen: Seen, node: str, other: str) -> list[float]:
    status = seen.nodes.get(node)
    return [pair.reserve_s for pair in status.pairs if pair.neighbour == other and pair.reserve_s] if status else []


def _rolled_back(seen: Seen, node: str) -> bool:
    return bool(_of(seen, node))


def _of(seen: Seen, node: str) -> str:
    status = seen.nodes.get(node)
    return next((alarm.of for alarm in status.alarms if alarm.code == "STORE_ROLLBACK"), "") if status else ""


def _copy_store(folder: Path, site: str, to: Path) -> None:
    for file in folder.glob(f"{site}.sqlite*"):
        shutil.copy2(file, to / file.name)


def _leases_of_a_running(folder: Path, site: str) -> Mapping[str, tuple[int, int]]:
    """Return the marks of a store that is in use, out of a copy; a copy that is torn is made again.

    Raises:
        TokaidoError: No copy could be read.
    """
    for _ in range(_TRIES):
        with TemporaryDirectory(prefix="tokaido-copy-") as name:
            _copy_store(folder, site, Path(name))
            try:
                return _leases(Path(name), site)
            except sqlite3.Error:
                hal.SYSTEM_CLOCK.wait(0.1)
    raise hal.TokaidoError(f"no copy of the store of {site} could be read")


def _leases(folder: Path, site: str) -> dict[str, tuple[int, int]]:
    """Return of every block how far its own half may be spent, and how far the neighbour's was granted."""
    with closing(sqlite3.connect(folder / f"{site}.sqlite")) as database:
        rows = database.execute(
            "SELECT link, session, number, own, granted FROM block JOIN lease ON lease.block = block.id"
        ).fetchall()
    return {f"{link}/{session}/{number}": (own, granted) for link, session, number, own, granted in rows}
