"""The command `log`: what can be said, and where it leads."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from tokaido.console._number_types import number, period, whole_number
from tokaido.console._options import LinesOption


class LogFormat(StrEnum):
    """How rows are written."""

    CSV = "csv"
    JSON_LINES = "jsonl"
    PARQUET = "parquet"


def log(
    station: Annotated[Path, typer.Argument(metavar="STATION", help="A station file.", show_default=False)],
    values: Annotated[
        list[str] | None,
        typer.Argument(metavar="VALUE", help="alice, or alice.laser_power; all of every device if none is named."),
    ] = None,
    *,
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="FILE", help="A log, new or to go on with: .csv, .jsonl or .parquet."),
    ],
    interval: Annotated[
        float, typer.Option(parser=number(0.01), help="Seconds from one poll of a device to the next.")
    ] = 1.0,
    form: Annotated[
        LogFormat | None,
        typer.Option("--format", help="How rows are written, if the file's name does not say.", show_default=False),
    ] = None,
    duration: Annotated[
        float | None, typer.Option(parser=number(0), help="End after so many seconds.", show_default=False)
    ] = None,
    count: Annotated[
        int | None,
        typer.Option(parser=whole_number(1), help="End after so many polls of each device.", show_default=False),
    ] = None,
    rotate: Annotated[
        float | None,
        typer.Option("--rotate-mb", parser=number(0.001), help="Begin a new file at this size.", show_default=False),
    ] = None,
    rotate_every: Annotated[
        float | None,
        typer.Option(parser=period(), help="Begin a new file each 1h, 1d, ... of UTC.", show_default=False),
    ] = None,
    as_json: LinesOption = False,
) -> None:
    """Log the telemetry of a station's devices to a file, until Ctrl-C."""
    from tokaido.console._log import run_log  # noqa: PLC0415

    raise typer.Exit(
        run_log(
            station,
            values or [],
            output,
            interval=interval,
            form="" if form is None else form.value,
            duration=duration,
            count=count,
            rotate_mb=rotate,
            rotate_every=rotate_every,
            as_json=as_json,
        )
    )
