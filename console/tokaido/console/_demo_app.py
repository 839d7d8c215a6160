"""The command `demo`: what can be shown, and where it leads."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from tokaido.console._number_types import number
from tokaido.console._options import SeedOption


class Scenario(StrEnum):
    """What `tokaido demo` can show."""

    LINE = "line"
    LINK = "link"
    SWITCH = "switch"
    PAIR = "pair"
    CHAIN = "chain"


def demo(
    scenario: Annotated[
        Scenario,
        typer.Option(
            help="What to show: line, Tokyo to Kobe with a node at each site; link, the Tokyo field link; switch, a "
            "fibre that is cut and another one; pair, two nodes that give applications their keys; or chain, five "
            "nodes that relay keys from end to end."
        ),
    ] = Scenario.LINE,
    vendor: Annotated[
        str | None,
        typer.Option(
            help="Family of the units: any that brings drivers, emulators and a demonstration. Default: toshiba; for "
            "chain toshiba and nec in turn. The line has its own.",
            show_default=False,
        ),
    ] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
    seed: SeedOption = None,
    seconds: Annotated[float, typer.Option(parser=number(1), help="Give up after so many seconds.")] = 300,
    hold: Annotated[bool, typer.Option("--hold", help="line, pair, chain: run on until Ctrl-C.")] = False,
    line: Annotated[
        Path | None, typer.Option("--line", metavar="LINE.toml", help="line: another line than Tokyo to Kobe.")
    ] = None,
    drill: Annotated[bool, typer.Option("--drill", help="line: carry the drills out, too.")] = False,
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="DRILL", help="This drill alone. Repeatable.")
    ] = None,
    broken: Annotated[
        str, typer.Option("--break", metavar="DRILL", help="Carry this drill out so that it cannot hold.")
    ] = "",
) -> None:
    """Run emulated QKD links until both ends hold the same key. Exit code 1: a drill did not hold."""
    import secrets  # noqa: PLC0415 - loads OpenSSL, 5 ms

    import tokaido.hal as hal  # noqa: PLC0415 - help needs none of it

    seed = secrets.randbits(32) if seed is None else seed
    if scenario is not Scenario.LINE and (drill or only or broken or line is not None):
        raise hal.ConfigurationError("drills and line files are for the scenario line", remedy="Leave --scenario out")
    if scenario is Scenario.LINE and vendor is not None:
        raise hal.ConfigurationError("the line has units of its own", remedy="Add --scenario link")
    if scenario in {Scenario.LINE, Scenario.PAIR, Scenario.CHAIN}:
        from tokaido.console._line.demo import run_line_demo  # noqa: PLC0415
        from tokaido.console._line.described import described_line  # noqa: PLC0415
        from tokaido.console._line.drills import drills_of  # noqa: PLC0415
        from tokaido.console._line.places import described_places  # noqa: PLC0415

        drills = drills_of(only or (), broken, every=drill)
        if scenario is Scenario.LINE:
            described = described_line(line)
        else:
            both = ("toshiba", "nec") if vendor is None and scenario is Scenario.CHAIN else (vendor or "toshiba",)
            described = described_places(scenario.value, both)
        raise typer.Exit(
            run_line_demo(
                described, as_json=as_json, seed=seed, seconds=seconds, hold=hold, drills=drills, broken=broken
            )
        )
    if scenario is Scenario.SWITCH:
        from tokaido.console._demo_failover import run_switch_demo  # noqa: PLC0415

        raise typer.Exit(run_switch_demo(vendor or "toshiba", as_json=as_json, seed=seed, seconds=seconds))
    from tokaido.console._demo import run_link_demo  # noqa: PLC0415

    raise typer.Exit(run_link_demo(vendor or "toshiba", as_json=as_json, seed=seed, seconds=seconds))
