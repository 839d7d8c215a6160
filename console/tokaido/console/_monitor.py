"""The command `monitor`: values again and again, as lines, a table, sparklines or a plot."""

from __future__ import annotations

import math
import sys
from collections import deque
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import tokaido.hal as hal
from tokaido.console._devices import opened
from tokaido.console._output import on_terminal, print_error, print_json, terminal
from tokaido.console._readings import quantity
from tokaido.console._values import Sample, sample_table, take

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from rich.console import RenderableType

    from tokaido.console._monitor_plot import LivePlot

BLOCKS: Final = "▁▂▃▄▅▆▇█"
SPARKS: Final = 30
"""How many readings a sparkline shows."""


def monitor(
    device_text: str,
    wanted: Sequence[str],
    *,
    interval: float,
    count: int | None,
    plot: bool = False,
    output: Path | None = None,
    sparklines: bool = False,
    as_json: bool,
    trace: bool,
) -> int:
    """Show values again and again until Ctrl-C, or `count` times; 1 if the last time failed.

    A device that does not answer is reported and asked again.
    """
    if output is not None and not plot:
        raise hal.ConfigurationError("there is a file for a plot, and no plot", remedy="Add --plot")
    on_screen = on_terminal() and not as_json
    if sparklines and not on_screen:
        raise hal.ConfigurationError("sparklines are for a terminal", remedy="Leave --sparklines out")
    with ExitStack() as stack:
        device = stack.enter_context(opened(device_text, trace=trace))
        take(device, wanted)  # a misspelt name ends it here
        picture: LivePlot | None = None
        if plot:
            from tokaido.console._monitor_plot import LivePlot  # noqa: PLC0415 - matplotlib, when first needed

            picture = stack.enter_context(closing(LivePlot(device, wanted, output)))
        show = stack.enter_context(_Screen(device.name, sparklines)) if on_screen else _Lines(as_json)
        clock, failed = hal.SYSTEM_CLOCK, False
        begun_ns = clock.monotonic_ns()
        for round_ in _rounds(interval, count, picture):
            try:
                sample = take(device, wanted)
            except hal.TransportError as error:
                failed, sample = True, Sample({}, {})
                show.fail(round_, error)
            else:
                failed = False
                show.show(sample)
            if picture is not None:
                picture.add((clock.monotonic_ns() - begun_ns) / hal.NS_PER_S, sample.readings)
    return int(failed)


def _rounds(interval: float, count: int | None, picture: LivePlot | None) -> Iterator[int]:
    """Yield round numbers from 1, one each `interval` s, until a person closes the window."""
    wait: Callable[[float], object] = hal.SYSTEM_CLOCK.wait if picture is None else picture.wait
    start_ns, round_ = hal.SYSTEM_CLOCK.monotonic_ns(), 0
    while count is None or round_ < count:
        if round_:
            due_s = round_ * interval - (hal.SYSTEM_CLOCK.monotonic_ns() - start_ns) / hal.NS_PER_S
            wait(max(due_s, 0.0))
        if picture is not None and picture.closed:
            return
        round_ += 1
        yield round_


class _Lines:
    """A line a round, for programs."""

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json

    def show(self, sample: Sample) -> None:
        """Print one round."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        if self._as_json:
            print_json({"utc": now, **sample.record()}, compact=True)
            return
        fields = [f"{path}={state}" for path, state in sample.states.items()]
        fields += [f"{path}={quantity(reading)}" for path, reading in sample.readings.items()]
        if sample.connections is not None:
            pairs = ",".join(f"{source}:{target}" for source, target in sorted(sample.connections.items()))
            fields.append(f"map={pairs or 'empty'}")
        print(now, *fields, flush=True)

    def fail(self, round_: int, error: hal.TransportError) -> None:  # noqa: ARG002 - as `_Screen`
        """Report a round without answer."""
        if self._as_json:
            print_error(error, as_json=True)
        else:
            print(datetime.now(UTC).isoformat(timespec="milliseconds"), error, file=sys.stderr, flush=True)


class _Screen:
    """A table that changes in place, for people."""

    def __init__(self, name: str, sparklines: bool) -> None:
        from rich.live import Live  # noqa: PLC0415 - for people alone

        self._name = name
        self._screen = terminal()
        self._live = Live(console=self._screen, auto_refresh=False, vertical_overflow="crop")
        self._last: RenderableType = ""
        self._courses: dict[str, deque[float]] | None = {} if sparklines else None

    def __enter__(self) -> _Screen:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def show(self, sample: Sample) -> None:
        """Show one round."""
        sparks: dict[str, str] | None = None
        if self._courses is not None:
            for path, reading in sample.readings.items():
                value = reading.value
                known = self._courses.setdefault(path, deque(maxlen=SPARKS))
                known.append(float(value) if isinstance(value, (int, float)) else math.nan)
            sparks = {path: sparkline(known) for path, known in self._courses.items()}
        width, most = self._screen.width, max(self._screen.height - 8, 1)
        self._last = sample_table(sample, self._name, width, most=most, sparks=sparks)
        self._live.update(self._last, refresh=True)

    def fail(self, round_: int, error: hal.TransportError) -> None:
        """Show a round without answer, above what was known before."""
        from rich.console import Group  # noqa: PLC0415 - for people alone
        from rich.text import Text  # noqa: PLC0415 - as above

        for known in (self._courses or {}).values():
            known.append(math.nan)
        self._live.update(Group(Text(f"round {round_}: {error}", style="bold red"), self._last), refresh=True)


def sparkline(values: Iterable[float]) -> str:
    """Return numbers as blocks of eight heights, from the least to the greatest; a blank where there is none."""
    numbers = list(values)
    known = [number for number in numbers if math.isfinite(number)]
    if not known:
        return " " * len(numbers)
    low, span = min(known) / 2, max(known) / 2 - min(known) / 2  # halves: a difference may be too large for a float

    def block(number: float) -> str:
        if not math.isfinite(number):
            return " "
        if not span:
            return BLOCKS[3]
        return BLOCKS[min(int((number / 2 - low) / span * len(BLOCKS)), len(BLOCKS) - 1)]

    return "".join(map(block, numbers))
