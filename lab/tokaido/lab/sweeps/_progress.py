"""How far a sweep is, for the person who waits for it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Generator


@contextmanager
def progress_shown(points: int, shown: bool | None) -> Generator[Callable[[str], None]]:
    """Give what is called after each point with a few words on it; the bar is on stderr.

    Args:
        points: How many there are.
        shown: Whether there is a bar at all. None: if a person watches.
    """
    from rich.console import Console  # noqa: PLC0415 - 50 ms

    console = Console(stderr=True, highlight=False)
    if not (console.is_terminal if shown is None else shown):
        yield lambda _words: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415

    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.description}", markup=False))
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("", total=points)
        yield lambda words: bar.update(task, advance=1, description=words)
