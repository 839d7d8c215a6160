"""What a person sees while the demonstration runs: a live table on a terminal, plain lines elsewhere."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import tokaido.hal as hal
from tokaido.console._output import on_terminal, terminal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console, RenderableType
    from rich.live import Live

    from tokaido.console._demo_link import Progress, View

LINE_EVERY_S: Final = 2.0


@contextmanager
def open_view(*, silent: bool) -> Iterator[View]:
    """Open the view that fits where the output goes; a silent one shows nothing."""
    if silent:
        yield SilentView()
    elif on_terminal():
        from rich.live import Live  # noqa: PLC0415

        screen = terminal()
        with Live(console=screen, refresh_per_second=8, transient=False, vertical_overflow="crop") as live:
            yield LiveView(live, screen)
    else:
        yield PlainView()


class SilentView:
    """Shows nothing: for programs."""

    def say(self, text: str) -> None:
        """Show nothing."""

    def update(self, progress: Progress) -> None:
        """Show nothing."""


class PlainView:
    """One line when something changes, and every 2 s."""

    def __init__(self) -> None:
        self._clock = hal.SYSTEM_CLOCK
        self._last: tuple[str, str, str, int] = ("", "", "", 0)
        self._next = hal.Deadline(self._clock, 0)

    def say(self, text: str) -> None:
        """Print one paragraph."""
        print(text, flush=True)

    def update(self, progress: Progress) -> None:
        """Print a line if something changed or the last one is 2 s old."""
        now = progress.step, progress.transmitter_state, progress.receiver_state, progress.drawn
        if now == self._last and not self._next.passed:
            return
        self._last = now
        self._next = hal.Deadline(self._clock, LINE_EVERY_S)
        words = [
            progress.step,
            f"{progress.transmitter or 'transmitter'} {progress.transmitter_state}",
            f"{progress.receiver or 'receiver'} {progress.receiver_state}",
        ]
        if progress.emulated_s:
            words += [f"{name} {value}" for name, value in figures(progress) if value != "-"]
        print("; ".join(words), flush=True)


class LiveView:
    """A table that is redrawn in place, and a bar that fills with emulated time."""

    def __init__(self, live: Live, screen: Console) -> None:
        self._live = live
        self._screen = screen

    def say(self, text: str) -> None:
        """Print one paragraph above the table."""
        self._screen.print(text, markup=False)

    def update(self, progress: Progress) -> None:
        """Redraw the table."""
        self._live.update(_picture(progress))


def figures(progress: Progress) -> list[tuple[str, str]]:
    """Return the figures of a link, each with its name and unit of measure."""
    speed = progress.emulated_s / progress.exchange_wall_s if progress.exchange_wall_s else 0.0
    return [
        ("loss", "-" if progress.loss_db is None else f"{progress.loss_db:.1f} dB"),
        ("QBER", "-" if progress.qber is None else f"{100 * progress.qber:.2f} %"),
        ("sifted", rate(progress.sifted_bps)),
        ("secret", rate(progress.secret_bps)),
        ("blocks", f"{progress.drawn} of {progress.wanted}"),
        ("emulated", f"{progress.emulated_s:.1f} s" + (f", {speed:.1f} x real time" if speed else "")),
    ]


def rate(bps: float | None) -> str:
    """Return a rate in kb/s, or a dash."""
    return "-" if bps is None else f"{bps / 1000:.1f} kb/s"


_COLOURS: Final = {"RUN": "green", "TRACK": "green", "STANDBY": "cyan", "DEGRADED": "yellow"}


def _picture(progress: Progress) -> RenderableType:
    from rich.console import Group  # noqa: PLC0415
    from rich.progress_bar import ProgressBar  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    units = Table.grid(padding=(0, 2))
    for side, serial, state in (
        ("transmitter", progress.transmitter, progress.transmitter_state),
        ("receiver", progress.receiver, progress.receiver_state),
    ):
        colour = "red" if state in ("FAULT", "SECURITY_HOLD") else _COLOURS.get(state, "")
        units.add_row(side, serial or "-", Text(state or "-", style=colour))
    numbers = Table.grid(padding=(0, 2))
    for name, value in figures(progress):
        numbers.add_row(Text(name, style="dim"), value)
    parts: list[RenderableType] = [Text(""), Text(progress.step, style="bold"), units, numbers]
    if progress.expected_s:
        done = progress.step == "done"
        bar = Table.grid(padding=(0, 2))
        share = progress.expected_s if done else min(progress.emulated_s, progress.expected_s)
        bar.add_row(
            Text("key", style="dim"),
            ProgressBar(total=progress.expected_s, completed=share, width=40),
            f"about {progress.expected_s:.0f} emulated s",
        )
        parts.append(bar)
    return Group(*parts)
