"""How results and errors are shown: tables for people, plain lines or JSON for programs."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console
    from rich.table import Table

    from tokaido.hal import TokaidoError


@contextlib.contextmanager
def standing_output() -> Iterator[None]:
    """Give the process an output and an error output while the context lasts, if it was started with one closed."""
    with contextlib.ExitStack() as stack:
        for name in ("stdout", "stderr"):
            if getattr(sys, name) is None:
                nowhere = stack.enter_context(Path(os.devnull).open("w", encoding="utf-8"))
                setattr(sys, name, nowhere)
                stack.callback(setattr, sys, name, None)
        yield


def report(error: Exception, *, as_json: bool = False) -> int | None:
    """Print one of our errors to stderr and return the exit code for it; None if it is none of ours."""
    import tokaido.hal as hal  # noqa: PLC0415 - for what goes wrong alone

    if not isinstance(error, hal.TokaidoError):
        if not isinstance(error, OSError) or error.filename is not None:
            return None
        drop_output()  # files of ours fail with an error of ours, so this is the output
        if not isinstance(error, BrokenPipeError):  # whose reader has all that it wants
            print_error(hal.TokaidoError(f"the output cannot be written: {error.strerror}"), as_json=as_json)
        return 1
    print_error(error, as_json=as_json)
    return _code(error)


def print_error(error: TokaidoError, *, as_json: bool) -> None:
    """Print one of our errors to stderr: as a sentence, or as one JSON object on one line."""
    if as_json:
        told = {
            name: _plain(value)
            for name, value in vars(error).items()
            if name[:1] != "_" and value not in ("", None, ())
        }
        print_json_error({"type": type(error).__name__, "message": str(error), **told, "exit_code": _code(error)})
        return
    mark = "\033[1;31merror:\033[0m" if sys.stderr.isatty() and "NO_COLOR" not in os.environ else "error:"
    print(mark, error, file=sys.stderr, flush=True)


def print_json_error(error: Mapping[str, object]) -> None:
    """Print what went wrong to stderr as `{"error": {...}}`, on one line."""
    print(json.dumps({"error": error}, ensure_ascii=False), file=sys.stderr, flush=True)


def _code(error: TokaidoError) -> int:
    import tokaido.hal as hal  # noqa: PLC0415 - for what goes wrong alone

    return 2 if isinstance(error, hal.ConfigurationError) else 1


def _plain(value: object) -> object:
    """Return what an error has in it, ready for JSON: what is neither a number nor a text nor made of such, as text."""
    from dataclasses import fields, is_dataclass  # noqa: PLC0415 - for what goes wrong alone

    if isinstance(value, Enum):
        return value.value
    if isinstance(value, (bool, int, float, str)) or value is None:
        return value
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (tuple, list, frozenset)):
        return [_plain(item) for item in value]
    if is_dataclass(value):
        return {member.name: _plain(getattr(value, member.name)) for member in fields(value)}
    return str(value)


def drop_output() -> None:
    """Let what is still printed go nowhere: text in the buffer would fail once more when Python ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def on_terminal() -> bool:
    """Whether a person watches what is printed."""
    return sys.stdout.isatty()


def terminal() -> Console:
    """Return the terminal, for tables and progress."""
    from rich.console import Console  # noqa: PLC0415 - programs do without

    return Console(highlight=False)


def print_json(value: object, *, compact: bool = False) -> None:
    """Print one JSON value: indented, or on one line."""
    print(json.dumps(value, ensure_ascii=False, allow_nan=False, indent=None if compact else 2), flush=True)


def tell(sentence: str, facts: Mapping[str, object], *, as_json: bool) -> None:
    """Print a sentence, or the facts in it as one JSON object on one line: for commands that go on for a while."""
    if as_json:
        print_json(facts, compact=True)
    else:
        print(sentence, flush=True)


def try_to_tell(sentence: str, facts: Mapping[str, object], *, as_json: bool) -> None:
    """Tell something if there is still a terminal to tell it to; else the command goes on without an output."""
    try:
        tell(sentence, facts, as_json=as_json)
    except OSError:
        drop_output()


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]], *, title: str = "") -> None:
    """Print a table to a terminal, or its rows as lines of fields with a tab between them."""
    if on_terminal():
        grid = table(*columns, title=title)
        for row in rows:
            grid.add_row(*(escaped(field) for field in row))
        terminal().print(grid)
    else:
        for row in rows:
            print("\t".join(row))


def print_facts(facts: Sequence[tuple[str, str]]) -> None:
    """Print names and what they stand for; long texts are wrapped beneath themselves on a terminal."""
    if on_terminal():
        from rich.table import Table  # noqa: PLC0415

        grid = Table.grid(padding=(0, 2, 0, 0))
        for name, fact in facts:
            grid.add_row(f"  {escaped(name)}", escaped(fact))
        grid.columns[1].overflow = "fold"
        terminal().print(grid)
    else:
        width = max(len(name) for name, _ in facts)
        for name, fact in facts:
            print(f"  {name:{width}}  {fact}")


def print_paragraph(text: str) -> None:
    """Print one paragraph, wrapped on a terminal."""
    if on_terminal():
        terminal().print(text, markup=False)
    else:
        print(text)


def table(*columns: str, title: str = "", whole: int = 0) -> Table:
    """Return an empty table in the style of all our tables; it folds long words where the terminal is narrow.

    The first `whole` columns are never folded: what the terminal lacks in width is taken from the others.
    """
    from rich import box  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    grid = Table(
        box=box.SIMPLE_HEAD,
        title=title or None,
        title_justify="left",
        title_style="",
        padding=(0, 1, 0, 0),
        collapse_padding=True,
        pad_edge=False,
        header_style="bold",
    )
    for index, column in enumerate(columns):
        grid.add_column(column, overflow="fold", no_wrap=index < whole)
    return grid


def escaped(text: str) -> str:
    """Return text in which rich sees no markup: `detectors[0].bias` stays what it is."""
    from rich.markup import escape  # noqa: PLC0415

    return escape(text)


# --- values and readings ----------------------------------------------------------------------------------------------


def number(value: object) -> str:
    """Return a value as people read it: six significant digits, words and flags as they are."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e12 else f"{value:.6g}"
    return str(getattr(value, "value", value))
