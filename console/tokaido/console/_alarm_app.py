"""The commands `alarms` and `ack`: what can be said, and where it leads."""

from __future__ import annotations

from typing import Annotated

import typer

from tokaido.console._number_types import number
from tokaido.console._options import DeviceArgument, ForceOption, JsonOption, TargetArgument, TraceOption

alarm_commands = typer.Typer()


@alarm_commands.command()
def alarms(
    target: TargetArgument,
    *,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on, and tell what is raised and cleared, until Ctrl-C.")
    ] = False,
    interval: Annotated[float, typer.Option(parser=number(0.05), help="Seconds from one look to the next.")] = 1.0,
    seconds: Annotated[
        float | None, typer.Option(parser=number(0), help="End --follow by itself.", show_default=False)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON; with --follow, one object a line.")] = False,
    trace: TraceOption = False,
) -> None:
    """Show the alarms that are active, of one device or of a whole station."""
    from tokaido.console import _alarms  # noqa: PLC0415

    if follow:
        raise typer.Exit(_alarms.follow(target, interval=interval, seconds=seconds, as_json=as_json, trace=trace))
    raise typer.Exit(_alarms.show(target, as_json=as_json, trace=trace))


@alarm_commands.command()
def ack(
    device: DeviceArgument,
    codes: Annotated[
        list[str] | None, typer.Argument(metavar="ALARM", help="Codes of the alarms, as `tokaido alarms` lists them.")
    ] = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="All that are latched, whichever they are.")] = False,
    force: ForceOption = "",
    as_json: JsonOption = False,
    trace: TraceOption = False,
) -> None:
    """Acknowledge latched alarms of a unit, whose cause is gone, and show those that are left."""
    from tokaido.console import _alarms  # noqa: PLC0415

    _alarms.acknowledge(device, codes or [], everything=everything, force=force, as_json=as_json, trace=trace)
