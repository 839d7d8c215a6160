"""What a person sees of a line in a terminal: a table of spans that is redrawn in place, or a line now and then."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

import tokaido.hal as hal
from tokaido.console._output import on_terminal, table, terminal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console, RenderableType
    from rich.live import Live

LINE_EVERY_S: Final = 5.0
COLUMNS: Final = ("span", "km", "dB", "units", "state", "QBER", "secret", "stock", "speed")


@dataclass(frozen=True, slots=True)
class SpanRow:
    """A span, as it is shown."""

    name: str
    length_km: float
    loss_db: float
    style: str
    state: str
    level: str
    """fine, waiting or broken"""
    qber: float | None
    secret_bps: float | None
    stock_bits: int
    speed: float | None

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields of its row."""
        return (
            self.name,
            f"{self.length_km:.1f}",
            f"{self.loss_db:.1f}",
            self.style,
            self.state,
            "-" if self.qber is None else f"{100 * self.qber:.1f} %",
            "-" if not self.secret_bps else f"{self.secret_bps / 1000:.0f} kb/s",
            f"{self.stock_bits / 1e6:.2f} Mbit" if self.stock_bits else "-",
            "-" if self.speed is None else f"{self.speed:.2g} x",
        )


class LineView(Protocol):
    """Where a line is shown."""

    def say(self, text: str) -> None:
        """Show a paragraph."""

    def show(self, spans: Sequence[SpanRow], summary: str) -> None:
        """Show all spans, and a sentence on the whole."""


@contextmanager
def open_line_view(*, silent: bool) -> Iterator[LineView]:
    """Open the view that fits where the output goes; a silent one shows nothing."""
    if silent:
        yield _Silent()
    elif on_terminal():
        from rich.live import Live  # noqa: PLC0415

        screen = terminal()
        with Live(console=screen, auto_refresh=False, transient=False, vertical_overflow="crop") as live:
            yield _OnTerminal(live, screen)
    else:
        yield _Plain()


class _Silent:
    def say(self, text: str) -> None:
        del text

    def show(self, spans: Sequence[SpanRow], summary: str) -> None:
        del spans, summary


class _Plain:
    def __init__(self) -> None:
        self._last = ""
        self._next = hal.Deadline(hal.SYSTEM_CLOCK, 0)

    def say(self, text: str) -> None:
        print(text, flush=True)

    def show(self, spans: Sequence[SpanRow], summary: str) -> None:
        del spans
        if summary != self._last and self._next.passed:
            print(summary, flush=True)
            self._last = summary
            self._next = hal.Deadline(hal.SYSTEM_CLOCK, LINE_EVERY_S)


_STYLES: Final = {"fine": "green", "waiting": "", "broken": "red"}


class _OnTerminal:
    def __init__(self, live: Live, screen: Console) -> None:
        self._live = live
        self._screen = screen

    def say(self, text: str) -> None:
        self._screen.print(text, markup=False)

    def show(self, spans: Sequence[SpanRow], summary: str) -> None:
        self._live.update(_picture(spans, summary), refresh=True)


def _picture(spans: Sequence[SpanRow], summary: str) -> RenderableType:
    grid = table(*COLUMNS, whole=1)
    for span in spans:
        grid.add_row(*span.fields, style=_STYLES[span.level])
    grid.caption = summary
    return grid
