"""The command `log`: the telemetry of a station, in a file."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast

import tokaido.hal as hal
from tokaido.console._output import tell, try_to_tell
from tokaido.console._signals import terminated_as_interrupt
from tokaido.lab.logs import log_telemetry

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tokaido.lab.logs import Format


def run_log(
    file: Path,
    values: Sequence[str],
    output: Path,
    *,
    interval: float,
    form: str,
    duration: float | None,
    count: int | None,
    rotate_mb: float | None,
    rotate_every: float | None,
    as_json: bool,
) -> int:
    """Log until Ctrl-C, SIGTERM or SIGHUP, or as long as is said; 1 if no device answered.

    Raises:
        ConfigurationError: A device or value does not exist, or the file is not a log.
        TokaidoError: The file cannot be written.
    """
    station = hal.Station.from_file(file)
    station.on_exit = "keep"
    with terminated_as_interrupt(), station:
        told = f"logging {', '.join(values) or station.name} to {output}; Ctrl-C ends it"
        facts = {"event": "logging", "station": station.name, "values": list(values), "file": str(output)}
        tell(told, facts, as_json=as_json)
        done = log_telemetry(
            station,
            output,
            interval=interval,
            values=values,
            format=cast("Format", form),
            duration=duration,
            count=count,
            rotate_bytes=None if rotate_mb is None else round(rotate_mb * 1e6),
            rotate_every=rotate_every,
            on_gap=_tell,
        )
    words = [f"{done.rows} rows", f"{done.polls} polls", f"{done.gaps} gaps"]
    words += [f"{done.skipped} polls left out"] if done.skipped else []
    full = [str(path) for path in done.rotated]
    counted = {"rows": done.rows, "polls": done.polls, "gaps": done.gaps, "skipped": done.skipped}
    try_to_tell(
        "\n".join([*(f"{path}: full" for path in full), f"{output}: {', '.join(words)}"]),
        {"event": "ended", "file": str(output), "full": full, **counted},
        as_json=as_json,
    )
    return 0 if done.polls else 1


def _tell(what: str) -> None:
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    try:
        print(now, what, file=sys.stderr, flush=True)
    except OSError:  # the terminal is gone, and the log goes on
        return
