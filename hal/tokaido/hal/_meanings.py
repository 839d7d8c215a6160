"""What a declared value means, for `help` and notebooks: the sentence below its declaration, and what it declares."""

from __future__ import annotations

import ast
import inspect
import textwrap
from enum import Enum
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokaido.hal._values import Measured


def description(value: Measured[Any]) -> str:
    """Return meaning, kind, unit, range, limits and states of a value, in lines."""
    kind = "Setting" if value.writable else "Measured, read-only"
    unit = f" in {value.unit}" if value.unit else ""
    takes = range_of(value)
    lines = [f"{kind}: {value.kind.__name__}{unit}{f', {takes}' if takes else ''}."]
    lines += [f"{name} limits: {span(limits)} {value.unit}".rstrip() + "." for name, limits in _limits(value) if limits]
    if value.calibration is not None:
        lines.append(f"Calibrated: {value.calibration}.")
    if value.states:
        order = list(type(next(iter(value.states))))
        lines.append(f"Can be set in {', '.join(str(s.value) for s in sorted(value.states, key=order.index))}.")
    if value.unsupported:
        lines.append(f"Not here: {value.unsupported}.")
    return "\n".join([value.meaning, "", *lines] if value.meaning else lines)


def meaning(owner: type[object] | None, name: str) -> str:
    """Return the sentence below the declaration of a value in its class or the nearest base that has one."""
    found = (sentences(base).get(name, "") for base in (owner.__mro__ if owner is not None else ()))
    return next(filter(None, found), "")


@cache
def sentences(owner: type[object]) -> Mapping[str, str]:
    """Return the first line of each text below a declaration of this very class; none where its source is away."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(owner))).body[0]
    except (OSError, TypeError, SyntaxError, IndexError):
        return {}
    body = getattr(tree, "body", [])
    found: dict[str, str] = {}
    for statement, below in pairwise(body):
        target = getattr(statement, "target", None) or next(iter(getattr(statement, "targets", ())), None)
        if isinstance(target, ast.Name) and isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant):
            found[target.id] = inspect.cleandoc(str(below.value.value)).partition("\n\n")[0].replace("\n", " ")
    return found


def range_of(value: Measured[Any]) -> str:
    """Return what a value may be: a range, the members of an enumeration, yes or no; empty if nothing is declared."""
    if issubclass(value.kind, Enum):
        return ", ".join(str(member.value) for member in value.kind)
    if value.kind is bool:
        return "True or False"
    return span(value.range)


def span(limits: tuple[float, float] | None) -> str:
    """Return limits as `-3 to 1`; empty for none."""
    return "" if limits is None else f"{limits[0]:.10g} to {limits[1]:.10g}"


def _limits(value: Measured[Any]) -> tuple[tuple[str, tuple[float, float] | None], ...]:
    return ("Operational", value.operational), ("Absolute", value.absolute)
