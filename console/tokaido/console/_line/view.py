"""What a person sees of a line in a terminal: a table of spans that is redrawn in place, or a line now and then."""

from __future__ import annotations

import threading
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

import tokaido.hal as hal
from tokaido.console._output import on_terminal, table, terminal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager

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
    runs: bool
    """Whether it makes key."""
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

    def still(self) -> AbstractContextManager[None]:
        """Show no spans within the context, so that what is printed there stays on the screen."""
        ...


@contextmanager
def open_line_view(*, silent: bool) -> Iterator[LineView]:
    """Open the view that fits where the output goes; a silent one shows nothing."""
    if silent:
        yield _Silent()
    elif on_terminal():
        view = _OnTerminal(terminal())
        try:
            yield view
        finally:
            view.end()
    else:
        yield _Plain()


class _Silent:
    def say(self, text: str) -> None:
        del text

    def show(self, spans: Sequence[SpanRow], summary: str) -> None:
        del spans, summary

    def still(self) -> AbstractContextManager[None]:
        return nullcontext()


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

    def still(self) -> AbstractContextManager[None]:
        return nullcontext()


class _OnTerminal:
    def __init__(self, screen: Console) -> None:
        self._screen = screen
        self._drawing = threading.Lock()
        self._live: Live | None = None

    def say(self, text: str) -> None:
        self._screen.print(text, markup=False)

    def show(self, spans: Sequence[SpanRow], summary: str) -> None:
        if self._drawing.acquire(blocking=False):  # it is called in the thread of the watch, again and again
            try:
                self._begun().update(_picture(spans, summary), refresh=True)
            finally:
                self._drawing.release()

    @contextmanager
    def still(self) -> Iterator[None]:
        with self._drawing:
            self.end()
            yield

    def end(self) -> None:
        """Leave what is drawn where it is."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _begun(self) -> Live:
        from rich.live import Live  # noqa: PLC0415

        if self._live is None:  # one that was stopped would go up by its old height, over what was printed since
            self._live = Live(console=self._screen, auto_refresh=False, vertical_overflow="crop")
            self._live.start()
        return self._live


def _picture(spans: Sequence[SpanRow], summary: str) -> RenderableType:
    grid = table(*COLUMNS, whole=1)
    for span in spans:
        grid.add_row(*span.fields, style="green" if span.runs else "")
    grid.caption = summary
    return grid
