"""The commands `node inventory show` and `node inventory accept`."""

from __future__ import annotations

from typing import Annotated

import typer

from tokaido.console._node_control_app import Note, RunningNode
from tokaido.console._options import JsonOption

inventories = typer.Typer(no_args_is_help=True, help="Which box stands under the name of each device of a node.")


@inventories.command()
def show(node: RunningNode, *, as_json: JsonOption = False) -> None:
    """Show the boxes that a node uses, and those that wait for a person to accept them."""
    from tokaido.console import _node_status  # noqa: PLC0415

    _node_status.show_inventory(node, as_json=as_json)


@inventories.command()
def accept(
    node: RunningNode,
    device: Annotated[str, typer.Argument(metavar="DEVICE", help="Its name in the station.", show_default=False)],
    *,
    serial: Annotated[
        str, typer.Option("--serial", help="The serial number that you read off the box; another one is refused.")
    ] = "",
    note: Note = "",
    as_json: JsonOption = False,
) -> None:
    """Let a node use another box than the one that stood under this name before."""
    from tokaido.console import _node_status  # noqa: PLC0415

    _node_status.client_of(node).accept_device(device, serial_number=serial, note=note)
    _node_status.done("accepted", {"device": device}, as_json=as_json)
