"""The commands `node ...`: what can be said, and where it leads."""

from __future__ import annotations

import typer

from tokaido.console._pki_app import pki

nodes = typer.Typer(
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Run a node: a trusted site that keeps keys and serves them to applications.",
)
nodes.command()(pki)


@nodes.callback()
def common() -> None:
    """Keep `node` a group, however few commands it has."""
