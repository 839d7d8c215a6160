"""The table of HiSLIP's clauses names tests that exist, and every test that was written for a clause."""

from __future__ import annotations

import ast
import re
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "protocols" / "hislip.md"
FOLDER = ROOT / "tests" / "emulators" / "ends"
OF_CLAUSES = ("sessions", "exchange", "clear", "locks", "lock_table", "status", "pyvisa")


def functions_in(path: Path) -> list[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")]


def named() -> set[str]:
    return set(re.findall(r"`(test_\w+)`", PAGE.read_text(encoding="utf-8")))


def test_each_test_in_the_table_exists_once() -> None:
    paths = [*FOLDER.glob("test_hislip*.py"), FOLDER / "test_instruments.py"]
    present = Counter(name for path in paths for name in functions_in(path))
    assert named()
    assert {name: present[name] for name in named() if present[name] != 1} == {}


def test_each_test_of_a_clause_is_in_the_table() -> None:
    of_clauses = {name for part in OF_CLAUSES for name in functions_in(FOLDER / f"test_hislip_{part}.py")}
    assert of_clauses - named() == set()


def test_each_row_names_its_test() -> None:
    rows = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    bare = [row for row in rows if "`test_" not in row and not re.match(r"\| (clause|what) \|", row)]
    assert bare == []
