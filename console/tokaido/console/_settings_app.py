"""The commands `settings ...`: what can be said, and where it leads."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tokaido.console._options import JsonOption, TargetArgument, TraceOption

settings = typer.Typer(
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Save the settings of devices to a file, compare them with it, and restore them.",
)

FileArgument = Annotated[
    Path, typer.Argument(metavar="FILE", help="What `tokaido settings save` wrote.", show_default=False)
]


@settings.command()
def save(
    target: TargetArgument,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write to a file.", show_default=False)
    ] = None,
    as_json: JsonOption = False,
    trace: TraceOption = False,
) -> None:
    """Ask for what can be set, and write it down as TOML."""
    from tokaido.console import _settings  # noqa: PLC0415

    _settings.save(target, output, as_json=as_json, trace=trace)


@settings.command()
def diff(target: TargetArgument, file: FileArgument, as_json: JsonOption = False, trace: TraceOption = False) -> None:
    """Show where devices differ from a file; exit code 1 if they do."""
    from tokaido.console import _settings  # noqa: PLC0415

    raise typer.Exit(_settings.diff(target, file, as_json=as_json, trace=trace))


@settings.command()
def restore(
    target: TargetArgument,
    file: FileArgument,
    *,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Set it. Default: show what would be set.")] = False,
    other_device: Annotated[
        bool, typer.Option("--other-device", help="Take another driver, model or serial number than was saved.")
    ] = False,
    as_json: JsonOption = False,
    trace: TraceOption = False,
) -> None:
    """Show what would be set and in which order; with --yes, set it and read it back."""
    from tokaido.console import _settings  # noqa: PLC0415

    raise typer.Exit(_settings.restore(target, file, yes=yes, other_device=other_device, as_json=as_json, trace=trace))
