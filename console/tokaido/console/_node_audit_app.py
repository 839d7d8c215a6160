"""The commands `node audit verify` and `node audit show`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tokaido.console._number_types import whole_number
from tokaido.console._options import JsonOption

audits = typer.Typer(no_args_is_help=True, help="The audit log of a node: who did what, from where, and why.")

Audited = Annotated[
    Path,
    typer.Argument(
        metavar="NODE", help="The node's file, its control socket, or the store itself.", show_default=False
    ),
]
KeyFile = Annotated[
    Path | None,
    typer.Option("--key-file", help="The store's wrapping key, where NODE is a store.", show_default=False),
]


@audits.command()
def verify(
    node: Audited,
    *,
    mark: Annotated[
        list[str] | None,
        typer.Option("--mark", metavar="NUMBER:DIGEST", help="A mark that was kept elsewhere; may be given again."),
    ] = None,
    key_file: KeyFile = None,
    as_json: JsonOption = False,
) -> None:
    """Say whether the log is whole. Exit code: 0 it is; 1 a row does not fit; 3 unreadable; 4 its end is not known."""
    from tokaido.console import _node_audit  # noqa: PLC0415

    raise typer.Exit(_node_audit.verify(node, tuple(mark or ()), key_file, as_json=as_json))


@audits.command()
def show(
    node: Audited,
    *,
    above: Annotated[int, typer.Option("--above", parser=whole_number(0), help="Only rows with a higher number.")] = 0,
    most: Annotated[
        int, typer.Option("--most", parser=whole_number(1), help="The last so many rows, 1000 at most.")
    ] = 100,
    key_file: KeyFile = None,
    as_json: JsonOption = False,
) -> None:
    """Show the last rows of the log, the newest at the end. Whether they are genuine, `verify` says."""
    from tokaido.console import _node_audit  # noqa: PLC0415

    _node_audit.show(node, key_file, above=above, most=most, as_json=as_json)
