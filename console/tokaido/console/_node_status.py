"""The page that a person on duty wants at three in the morning: does the node serve keys, what is worst, what to do."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import tokaido.hal as hal
from tokaido.console._output import escaped, number, on_terminal, print_error, print_json, print_table, terminal

if TYPE_CHECKING:
    from pathlib import Path

    from tokaido.node.operation import ControlClient, LinkLine, NodeStatus, PairLine


def client_of(node: Path) -> ControlClient:
    """Return a client of a node that runs.

    Raises:
        ConfigurationError: There is neither such a file nor such a socket.
    """
    from tokaido.node.node_file import control_socket  # noqa: PLC0415
    from tokaido.node.operation import ControlClient  # noqa: PLC0415

    return ControlClient(control_socket(node))


def done(what: str, facts: dict[str, object], *, as_json: bool) -> None:
    """Tell a program what was done; a person sees that nothing went wrong."""
    if as_json:
        print_json({"done": what, **facts})


def reload(node: Path, *, note: str, as_json: bool) -> None:
    """Let a node read its file again, and tell what needs a restart."""
    left = client_of(node).reload(note=note)
    done("reloaded", {"needs_restart": list(left)}, as_json=as_json)
    if left and not as_json:
        print(f"taken when the node is started again: {', '.join(left)}")


def maintain(node: Path, link: str, *, on: bool, note: str, hours: float | None) -> None:
    """Take an end of a link, for so many hours or until it is given back, or give it back."""
    until_s = 0.0 if hours is None or not on else hal.SYSTEM_CLOCK.utc_ns() / hal.NS_PER_S + 3600 * hours
    client_of(node).maintenance(link, on=on, note=note, until_s=until_s)


def show_inventory(node: Path, *, as_json: bool) -> None:
    """Print which box stands under the name of each device."""
    import msgspec  # noqa: PLC0415

    lines = client_of(node).inventory()
    if as_json:
        print_json({"devices": msgspec.to_builtins(lines)})
        return
    print_table(
        ("device", "box", "serial number", "firmware", "accepted", "by", "waits"),
        [
            (
                one.device,
                f"{one.vendor} {one.model}".strip(),
                one.serial_number,
                one.firmware,
                one.accepted,
                one.accepted_by,
                one.waiting or "-",
            )
            for one in lines
        ],
        title="Inventory",
    )


def show(node: Path, *, as_json: bool) -> int:
    """Print the status of a node, and return the exit code that goes with it."""
    import msgspec  # noqa: PLC0415

    from tokaido.node.operation import EXIT_CODES, UNREACHABLE  # noqa: PLC0415

    try:
        status = client_of(node).status()
    except hal.TokaidoError as error:
        print_error(error, as_json=as_json)
        return UNREACHABLE
    if as_json:
        print_json(msgspec.to_builtins(status))
    else:
        _page(status)
    return EXIT_CODES[status.level]


def _page(status: NodeStatus) -> None:
    colour = {"fine": "green", "degraded": "yellow", "not serving": "red"}[status.level]
    _line(f"node {status.node}: {status.headline}", f"bold {colour}")
    if status.to_do:
        _line(f"do: {status.to_do}", "bold")
    store = "open" if status.store.open else f"closed: {status.store.why}"
    again = f", opened again {status.store.restarts} times" if status.store.restarts else ""
    mark = " EMULATION: its keys protect nothing." if status.emulation else ""
    _line(f"up {_span(status.up_s)}, store {store}{again}.{mark}", "")
    if status.alarms:
        print_table(
            ("alarm", "of", "severity", "for", "seen by", "what, and what to do"),
            [
                (
                    f"  {alarm.code}" if alarm.cause else alarm.code,
                    alarm.of,
                    f"{alarm.severity}{'' if alarm.lasts else ', gone'}",
                    _span(alarm.age_s),
                    alarm.acknowledged_by or "-",
                    alarm.text if alarm.cause else f"{alarm.text}. {alarm.to_do}",
                )
                for alarm in status.alarms
            ],
            title="Alarms",
        )
    print_table(
        ("link", "to", "unit", "state", "node", "QBER", "bit/s", "stock", "lasts", "last block", "available"),
        [_link(link) for link in status.links],
        title="Links",
    )
    print_table(
        ("keys with", "over", "ready", "of", "a second", "last", "integrity"),
        [
            (
                pair.neighbour,
                _over(pair),
                str(pair.ready),
                str(pair.target),
                f"{pair.demand:.3g}",
                _span(pair.reserve_s),
                pair.integrity,
            )
            for pair in status.pairs
            if pair.target or pair.ready or pair.held
        ],
        title="Keys",
    )
    print_table(
        ("neighbour", "is", "heard"),
        [(one.name, "up" if one.up else "silent", f"{_span(one.silent_s)} ago") for one in status.neighbours],
        title="Neighbours",
    )
    silent = [one.name for one in status.devices if one.answered_s is None or one.answered_s > 30]
    if silent:
        _line(f"devices that do not answer: {', '.join(silent)}", "yellow")


def _over(pair: PairLine) -> str:
    """Return the nodes that keys pass on their way, or on their two ways."""
    if pair.routes == 2:
        both = " and ".join(", ".join(route[1:-1]) or "-" for route in pair.disjoint)
        return both or f"no two ways{': all pass ' if pair.cut_nodes else ''}{', '.join(pair.cut_nodes)}"
    return ", ".join(pair.route[1:-1]) or ("-" if pair.route else "no way")


def _link(link: LinkLine) -> tuple[str, ...]:
    wait = "" if link.next_attempt_in_s is None else f", next in {_span(link.next_attempt_in_s)}"
    if link.maintained_until_s is not None:
        wait = f", until {datetime.fromtimestamp(link.maintained_until_s, UTC):%Y-%m-%d %H:%M} UTC"
    why = f" ({link.why}{wait})" if link.why and link.phase != "setting up" else wait
    return (
        link.name,
        link.neighbour,
        link.device,
        link.state or "?",
        f"{link.phase}{why}",
        "-" if link.qber is None else f"{link.qber:.2%}",
        "-" if link.secret_key_rate is None else number(round(link.secret_key_rate)),
        _bits(link.stock_bits),
        _span(link.reserve_s),
        "-" if link.since_block_s is None else f"{_span(link.since_block_s)} ago",
        "-" if link.availability is None else f"{link.availability:.2%}",
    )


def _line(text: str, style: str) -> None:
    if on_terminal() and style:
        terminal().print(f"[{style}]{escaped(text)}[/]")
    else:
        print(text)


def _bits(bits: int) -> str:
    for size, name in ((1e9, "Gbit"), (1e6, "Mbit"), (1e3, "kbit")):
        if bits >= size:
            return f"{bits / size:.3g} {name}"
    return f"{bits} bit"


def _span(seconds: float | None) -> str:
    """Return a time as people say it: `40 s`, `12 min`, `3 h`, `2 d`."""
    if seconds is None:
        return "-"
    for size, name in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {name}"
    return f"{seconds:.0f} s"
