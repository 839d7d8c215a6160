"""The commands `node topology ...`: what can be said, and where it leads."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tokaido.console._options import JsonOption

topologies = typer.Typer(
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Check and sign the file that says which nodes and links a network has.",
)

TopologyFile = Annotated[
    Path, typer.Argument(metavar="FILE", help="The topology file.", show_default=False, exists=False)
]


@topologies.command()
def key(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where the keys will be.", show_default=False)],
    *,
    as_json: JsonOption = False,
) -> None:
    """Make the key pair that topologies are signed and verified with."""
    from tokaido.console import _topology  # noqa: PLC0415

    _topology.make_key(folder, as_json=as_json)


@topologies.command()
def sign(
    file: TopologyFile,
    *,
    key: Annotated[Path, typer.Option(metavar="FILE", help="The private key, topology.key.", show_default=False)],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Default: NAME.signed.toml beside it.", show_default=False),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Check a topology file, and write it with a signature. An older issue is overwritten."""
    from tokaido.console import _topology  # noqa: PLC0415

    _topology.sign(file, key, output, as_json=as_json)


@topologies.command()
def check(
    file: TopologyFile,
    *,
    public_key: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The public key, topology.pub.", show_default=False)
    ] = None,
    unsigned: Annotated[bool, typer.Option("--unsigned", help="Look at no signature.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Verify a topology file and show its routes. Exit code: 0 fine, 1 bad signature, 2 mistakes, 3 routes lack."""
    from tokaido.console import _topology  # noqa: PLC0415

    raise typer.Exit(_topology.check(file, public_key, unsigned=unsigned, as_json=as_json))
