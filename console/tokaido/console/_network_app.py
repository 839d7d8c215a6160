"""The commands `network ...`: what can be said, and where it leads."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from tokaido.console._number_types import number, whole_number
from tokaido.console._options import JsonOption, LinesOption

networks = typer.Typer(
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Watch and command the nodes of a network over its bus.",
)

NetworkFile = Annotated[
    Path,
    typer.Option(
        "--network",
        metavar="FILE",
        envvar="TOKAIDO_NETWORK",
        help="The file that says where the hub is, and who you are.",
    ),
]
HERE = Path("network.toml")
HubFileArgument = Annotated[Path, typer.Argument(metavar="HUB.toml", help="The hub file.", show_default=False)]


class Order(StrEnum):
    """What a node can be ordered."""

    RELAY = "relay"
    RESUME = "resume"
    ACKNOWLEDGE = "acknowledge"
    MAINTAIN = "maintain"
    MOVE = "move"
    DRAIN = "drain"


@networks.command()
def watch(
    network: NetworkFile = HERE,
    *,
    once: Annotated[bool, typer.Option("--once", help="Print what is known after one interval, and end.")] = False,
    interval: Annotated[float, typer.Option(parser=number(0.2), help="How often to look, in s.")] = 1,
    as_json: LinesOption = False,
    page: Annotated[
        bool, typer.Option("--page", help="Serve a web page on this machine, and print its address.")
    ] = False,
    port: Annotated[int, typer.Option(parser=whole_number(0), help="--page: where; 0: one that is free.")] = 0,
    topology: Annotated[
        Path | None,
        typer.Option("--topology", metavar="FILE", help="--page: says where nodes are.", show_default=False),
    ] = None,
) -> None:
    """Show all nodes live. With --once the exit code is 0: all fine; 1: not all; 2: a node serves no keys."""
    if page:
        if once:
            raise typer.BadParameter("--page goes on until it is ended: leave --once out")
        from tokaido.console import _network_page  # noqa: PLC0415 - aiohttp

        _network_page.serve(network, topology, port, as_json=as_json)
        return
    if port or topology is not None:
        raise typer.BadParameter("--port and --topology are for --page")
    from tokaido.console import _network  # noqa: PLC0415

    raise typer.Exit(_network.watch(network, once=once, interval=interval, as_json=as_json))


@networks.command()
def command(
    node: Annotated[str, typer.Argument(metavar="NODE", help="Its name.", show_default=False)],
    order: Annotated[Order, typer.Argument(help="What it is to do.", show_default=False)],
    of: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[ARGUMENT]...",
            help="relay: on or off. resume, maintain: a link. move: a link and a path. "
            "acknowledge: an alarm, and what it is about.",
            show_default=False,
        ),
    ] = None,
    *,
    note: Annotated[str, typer.Option("--note", help="What there is to say of it; it is kept.")] = "",
    end: Annotated[bool, typer.Option("--end", help="maintain: give the link back.")] = False,
    within: Annotated[
        float, typer.Option(parser=number(0), help="After so many seconds the node does not begin it any more.")
    ] = 10,
    identifier: Annotated[
        str | None, typer.Option("--id", help="Ask what came of the command of that id.", show_default=False)
    ] = None,
    network: NetworkFile = HERE,
    as_json: JsonOption = False,
) -> None:
    """Give a node an order, signed with your certificate, and print what came of it."""
    from tokaido.console import _network  # noqa: PLC0415

    _network.command(
        network,
        node,
        _network.order_of(order.value, of or [], note=note, end=end),
        within=within,
        identifier=identifier,
        as_json=as_json,
    )


@networks.command("hub-config")
def hub_config(
    file: HubFileArgument,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FOLDER", help="Where NAME.conf are written.")],
    store_bytes: Annotated[
        int, typer.Option(parser=whole_number(1 << 20), help="How much a server may keep on its disk.")
    ] = 20 << 30,
    as_json: JsonOption = False,
) -> None:
    """Write the configuration of each server of a hub: run it again when a certificate comes, goes or is revoked."""
    from tokaido.console import _network_hub  # noqa: PLC0415

    _network_hub.write(file, output, store_bytes, as_json=as_json)


@networks.command()
def streams(
    copies: Annotated[
        int, typer.Option(parser=whole_number(1), help="On how many servers each message is: 1, 3 or 5.")
    ] = 3,
    network: NetworkFile = HERE,
    as_json: JsonOption = False,
) -> None:
    """Make the streams of a hub, or bring them up to date. It takes the certificate of a keeper."""
    from tokaido.console import _network_hub  # noqa: PLC0415

    _network_hub.make_streams(network, copies, as_json=as_json)


@networks.command()
def topology(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The signed topology.", show_default=False)],
    public_key: Annotated[Path, typer.Option("--public-key", metavar="FILE", help="The public key of who signed it.")],
    network: NetworkFile = HERE,
    as_json: JsonOption = False,
) -> None:
    """Hand a signed topology out to all nodes that take it. It takes the certificate of a keeper."""
    from tokaido.console import _network_hub  # noqa: PLC0415

    _network_hub.hand_out(network, file, public_key, as_json=as_json)
