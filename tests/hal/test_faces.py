"""The public faces of the rooms: what a package offers late is what it declares, shows and gives."""

import ast
import importlib
from pathlib import Path
from typing import Any

import pytest

import tokaido.hal as hal
from tokaido.hal.lazy import lazily

ROOT = Path(__file__).parents[2]
LATE = sorted(
    path
    for room in ("hal", "drivers", "emulators", "lab", "node", "console")
    for path in (ROOT / room).rglob("*.py")
    if path.name != "lazy.py" and "= lazily(" in path.read_text(encoding="utf-8")
)


def package(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts[1:]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(nodes: list[ast.stmt]) -> dict[str, str]:
    """Names that plain imports bind, and the modules that they come from."""
    return {
        name.asname or name.name: f"{node.module}"
        for node in nodes
        if isinstance(node, ast.ImportFrom) and node.module != "__future__"
        for name in node.names
    }


def late_names(tree: ast.Module) -> tuple[dict[str, str], dict[str, str]]:
    """What `if TYPE_CHECKING` imports for the checkers, and what the call beside it promises at run time."""
    branch = next(
        node for node in tree.body if isinstance(node, ast.If) and "lazily" in ast.unparse(ast.Module(node.orelse, []))
    )
    call = next(node for node in ast.walk(ast.Module(branch.orelse, [])) if isinstance(node, ast.Call))
    assert isinstance(call.args[1], ast.Dict)
    return imported(branch.body), ast.literal_eval(call.args[1])


def test_the_faces_are_the_ones_we_know() -> None:
    assert [package(path) for path in LATE] == [
        "tokaido.console.page",
        "tokaido.emulators",
        "tokaido.emulators.bench",
        "tokaido.emulators.ends",
        "tokaido.emulators.repeater",
        "tokaido.hal",
        "tokaido.hal.authentication",
        "tokaido.hal.driver",
        "tokaido.hal.sharing",
        "tokaido.hal.transports",
        "tokaido.lab",
        "tokaido.node",
        "tokaido.node.client",
        "tokaido.node.events",
        "tokaido.node.store",
    ]


@pytest.mark.parametrize("path", LATE, ids=package)
def test_table_checkers_and_list_agree(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for_checkers, at_run_time = late_names(tree)
    module: Any = importlib.import_module(package(path))
    modules = {name: home for name, home in at_run_time.items() if home == f"{package(path)}.{name}"}
    assert {**for_checkers, **modules} == at_run_time
    eager = set(imported(tree.body)) - {"lazily", "TYPE_CHECKING"}
    assert sorted(module.__all__) == sorted(eager | set(at_run_time))
    assert dir(module) == sorted(module.__all__)
    for name in module.__all__:
        assert getattr(module, name) is not None
    for name, home in at_run_time.items():
        if name not in modules:
            assert getattr(module, name) is getattr(importlib.import_module(home), name)


def test_a_misspelt_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match=r"module 'tokaido\.hal' has no attribute 'Transmiter'"):
        _ = hal.Transmiter  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]


def test_a_module_may_be_a_name_too() -> None:
    get, shown = lazily("tokaido.hal", {"aio": "tokaido.hal.aio"}, ["aio"])
    assert get("aio") is importlib.import_module("tokaido.hal.aio")
    assert shown() == ["aio"]
