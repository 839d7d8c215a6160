"""The commands `network watch` and `network command`."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final

import tokaido.hal as hal
from tokaido.console._output import escaped, on_terminal, print_json, print_table, table, terminal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from rich.console import RenderableType

    from tokaido.node.events import NetworkView

COLUMNS: Final = ("node", "state", "links", "stock", "keys ready", "alarms", "heard", "what is worst")
COLOURS: Final = {"silent": "magenta", "not serving": "red", "degraded": "yellow", "fine": "green"}
WORST_FIRST: Final = {level: rank for rank, level in enumerate(COLOURS)}
FRAME: Final = 7
"""Lines of a screen that are not those of nodes."""


def order_of(name: str, of: Sequence[str], *, note: str, end: bool) -> dict[str, Any]:
    """Return an order as TRN1 has it.

    Raises:
        ConfigurationError: Its arguments do not fit.
    """
    match name, list(of):
        case "relay", ["on" | "off" as which]:
            return {"do": "relay", "on": which == "on"}
        case "resume", [link]:
            return {"do": "resume", "link": link}
        case "acknowledge", [code, *about] if len(about) <= 1:
            return {"do": "acknowledge", "code": code, "of": about[0] if about else "", "note": note}
        case "maintain", [link]:
            return {"do": "maintain", "link": link, "on": not end, "until_utc_s": 0.0, "note": note}
        case "move", [link, path]:
            return {"do": "move", "link": link, "path": path}
        case "drain", []:
            return {"do": "drain", "why": note}
        case _:
            raise hal.ConfigurationError(
                f"{name} does not take {' '.join(of) or 'no argument'}",
                remedy="relay on|off, resume LINK, acknowledge ALARM [OF], maintain LINK, move LINK PATH, drain",
            )


def command(
    network: Path, node: str, order: dict[str, Any], *, within: float, identifier: str | None, as_json: bool
) -> None:
    """Give an order, and print what came of it.

    Raises:
        RefusedError: The node refused it.
        TokaidoError: It did not go out, or nobody can know what came of it.
    """
    from tokaido.node.events import EventsSettings, NetworkClient  # noqa: PLC0415 - an extra

    async def give() -> Any:
        async with NetworkClient(EventsSettings.from_file(network)) as client:
            return await client.command(node, order, within_s=within, identifier=identifier)

    answer = asyncio.run(give())
    if not answer.ok:
        raise hal.RefusedError(f"{node} refused {order['do']} ({answer.error}): {answer.text}", remedy=answer.remedy)
    if as_json:
        print_json({"node": node, "order": order["do"], "id": answer.command, "ok": True, "again": answer.again})
    elif answer.again:
        print(f"{node} had done it before")


def watch(network: Path, *, once: bool, interval: float, as_json: bool) -> int:
    """Show all nodes until Ctrl-C; with `once` a single time, and return the exit code.

    Raises:
        TokaidoError: The hub cannot be reached any more.
    """
    from tokaido.node.events import EventsSettings  # noqa: PLC0415 - an extra

    settings = EventsSettings.from_file(network)
    with ExitStack() as stack:
        show: Callable[[NetworkView], None]
        if as_json:
            show = lambda view: print_json(facts(view), compact=True)  # noqa: E731
        elif once or not on_terminal():
            show = _print
        else:
            from rich.live import Live  # noqa: PLC0415 - for people alone

            live = stack.enter_context(Live(console=terminal(), auto_refresh=False, vertical_overflow="crop"))
            show = lambda view: live.update(_grid(view), refresh=True)  # noqa: E731
        view = asyncio.run(_watch(settings, show, interval, once=once))
    return _code(view)


async def _watch(settings: Any, show: Callable[[NetworkView], None], interval: float, *, once: bool) -> NetworkView:
    """Show all nodes; a hub that was there once may go and come back."""
    from tokaido.node.events import NetworkClient  # noqa: PLC0415 - an extra

    view: NetworkView | None = None
    while True:
        try:
            async with NetworkClient(settings) as client:
                view = await client.watch(view=view)
                while not client.connection.ended.is_set():
                    await asyncio.to_thread(hal.SYSTEM_CLOCK.wait, interval)
                    show(view)
                    if once:
                        return view
        except hal.TransportError:
            if view is None or once:
                raise
        show(view)
        await asyncio.to_thread(hal.SYSTEM_CLOCK.wait, interval)


def facts(view: NetworkView) -> dict[str, Any]:
    """Return what is known of a network, for programs."""
    nodes = []
    for name in sorted(view.nodes):
        told = view.nodes[name].telemetry
        nodes.append(
            {
                "node": name,
                "heard_s": round(view.age_s(name), 3),
                "silent": view.silent(name),
                **({} if told is None else _told(told)),
            }
        )
    return {"network": view.network, "nodes": nodes, "refused": view.refused}


def _told(told: Any) -> dict[str, Any]:
    import msgspec  # noqa: PLC0415

    found: dict[str, Any] = msgspec.to_builtins(told)
    return {key: value for key, value in found.items() if key not in {"type", "network", "node", "id"}}


def _rows(view: NetworkView) -> list[tuple[str, tuple[str, ...]]]:
    found: list[tuple[str, tuple[str, ...]]] = []
    for name in sorted(view.nodes):
        told = view.nodes[name].telemetry
        heard = f"{view.age_s(name):.1f} s ago"
        if told is None:
            found.append(("silent", (name, "?", "-", "-", "-", "-", heard, "no telemetry yet")))
            continue
        level = "silent" if view.silent(name) else told.level
        running = sum(link.running for link in told.links)
        stock = sum(link.stock_bits for link in told.links)
        ready = sum(pair.ready for pair in told.pairs)
        target = sum(pair.target for pair in told.pairs)
        row = (
            name,
            "SILENT" if level == "silent" else told.state,
            f"{running} of {len(told.links)}",
            f"{stock / 1e6:.3g} Mbit",
            f"{ready} of {target}",
            f"{told.alarms} ({told.worst})" if told.alarms else "-",
            heard,
            told.headline,
        )
        found.append((level, row))
    return sorted(found, key=lambda one: (WORST_FIRST[one[0]], one[1][0]))


def _print(view: NetworkView) -> None:
    print_table(COLUMNS, [row for _, row in _rows(view)], title=_title(view))


def _grid(view: NetworkView) -> RenderableType:
    grid = table(*COLUMNS, title=_title(view), whole=2)
    rows = _rows(view)
    room = max(terminal().height - FRAME, 1)
    for level, row in rows[:room]:
        grid.add_row(*(escaped(field) for field in row), style=COLOURS[level])
    if left := rows[room:]:
        fine = sum(level == "fine" for level, _ in left)
        grid.caption = f"and {len(left)} more, {'all' if fine == len(left) else fine} fine: --once or --json shows them"
    return grid


def _title(view: NetworkView) -> str:
    silent = sum(view.silent(name) for name in view.nodes)
    return f"{view.network}: {len(view.nodes)} nodes{f', {silent} silent' if silent else ''}"


def _code(view: NetworkView) -> int:
    levels = {level for level, _ in _rows(view)}
    return 2 if "not serving" in levels else int(bool(levels - {"fine"}) or not levels)
