"""Drills that begin with the light: an eavesdropper, a fibre that is cut, a site without mains."""

from __future__ import annotations

from contextlib import ExitStack
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import tokaido.hal as hal
from tokaido.console._line.outcome import Outcome, outcome
from tokaido.console._line.traffic import Traffic

if TYPE_CHECKING:
    from tokaido.console._line.plant import Span
    from tokaido.console._line.shown import Shown
    from tokaido.console._line.watch import Seen

WATCHED: Final = 10.0
"""Emulated seconds a second of a span that somebody watches: a daemon's second is so many of its own."""
HURRIED: Final = 100.0
_WEAK: Final = 0.16
"""What part of the pulses Eve measures at first: there still is key."""
_NOTHING: Final = 0.001
"""The same in a drill that is to fail."""
_RISE: Final = 0.02
"""How much higher the QBER is then at least; a quarter of what is measured is expected."""
_RETURN_S: Final = 90.0
"""How long a span may take to come back after a drill, however long that took."""
_LOOK_AGAIN_S: Final = 10.0
"""After so long without key the units are looked at again: one may stop for a person later than the other one."""
_BROKEN_S: Final = 20.0
"""How long a drill waits that cannot hold."""


def eve(shown: Shown, deadline: hal.Deadline, broken: bool) -> Outcome:
    """Put an eavesdropper into a span that has a second way around it, weak at first and then on every pulse."""
    name, (first, last) = "maibara-osaka", shown.run_ends
    span = shown.run.plant.spans[name].span
    (fibre,), (sender, receiver) = span.fibres, span.ends
    door, duty = shown.run.doors[name], shown.run.control(sender)
    waiting = hal.Deadline(hal.SYSTEM_CLOCK, _BROKEN_S) if broken else deadline
    before = _qber(shown.run.seen, receiver, name)
    with ExitStack() as stack:
        traffic = stack.enter_context(Traffic(shown, first, last))
        stack.callback(shown.run.pace.hurry.pop, name, None)
        shown.run.pace.hurry[name] = WATCHED
        stack.callback(_after_eve, shown, span, deadline)
        door.order("attack", fibre.name, "intercept_resend", f"fraction={_NOTHING if broken else _WEAK}")
        seen = shown.run.watch.wait_for(
            "the QBER rises", lambda seen: _qber(seen, receiver, name) > before + _RISE, waiting
        )
        qber = _qber(seen, receiver, name)
        door.order("mend", fibre.name)
        begun_s = door.emulated_s()
        door.order("attack", fibre.name, "intercept_resend", "fraction=1.0")
        seen = shown.run.watch.wait_for(
            f"{receiver} tells of it", lambda seen: bool(_alarms(seen, receiver)) and not seen.runs(name), waiting
        )
        told_s, alarms, stock = seen.emulated_s[name] - begun_s, _alarms(seen, receiver), seen.stock_bits(name)
        duty.set_relaying(on=False)
        stack.callback(duty.set_relaying, on=True)
        seen = shown.run.watch.wait_for(
            "keys go another way", lambda seen: not _passes(shown.route(seen, first, last), span), waiting
        )
        around = shown.route(seen, first, last)
        _wait_for_more(traffic, 3, waiting)
        grown = shown.run.seen.stock_bits(name) > stock
    told = (
        f"QBER from {100 * before:.1f} to {100 * qber:.1f} % when Eve measures {100 * _WEAK:.0f} % of the pulses; when "
        f"she measures all, {', '.join(alarms)} after {told_s:.0f} emulated s, and no key; {sender} is told to relay "
        f"none, and keys go {' - '.join(around)}"
    )
    return outcome(f"{told}; {traffic.told}", traffic.held, bool(around), not grown)


def _after_eve(shown: Shown, span: Span, deadline: hal.Deadline) -> None:
    """Have her gone, acknowledge at both units what they hold for, as people do there, and wait for key."""
    shown.run.doors[span.name].order("mend", span.fibres[0].name)
    waiting = hal.Deadline(hal.SYSTEM_CLOCK, max(deadline.remaining_s, _RETURN_S))
    while not shown.run.seen.runs(span.name):
        for place, site in enumerate(span.ends):
            with hal.Station.from_file(shown.run.plant.nodes[site].station) as station:
                unit = station.device(span.device(place), hal.Unit)
                if unit.state() is hal.UnitState.SECURITY_HOLD:
                    unit.acknowledge_security()
                    shown.run.control(site).resume(span.name, note="a drill: the eavesdropper is gone")
        try:
            shown.wait_until_run([span.ends[0]], hal.Deadline(hal.SYSTEM_CLOCK, _LOOK_AGAIN_S))
        except hal.DeviceTimeoutError:
            if waiting.passed:
                raise
    for site in span.ends:
        shown.acknowledge(site)


def cut(shown: Shown, deadline: hal.Deadline, broken: bool) -> Outcome:
    """Cut the fibre that a link with two paths is on, and move it to the other one, as a person on duty would."""
    name, (first, last) = "nagoya-maibara", shown.run_ends
    span = shown.run.plant.spans[name].span
    door, leader = shown.run.doors[name], shown.run.control(span.ends[0])
    lit, spare = (fibre.name for fibre in span.fibres)
    waiting = hal.Deadline(hal.SYSTEM_CLOCK, _BROKEN_S) if broken else deadline
    with ExitStack() as stack:
        traffic = stack.enter_context(Traffic(shown, first, last))
        stack.callback(shown.run.pace.hurry.pop, name, None)
        shown.run.pace.hurry[name] = WATCHED
        begun_s = door.emulated_s()
        door.order("cut", lit)
        stack.callback(door.order, "mend", lit)
        if broken:
            door.order("cut", spare)
            stack.callback(door.order, "mend", spare)
        seen = shown.run.watch.wait_for(f"{span.ends[1]} loses the light", lambda seen: not seen.runs(name), waiting)
        dark_s = seen.emulated_s[name] - begun_s
        leader.move(name, spare)
        seen = shown.run.watch.wait_for(
            f"{name} is moved", lambda seen: _move_of(seen, span.ends[0], name).startswith("moved"), waiting
        )
        moved_s = seen.emulated_s[name] - begun_s
        seen = shown.run.watch.wait_for(f"{name} makes key", lambda seen: seen.runs(name), waiting)
        key_s = seen.emulated_s[name] - begun_s
        _wait_for_more(traffic, 2, waiting)
    told = (
        f"dark after {dark_s:.0f} emulated s, moved to {spare} after {moved_s:.0f}, first key after {key_s:.0f} (at "
        f"{WATCHED:g} emulated s a second, so that each second of the daemons counts as {WATCHED:g})"
    )
    return outcome(f"{told}; {traffic.told}", traffic.held)


def power(shown: Shown, deadline: hal.Deadline, broken: bool) -> Outcome:
    """Take the mains of a whole site away, node and units, and give them back."""
    site, (first, last) = "nara", shown.run_ends
    spans = [files.span for files in shown.run.plant.spans.values() if site in files.span.ends]
    devices = [(span, span.on_bench(span.ends.index(site), span.device(span.ends.index(site)))) for span in spans]
    waiting = hal.Deadline(hal.SYSTEM_CLOCK, _BROKEN_S) if broken else deadline
    with Traffic(shown, first, last) as traffic, ExitStack() as stack:
        shown.run.kill(site)
        for span, device in devices:
            shown.run.doors[span.name].order("darken", device)
        _wait_for_more(traffic, 3, deadline)
        begun_s = {span.name: shown.run.doors[span.name].emulated_s() for span in spans}
        for span, device in devices[:1] if broken else devices:
            shown.run.doors[span.name].order("power", device)
        for span, device in devices[1:] if broken else ():
            stack.callback(shown.run.doors[span.name].order, "power", device)
        shown.run.start_again(site, deadline)
        states: set[str] = set()

        def back(seen: Seen) -> bool:
            node = seen.nodes.get(site)
            states.update(link.state for link in node.links) if node else None
            return all(seen.runs(span.name) for span in spans)

        seen = shown.run.watch.wait_for(f"the units of {site} make key again", back, waiting)
        _wait_for_more(traffic, 2, waiting)
    back_s = max(seen.emulated_s[span.name] - begun_s[span.name] for span in spans)
    told = (
        f"{site} was dark; with mains again its units went through {', '.join(sorted(states & _STEPS))}, and all make"
    )
    return outcome(f"{told} key after {back_s:.0f} emulated s; {traffic.told}", traffic.held, "WARMUP" in states)


_STEPS: Final = {"OFF", "SELFTEST", "WARMUP", "AUTH", "ALIGN", "STANDBY"}


# --- what is seen -----------------------------------------------------------------------------------------------------


def _alarms(seen: Seen, node: str) -> list[str]:
    """Return the security alarms of a node."""
    status = seen.nodes.get(node)
    return [alarm.code for alarm in status.alarms if alarm.code in _OF_EVE] if status else []


_OF_EVE: Final = ("PHASE_ERROR_ABORT", "QBER_ABORT", "SECURITY_HOLD")


def _qber(seen: Seen, node: str, span: str) -> float:
    status = seen.nodes.get(node)
    return max((link.qber or 0.0 for link in status.links if link.name == span), default=0.0) if status else 0.0


def _move_of(seen: Seen, node: str, span: str) -> str:
    status = seen.nodes.get(node)
    return next((link.move for link in status.links if link.name == span), "") if status else ""


def _passes(route: tuple[str, ...], span: Span) -> bool:
    return not route or any({one, other} == set(span.ends) for one, other in pairwise(route))


def _wait_for_more(traffic: Traffic, count: int, deadline: hal.Deadline) -> None:
    """Wait until so many more requests were answered."""
    wanted = len(traffic.served) + len(traffic.refused) + count
    while len(traffic.served) + len(traffic.refused) < wanted:
        if deadline.passed:
            raise hal.DeviceTimeoutError("waited for the applications", elapsed_s=deadline.elapsed_s)
        hal.SYSTEM_CLOCK.wait(0.1)
