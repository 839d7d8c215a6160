"""How the house hangs together: no circles when modules are imported, and tests that reach into rooms are counted."""

from __future__ import annotations

import ast
import tomllib
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tokaido.hal._own_entries import DISTRIBUTION, OWN

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
ROOMS = ("hal", "drivers", "emulators", "lab", "node", "console")
REACHES_IN = Path(__file__).with_name("tests_that_reach_in.txt")


def module(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts[1:]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def at_import_time(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Statements that run when a module is imported: all but bodies of functions and of `if TYPE_CHECKING`."""
    for node in body:
        yield node
        if isinstance(node, ast.If):
            if ast.unparse(node.test) != "TYPE_CHECKING":
                yield from at_import_time(node.body)
            yield from at_import_time(node.orelse)
        elif isinstance(node, (ast.Try, ast.With, ast.ClassDef)):
            yield from at_import_time(node.body)


def imported(path: Path, modules: set[str]) -> set[str]:
    found: set[str] = set()
    here = module(path)
    package = here if path.name == "__init__.py" else here.rpartition(".")[0]
    for node in at_import_time(ast.parse(path.read_text(encoding="utf-8")).body):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package.split(".")[: len(package.split(".")) - node.level + 1]) if node.level else ""
            source = ".".join(part for part in (base, node.module or "") if part)
            found |= {f"{source}.{name.name}" for name in node.names} & modules or {source}
    return (found & modules) - {here}


def order_of(graph: dict[str, set[str]]) -> list[str]:
    """The modules in an order in which each comes after all that it imports."""
    return list(TopologicalSorter(graph).static_order())


def test_no_import_runs_in_a_circle() -> None:
    paths = [path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))]
    modules = {module(path) for path in paths}
    graph = {module(path): imported(path, modules) for path in paths}
    assert len(order_of(graph)) == len(modules) > 200
    assert sum(map(len, graph.values())) > 400


def test_a_circle_would_be_found() -> None:
    with pytest.raises(CycleError):
        order_of({"a": {"b"}, "b": {"c"}, "c": {"a"}})


def reaching_in() -> set[str]:
    """Imports of private modules, and from the rooms' private modules, in tests, benchmarks and examples."""
    found: set[str] = set()
    for folder in ("tests", "benchmarks", "examples"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if not isinstance(node, ast.ImportFrom) or not (node.module or "").startswith("tokaido."):
                    continue
                wanted = [f"{node.module}.{name.name}" for name in node.names]
                private = {
                    name.rpartition(".")[0] if "._" in f"{node.module}" else name for name in wanted if "._" in name
                }
                found |= {f"{path.relative_to(ROOT)} {name}" for name in private}
    return found


def test_no_more_tests_reach_into_private_modules() -> None:
    """The list is to shrink: a test that needs a private module is a test of that module, or wants a public name."""
    known = set(REACHES_IN.read_text(encoding="utf-8").splitlines())
    found = reaching_in()
    assert found - known == set(), "take public names, or say why in the list's commit"
    assert known - found == set(), "no longer needed: strike these off the list"


def test_our_own_entries_are_those_of_the_project() -> None:
    """The table spares a search for entry points; what the distribution declares is what others see."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["name"] == DISTRIBUTION
    assert {group: project["entry-points"][group] for group in OWN} == OWN
