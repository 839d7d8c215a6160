"""The command `node pki`: what can be said, and where it leads."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tokaido.console._number_types import number
from tokaido.console._options import JsonOption


def pki(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Where authority and certificates are.", show_default=False)
    ],
    *,
    node: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME[=HOST,...]", help="A node, and where it is found. Default: on this machine."),
    ] = None,
    sae: Annotated[list[str] | None, typer.Option(metavar="ID", help="An application (SAE).")] = None,
    operator: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="A person who watches and commands nodes over the bus."),
    ] = None,
    hub: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME[=HOST,...]", help="A server of the bus, and where it is found."),
    ] = None,
    days: Annotated[float, typer.Option(parser=number(0), help="How long the certificates are good.")] = 30,
    revoke: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Put a certificate on the revocation list.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Make certificates of a TEST authority for nodes, applications and the bus, or revoke some."""
    from tokaido.console import _pki  # noqa: PLC0415

    wanted = _pki.Wanted(node or [], sae or [], operator or [], hub or [])
    _pki.pki(folder, wanted, days, revoke or [], as_json=as_json)
