"""The commands `record` and `replay`: what goes over a wire, written down, and served again as the device."""

from __future__ import annotations

import contextlib
import math
from pathlib import Path
from typing import TYPE_CHECKING, Final

import tokaido.hal as hal
from tokaido.console._devices import opened, parse_device
from tokaido.console._output import tell, try_to_tell
from tokaido.console._signals import terminated_as_interrupt

if TYPE_CHECKING:
    from tokaido.emulators.transcripts import Order, Terminal


_ENDS: Final = "Ctrl-C ends it"


def record(
    device_text: str, output: Path, *, serve: bool, link: Path | None, seconds: float | None, as_json: bool
) -> None:
    """Write down what a device says to its driver or, with `serve`, to any other program.

    Raises:
        ConfigurationError: The file is there already, or the device is not on a serial line and is to be served.
    """
    from tokaido.emulators.transcripts import Recorded, Recorder, Terminal  # noqa: PLC0415 - when first needed
    from tokaido.hal.transports import RawStream, transport_kind  # noqa: PLC0415

    entry = parse_device(device_text)
    way = entry.resources["control"]
    on_a_line = transport_kind(way.kind).serial_line(way.address, {}) is not None
    if (serve or link is not None) and not on_a_line:
        raise hal.ConfigurationError(
            f"{entry.name} is not on a serial line, and a plain port here would be open to everybody",
            remedy="Leave --serve out, or give a Recorder to `open` as its `trace` in the program itself",
        )
    with Recorder(output, driver=entry.driver, transport=str(way), serial_line=on_a_line) as recorder:
        try:
            if serve or link is not None:
                with RawStream(way) as stream, Terminal(Recorded(stream, recorder), link) as terminal:
                    tell(
                        f"{entry.name} is at {terminal.resource} now, and all that passes goes to {output}\n{_ENDS}",
                        {"event": "recording", "resource": str(terminal.resource), "file": str(output)},
                        as_json=as_json,
                    )
                    _serve(terminal, seconds)
            else:
                with opened(device_text, sink=recorder) as device:
                    told = device.snapshot()
                for mistake in told["errors"]:
                    tell(f"error: {mistake}", {"event": "error", "message": mistake}, as_json=as_json)
        finally:
            recorder.close()
            facts = {"event": "ended", "file": str(output), "records": recorder.records}
            try_to_tell(f"{recorder.records} records in {output}", facts, as_json=as_json)


def replay(file: Path, *, link: Path | None, order: Order, paced: bool, seconds: float | None, as_json: bool) -> None:
    """Serve a transcript as the device, on a pseudo-terminal.

    Raises:
        ConfigurationError: The file is not a transcript, or the link cannot be made.
    """
    from tokaido.emulators.transcripts import (  # noqa: PLC0415 - when first needed
        Replayed,
        ReplayPort,
        Terminal,
        Transcript,
        script_of,
    )

    transcript = Transcript.from_file(file)
    missed: set[bytes] = set()
    script = script_of(transcript, order, missed=missed.add)
    port = ReplayPort(script, hal.SYSTEM_CLOCK, paced=paced)
    with Terminal(Replayed(port), link) as terminal:
        driver = transcript.driver or "DRIVER"
        tell(
            f"{len(script.exchanges)} exchanges of {driver}, recorded {transcript.recorded_utc or 'some time'}\n"
            f"in another terminal: tokaido identify {driver}@{terminal.resource}\n{_ENDS}",
            {
                "event": "replaying",
                "resource": str(terminal.resource),
                "driver": transcript.driver,
                "recorded_utc": transcript.recorded_utc,
                "exchanges": len(script.exchanges),
            },
            as_json=as_json,
        )
        _serve(terminal, seconds)
    for line in sorted(missed):
        try_to_tell(f"not in the transcript: {line!r}", {"event": "missing", "line": repr(line)}, as_json=as_json)


def _serve(terminal: Terminal, seconds: float | None) -> None:
    with terminated_as_interrupt(), contextlib.suppress(KeyboardInterrupt):
        terminal.serve(math.inf if seconds is None else seconds)
