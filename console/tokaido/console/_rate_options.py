"""Options that the commands about the link model have in common."""

from __future__ import annotations

from typing import Annotated

import typer

from tokaido.console._number_types import number

PRESET_HELP = "A published or assumed system: t12, gys and others; a wrong name lists them."
SettingsOption = Annotated[
    str,
    typer.Option(
        metavar="SETTINGS", help="Of the source: published, or, where there are any, short-block, megabit-block."
    ),
]
DistanceOption = Annotated[
    float | None,
    typer.Option(parser=number(), metavar="KM", help="Length of the fibre, at the preset's dB/km.", show_default=False),
]
LossOption = Annotated[
    float | None,
    typer.Option(
        parser=number(), metavar="DB", help="Loss of the channel, in place of a distance.", show_default=False
    ),
]
ChangesOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="FIELD=VALUE", help="Change a link parameter, tuples as a,b,c. Repeatable.", show_default=False
    ),
]
PulsesOption = Annotated[
    float | None,
    typer.Option(
        parser=number(),
        metavar="N",
        help="Pulses sent in one block, if not those of the parameters.",
        show_default=False,
    ),
]
MethodOption = Annotated[
    str | None,
    typer.Option(
        metavar="METHOD",
        help="lim, lucamarini, asymptotic or infinite-decoys; other protocols have their own alone.",
        show_default=False,
    ),
]
BoundOption = Annotated[
    str | None,
    typer.Option(
        metavar="BOUND",
        help="chernoff or hoeffding, for lucamarini also gaussian, for lim also lp; else the method's.",
        show_default=False,
    ),
]
AttackOption = Annotated[
    str | None,
    typer.Option(
        metavar="ATTACK", help="intercept-resend=0.1:basis=z, photon-number-splitting=0.5.", show_default=False
    ),
]
