"""The commands that order something: connect and disconnect, start, stop and align, move."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Final, TypeVar, cast

import tokaido.hal as hal
from tokaido.console._devices import forced, named, opened, station_at
from tokaido.console._output import print_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tokaido.hal import Device, UnitState

D = TypeVar("D", bound="Device")

_UNIT_ORDERS: Final[dict[str, tuple[Callable[[hal.Unit], None], UnitState]]] = {
    "start": (lambda unit: unit.start(), hal.UnitState.RUN),
    "stop": (lambda unit: unit.stop(), hal.UnitState.STANDBY),
    "align": (lambda unit: unit.align(), hal.UnitState.STANDBY),
}
"""What is ordered, and the state that it leads to."""


def connect(text: str, source: int, target: int, *, force: str, as_json: bool, trace: bool) -> None:
    """Join an input of a switch to an output, and print the map that is in force afterwards."""
    with opened(text, trace=trace) as device:
        switch = in_role(device, hal.OpticalSwitch)
        switch.connect(source, target, force=force)
        _print_map(switch.connections(), as_json=as_json)


def disconnect(text: str, inputs: Sequence[int], *, everything: bool, as_json: bool, trace: bool) -> None:
    """Part inputs of a switch from their outputs, and print the map that is in force afterwards.

    Raises:
        ConfigurationError: Neither inputs nor `everything` are given, or both.
    """
    if bool(inputs) == everything:
        raise hal.ConfigurationError("which inputs are meant is not clear", remedy="Give inputs, or --all")
    with opened(text, trace=trace) as device:
        switch = in_role(device, hal.OpticalSwitch)
        if everything:
            switch.disconnect_all()
        else:
            switch.disconnect(*inputs)
        _print_map(switch.connections(), as_json=as_json)


def _print_map(connections: dict[int, int], *, as_json: bool) -> None:
    if as_json:
        print_json({"connections": {str(source): target for source, target in sorted(connections.items())}})
        return
    for line in map_lines(connections):
        print(line)


def map_lines(connections: dict[int, int]) -> Iterator[str]:
    """Yield a line for each pair of a switch's map: `in 1`, a tab, `out 3`."""
    if not connections:
        yield "map\tempty"
    for source, target in sorted(connections.items()):
        yield f"in {source}\tout {target}"


def order_units(verb: str, texts: Sequence[str], *, wait: float, force: str, as_json: bool, trace: bool) -> None:
    """Give every unit that is named the order `start`, `stop` or `align`; then wait until each of them is there.

    A link of a station file stands for both its units. The wait begins when all have the order.

    Args:
        verb: The order.
        texts: Units or links.
        wait: How long they may take, in s; 0 waits for nothing.
        force: Why an interlock may be overruled; empty: it may not.
        as_json: Print JSON.
        trace: Print the bytes on the wire to stderr.
    """
    order, goal = _UNIT_ORDERS[verb]
    with ExitStack() as stack:
        units = [
            in_role(stack.enter_context(opened(text, trace=trace)), hal.Unit)
            for several in texts
            for text in _units_of(several)
        ]
        for unit in units:
            if isinstance(unit, hal.Receiver) and verb != "stop":
                with forced(unit, force):
                    unit.check_interlocks(verb)  # before any other unit has its order
        for unit in units:
            with forced(unit, force):
                order(unit)
        deadline = hal.Deadline(hal.SYSTEM_CLOCK, wait)
        states: dict[str, str] = {}
        for unit in units:
            found = unit.wait_for(goal, timeout=deadline.remaining_s) if wait else unit.state()
            states[unit.name] = found.value
    if as_json:
        print_json(states)
        return
    for name, reached in states.items():
        print(f"{name}\t{reached}")


def _units_of(text: str) -> tuple[str, ...]:
    """Return the units that a text stands for: those of a link of a station file, or itself."""
    path, mark, name = text.rpartition("#")
    if mark and path and "@" not in path.partition("#")[0]:
        with station_at(path) as station:
            link = station.links.get(name)
        if link is not None:
            return f"{path}#{link.transmitter}", f"{path}#{link.receiver}"
    return (text,)


def move(text: str, to: str, *, start: bool | None, holder: str, as_json: bool) -> None:
    """Move a link of a station file to another path, and print each step as it begins."""
    with named(text) as (station, name):
        report = station.link(name).move(
            to, start=start, holder=holder, on_step=None if as_json else lambda step: print(step, flush=True)
        )
    if as_json:
        print_json(
            {
                "link": report.link,
                "from": report.from_path,
                "to": report.to_path,
                "fencing_token": report.fencing_token,
                "steps": [{"step": step.name, "seconds": round(step.seconds, 3)} for step in report.steps],
            }
        )
    else:
        print(report)


def link_status(text: str, *, as_json: bool) -> None:
    """Print a link's path, the states of its units, and its status; keys count that wait at either unit."""
    with named(text) as (station, name):
        link = station.link(name)
        path = link.path()
        units = link.transmitter, link.receiver
        waiting = [waiting_blocks(unit) for unit in units]
        status = link.status(keys_left=any(waiting))
        states = {unit.name: unit.state().value for unit in units}
    if as_json:
        print_json({"link": name, "path": path, "status": status.value, "states": states})
        return
    print(f"{name}\t{status.value}\tpath {path or 'none'}", *(f"{unit} {s}" for unit, s in states.items()), sep="\t")


def waiting_blocks(unit: hal.Unit) -> int | None:
    """Return how many key blocks wait to be drawn; None for a unit that does not tell."""
    query = unit.queries().get("key_blocks_waiting")
    return None if query is None else unit.ask(query)


def in_role(device: Device, role: Callable[..., D]) -> D:
    if not isinstance(role, type) or not isinstance(device, role):
        wanted = getattr(role, "__name__", role)
        raise hal.ConfigurationError(f"{device.name} is a {type(device).__name__}, and not a {wanted}")
    return cast("D", device)
