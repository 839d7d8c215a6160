"""The commands `node ...`: what can be said, and where it leads."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tokaido.console._node_audit_app import audits
from tokaido.console._node_control_app import control_commands
from tokaido.console._node_inventory_app import inventories
from tokaido.console._node_preshared_app import preshared_keys
from tokaido.console._options import JsonOption, LinesOption
from tokaido.console._pki_app import pki
from tokaido.console._topology_app import topologies

nodes = typer.Typer(
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Run a node: a trusted site that keeps keys and serves them to applications.",
)
nodes.add_typer(control_commands)
nodes.add_typer(topologies, name="topology")
nodes.add_typer(audits, name="audit")
nodes.add_typer(inventories, name="inventory")
nodes.add_typer(preshared_keys, name="preshared")

nodes.command()(pki)

NodeFileArgument = Annotated[
    Path, typer.Argument(metavar="NODE.toml", help="The node file.", show_default=False, exists=False)
]


@nodes.command()
def run(
    file: NodeFileArgument,
    emulation: Annotated[
        bool, typer.Option("--emulation", help="Allow a node whose file says that it takes keys of seeded units.")
    ] = False,
    log_json: Annotated[
        bool, typer.Option("--log-json", help="Write the log to stderr as a JSON object a line.")
    ] = False,
    as_json: LinesOption = False,
) -> None:
    """Run a node until SIGTERM or Ctrl-C, which drain it first. SIGHUP reads its file again."""
    from tokaido.console._node import run_node  # noqa: PLC0415

    run_node(file, emulation=emulation, log_json=log_json, as_json=as_json)


@nodes.command("wrapping-key")
def wrapping_key(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A new file of mode 0600.", show_default=False)],
    as_json: JsonOption = False,
) -> None:
    """Make the key that a node's store is sealed under."""
    from tokaido.console._node import make_wrapping_key  # noqa: PLC0415

    make_wrapping_key(file, as_json=as_json)
