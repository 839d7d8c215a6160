"""Of the command line only the command that is asked for is built, and it is the one that all of it would have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import typer

from tokaido.console._app import app
from tokaido.console._one_command import cut

if TYPE_CHECKING:
    from collections.abc import Iterator

WHOLE: Any = typer.main.get_command(app)


def paths(command: Any, above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield every command and group that can be named, with the words that name it."""
    for name, one in getattr(command, "commands", {}).items():
        yield (*above, name), one
        yield from paths(one, (*above, name))


ALL = dict(paths(WHOLE))


def described(command: Any) -> list[Any]:
    """Return what a command does, takes and says of itself."""
    takes = [(type(one), one.name, one.opts, one.required, one.nargs, type(one.type)) for one in command.params]
    called = command.callback and command.callback.__wrapped__
    return [type(command), called, command.help, command.hidden, command.context_settings, *takes]


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_a_command_alone_is_the_one_of_the_whole(path: tuple[str, ...]) -> None:
    alone: Any = typer.main.get_command(cut(app, [*path, "behind"]))
    if not hasattr(ALL[path], "commands"):
        assert len([*paths(alone)]) == len(path)
    for word in path:
        alone = alone.commands[word]
    assert described(alone) == described(ALL[path])


@pytest.mark.parametrize("words", [[], ["nothing"], ["--help"], ["-h", "rate"], ["pki"]])
def test_where_no_command_is_named_all_of_them_are_there(words: list[str]) -> None:
    assert cut(app, words) is app
