"""The commands `node preshared ...`: two custodians make, check and enter the components of a link's key."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tokaido.console._node_control_app import Link, Note
from tokaido.console._number_types import whole_number
from tokaido.console._options import JsonOption

preshared_keys = typer.Typer(
    no_args_is_help=True,
    help="Pre-shared keys of links: each custodian makes a component, and enters it at the nodes of both ends.",
)

NodeOfCustodians = Annotated[
    Path,
    typer.Argument(metavar="NODE", help="The node's file, or its socket for custodians.", show_default=False),
]
ComponentFile = Annotated[Path, typer.Argument(metavar="FILE", help="The component.", show_default=False)]
LinkPath = Annotated[str, typer.Option("--path", help="Which path of the link, where it has several.")]


@preshared_keys.command()
def make(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A new file of mode 0600.", show_default=False)],
    *,
    size: Annotated[
        int, typer.Option("--bytes", parser=whole_number(32), help="As long as the key that the units take.")
    ] = 4096,
    as_json: JsonOption = False,
) -> None:
    """Make a component of random bytes, and print its check value. Each custodian makes one, alone."""
    from tokaido.console import _node_preshared  # noqa: PLC0415

    _node_preshared.make(file, size, as_json=as_json)


@preshared_keys.command()
def check(file: ComponentFile, *, as_json: JsonOption = False) -> None:
    """Print the check value of a component."""
    from tokaido.console import _node_preshared  # noqa: PLC0415

    _node_preshared.check(file, as_json=as_json)


@preshared_keys.command()
def enter(
    node: NodeOfCustodians,
    link: Link,
    *,
    component: Annotated[
        Path, typer.Option("--component", metavar="FILE", help="Its file, of mode 0600; -: what is piped in.")
    ],
    path: LinkPath = "",
    note: Note = "",
    as_json: JsonOption = False,
) -> None:
    """Enter your component. The first one waits; with the second, of somebody else, the node loads its unit."""
    from tokaido.console import _node_preshared  # noqa: PLC0415

    _node_preshared.enter(node, link, component, path=path, note=note, as_json=as_json)


@preshared_keys.command()
def show(node: NodeOfCustodians, *, as_json: JsonOption = False) -> None:
    """Show which components wait, and since when units have which keys."""
    from tokaido.console import _node_preshared  # noqa: PLC0415

    _node_preshared.show(node, as_json=as_json)


@preshared_keys.command()
def discard(
    node: NodeOfCustodians, link: Link, *, path: LinkPath = "", note: Note = "", as_json: JsonOption = False
) -> None:
    """Destroy a component that waits."""
    from tokaido.console import _node_preshared  # noqa: PLC0415

    _node_preshared.discard(node, link, path=path, note=note, as_json=as_json)
