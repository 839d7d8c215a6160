"""The commands `node status`, `ack`, `resume`, `maintenance`, `move`, `drain` and `reload`: what a node is asked."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tokaido.console._number_types import number
from tokaido.console._options import JsonOption

control_commands = typer.Typer()

RunningNode = Annotated[
    Path,
    typer.Argument(metavar="NODE", help="The node's file, or its control socket.", show_default=False),
]
Link = Annotated[str, typer.Argument(metavar="LINK", help="Name of the link.", show_default=False)]
Note = Annotated[str, typer.Option("--note", help="What there is to say of it; it is kept.")]


@control_commands.command()
def status(node: RunningNode, *, as_json: JsonOption = False) -> None:
    """Show whether a node serves keys, and what to do. Exit code: 0 fine, 1 degraded, 2 serves none, 3 no answer."""
    from tokaido.console import _node_status  # noqa: PLC0415

    raise typer.Exit(_node_status.show(node, as_json=as_json))


@control_commands.command()
def ack(
    node: RunningNode,
    code: Annotated[str, typer.Argument(metavar="ALARM", help="Its code.", show_default=False)],
    of: Annotated[
        str, typer.Argument(metavar="[OF]", help="Link, device or neighbour that it is about.", show_default=False)
    ] = "",
    *,
    note: Note = "",
    as_json: JsonOption = False,
) -> None:
    """Note that you have seen an alarm of a node. It ends no hold of a unit: `tokaido ack` does."""
    from tokaido.console import _node_status  # noqa: PLC0415

    _node_status.client_of(node).acknowledge(code, of, note=note)
    _node_status.done("acknowledged", {"code": code, "of": of}, as_json=as_json)


@control_commands.command()
def resume(
    node: RunningNode,
    link: Link,
    *,
    use_reserve: Annotated[
        bool, typer.Option("--use-reserve", help="Let the next attempt take authentication key from the reserve.")
    ] = False,
    note: Note = "",
    as_json: JsonOption = False,
) -> None:
    """Let a node try a link again at once, as if nothing had failed."""
    from tokaido.console import _node_status  # noqa: PLC0415

    _node_status.client_of(node).resume(link, use_reserve=use_reserve, note=note)
    _node_status.done("resumed", {"link": link}, as_json=as_json)


@control_commands.command()
def maintenance(
    node: RunningNode,
    link: Link,
    *,
    end: Annotated[bool, typer.Option("--end", help="Give it back.")] = False,
    hours: Annotated[
        float | None,
        typer.Option("--hours", parser=number(0.01), help="Let it be given back by itself after so many hours."),
    ] = None,
    note: Note = "",
    as_json: JsonOption = False,
) -> None:
    """Take the unit of a link for maintenance: the node gives it no orders until you give it back."""
    from tokaido.console import _node_status  # noqa: PLC0415

    _node_status.maintain(node, link, on=not end, note=note, hours=hours)
    _node_status.done("given back" if end else "taken for maintenance", {"link": link}, as_json=as_json)


@control_commands.command()
def move(
    node: RunningNode,
    link: Link,
    path: Annotated[str, typer.Argument(metavar="[PATH]", help="Where to.", show_default=False)] = "",
    *,
    forget: Annotated[
        bool, typer.Option("--forget", help="Forget a move that cannot end; you have seen to both switches.")
    ] = False,
    wait: Annotated[
        float, typer.Option("--wait", parser=number(0), help="How long to wait for its end, in s.")
    ] = 180.0,
    as_json: JsonOption = False,
) -> None:
    """Move a link to another path, together with the node at its other end. Exit code: 0 moved, 1 not moved."""
    from tokaido.console import _node_move  # noqa: PLC0415

    raise typer.Exit(_node_move.run(node, link, path, forget=forget, wait_s=wait, as_json=as_json))


@control_commands.command()
def drain(node: RunningNode, *, note: Note = "", as_json: JsonOption = False) -> None:
    """End a node in order: it finishes its exchanges and begins no new ones."""
    from tokaido.console import _node_status  # noqa: PLC0415

    _node_status.client_of(node).drain(note=note)
    _node_status.done("draining", {}, as_json=as_json)


@control_commands.command()
def reload(node: RunningNode, *, note: Note = "", as_json: JsonOption = False) -> None:
    """Let a node read its file again, and tell what it takes only when it is started again."""
    from tokaido.console import _node_status  # noqa: PLC0415

    _node_status.reload(node, note=note, as_json=as_json)
