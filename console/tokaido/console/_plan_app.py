"""The command `plan`: what can be said, and where it leads."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tokaido.console._number_types import number, whole_number
from tokaido.console._options import JsonOption


def plan(
    file: Annotated[Path, typer.Argument(metavar="LINE.toml", help="The line file.", show_default=False)],
    *,
    failures: Annotated[bool, typer.Option("--failures", help="Show what every single failure does.")] = False,
    picture: Annotated[
        Path | None,
        typer.Option("--plot", metavar="FILE", help="Draw it too, as .png or .svg.", show_default=False),
    ] = None,
    distance: Annotated[
        float | None,
        typer.Option(
            parser=number(0), metavar="KM", help="Only say where repeaters stand on a way so long.", show_default=False
        ),
    ] = None,
    units: Annotated[
        str | None, typer.Option(metavar="NAME", help="With --distance: the units, by the file.", show_default=False)
    ] = None,
    db_per_km: Annotated[
        float, typer.Option("--db-per-km", parser=number(0), metavar="DB", help="With --distance: of its fibre.")
    ] = 0.2,
    extra_db: Annotated[
        float, typer.Option("--extra-db", parser=number(0), metavar="DB", help="With --distance: of a span's ends.")
    ] = 1.0,
    drift_days: Annotated[
        int | None,
        typer.Option(
            "--drift-days",
            parser=whole_number(1),
            metavar="N",
            help="Let every link drift for N days, and tell what comes of it.",
            show_default=False,
        ),
    ] = None,
    seed: Annotated[int, typer.Option(parser=whole_number(0), help="With --drift-days: seed of the drift.")] = 1,
    scheduler: Annotated[
        str | None,
        typer.Option(
            metavar="tcp://HOST:PORT",
            help="With --drift-days: a scheduler of Dask whose workers do it; tls:// too.",
            show_default=False,
        ),
    ] = None,
    scheduler_ca: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="For tls://: certificate of its authority.", show_default=False),
    ] = None,
    scheduler_cert: Annotated[
        Path | None, typer.Option(metavar="FILE", help="For tls://: certificate of this client.", show_default=False)
    ] = None,
    scheduler_key: Annotated[
        Path | None, typer.Option(metavar="FILE", help="For tls://: key of this client.", show_default=False)
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Calculate what a line gives before it is built. Exit code: 0 fine, 2 mistakes in the file, 3 the line lacks."""
    from tokaido.console import _plan  # noqa: PLC0415

    if distance is not None:
        raise typer.Exit(_plan.show_repeaters(file, distance, units, db_per_km, extra_db, as_json=as_json))
    sweep = None
    if drift_days is not None:
        sweep = _plan.Sweep(drift_days, seed, scheduler, scheduler_ca, scheduler_cert, scheduler_key)
    raise typer.Exit(_plan.show_plan(file, failures=failures, picture=picture, sweep=sweep, as_json=as_json))
