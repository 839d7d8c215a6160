"""The command that is asked for, built without the others: to build all of them takes a third of a short command."""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    import typer


def cut(app: typer.Typer, words: Sequence[str]) -> typer.Typer:
    """Return `app` with nothing but the command that `words` begin with; all of it, if they begin with none."""
    if not words:
        return app
    word, *behind = words
    one = copy(app)
    one.registered_commands = [it for it in app.registered_commands if _name(it.name, it.callback) == word]
    one.registered_groups = []
    for group in app.registered_groups:
        below, named = group.typer_instance, isinstance(group.name, str)
        if below is None or (named and group.name != word):
            continue
        its = copy(group)
        its.typer_instance = cut(below, behind if named else words)
        if named or its.typer_instance is not below:
            one.registered_groups.append(its)
    return one if one.registered_commands or one.registered_groups else app


def _name(given: str | None, callback: Callable[..., Any] | None) -> str | None:
    """Return what Typer calls a command."""
    return given or (callback.__name__.lower().replace("_", "-") if callback else None)
