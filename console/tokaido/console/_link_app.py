"""The commands `link ...`: what can be said, and where it leads."""

from __future__ import annotations

from typing import Annotated

import typer

from tokaido.console._options import JsonOption, LinkArgument

links = typer.Typer(
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="See how QKD links are, and move them to other paths.",
)


@links.command()
def status(link: LinkArgument, as_json: JsonOption = False) -> None:
    """Show a link's path, the states of its units, and its status in one word."""
    from tokaido.console import _orders  # noqa: PLC0415

    _orders.link_status(link, as_json=as_json)


@links.command()
def move(
    link: LinkArgument,
    path: Annotated[str, typer.Argument(metavar="PATH", help="Name of the path to move to.", show_default=False)],
    start: Annotated[
        bool | None, typer.Option("--start/--no-start", help="Exchange keys afterwards. Default: if they did before.")
    ] = None,
    holder: Annotated[str, typer.Option(help="Who moves it, for others to read. Default: this program.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Move a link to another path, whole or not at all."""
    from tokaido.console import _orders  # noqa: PLC0415

    _orders.move(link, path, start=start, holder=holder, as_json=as_json)
