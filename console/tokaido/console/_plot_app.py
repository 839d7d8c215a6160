"""The commands `plot ...`: what can be said, and where it leads."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tokaido.console._number_types import number, whole_number
from tokaido.console._options import JsonOption
from tokaido.console._rate_options import (
    AttackOption,
    BoundOption,
    ChangesOption,
    DistanceOption,
    MethodOption,
    PulsesOption,
    SettingsOption,
)

plots = typer.Typer(
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Draw what links give, as PNG or SVG. Needs the extra `plot`.",
)

PresetsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--preset",
        metavar="NAME[:METHOD]",
        help="A preset, and a method for it alone. Repeatable; some of interest if none is named.",
        show_default=False,
    ),
]
LongestOption = Annotated[float, typer.Option(parser=number(), metavar="KM", help="Where the axis ends.")]


OutputOption = Annotated[
    Path, typer.Option("--output", "-o", metavar="FILE", help="Where the picture goes: .png or .svg.")
]


@plots.command("rate-distance")
def rate_distance(
    presets: PresetsOption = None,
    *,
    settings: SettingsOption = "published",
    changes: ChangesOption = None,
    pulses: PulsesOption = None,
    method: MethodOption = None,
    bound: BoundOption = None,
    attack: AttackOption = None,
    longest: LongestOption = 300.0,
    output: OutputOption = Path("rate-distance.png"),
    as_json: JsonOption = False,
) -> None:
    """Draw secret rate against distance, with the published points of the presets that are drawn."""
    from tokaido.console import _plot  # noqa: PLC0415

    requests = _plot.requests(
        presets or _plot.RATE_PRESETS,
        settings=settings,
        changes=tuple(changes or ()),
        pulses=pulses,
        method=method,
        bound=bound,
        attack=attack,
    )
    _plot.plot_rate_distance(requests, longest, output, as_json=as_json)


@plots.command()
def qber(
    presets: PresetsOption = None,
    *,
    settings: SettingsOption = "published",
    changes: ChangesOption = None,
    pulses: PulsesOption = None,
    method: MethodOption = None,
    bound: BoundOption = None,
    attack: AttackOption = None,
    longest: LongestOption = 200.0,
    output: OutputOption = Path("qber.png"),
    as_json: JsonOption = False,
) -> None:
    """Draw error rates of both bases against distance, and where the key ends."""
    from tokaido.console import _plot  # noqa: PLC0415

    requests = _plot.requests(
        presets or _plot.QBER_PRESETS,
        settings=settings,
        changes=tuple(changes or ()),
        pulses=pulses,
        method=method,
        bound=bound,
        attack=attack,
    )
    _plot.plot_qber(requests, longest, output, as_json=as_json)


@plots.command()
def session(
    preset: Annotated[str, typer.Option(metavar="NAME", help="A preset of decoy-state BB84.")] = "t12",
    *,
    settings: SettingsOption = "published",
    distance: DistanceOption = None,
    loss: Annotated[
        float | None,
        typer.Option(
            parser=number(), metavar="DB", help="Loss of the channel; 14.5 if neither it nor a distance is given."
        ),
    ] = None,
    changes: ChangesOption = None,
    drift: Annotated[str, typer.Option(metavar="KIND", help="The fibre: buried, aerial or calm.")] = "buried",
    pulses: PulsesOption = None,
    method: Annotated[
        str | None, typer.Option(metavar="METHOD", help="lim or lucamarini, if not the preset's.", show_default=False)
    ] = None,
    bound: BoundOption = None,
    hours: Annotated[float, typer.Option(parser=number(), metavar="H", help="How long, from midnight on.")] = 24.0,
    seed: Annotated[int, typer.Option(parser=whole_number(0), help="Seed of drift and counts.")] = 1,
    output: OutputOption = Path("session.png"),
    as_json: JsonOption = False,
) -> None:
    """Draw a day of an emulated link: error rates, rates, states and alarms."""
    from tokaido.console._plot import plot_session  # noqa: PLC0415

    plot_session(
        preset,
        settings=settings,
        distance_km=distance,
        loss_db=14.5 if distance is None and loss is None else loss,
        changes=tuple(changes or ()),
        drift=drift,
        pulses=pulses,
        method=method,
        bound=bound,
        hours=hours,
        seed=seed,
        output=output,
        as_json=as_json,
    )
