"""The tables of ETSI GS QKD 014 and of SKIP name tests that exist, and every test that was written for a clause."""

from __future__ import annotations

import ast
import re
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "protocols" / "etsi014-server.md"
SKIP = PAGE.with_name("skip.md")
FOLDER = ROOT / "tests" / "node"
MESSAGES = (
    "size shall be a multiple of 8",
    "not all extension_mandatory parameters are supported",
    "not all extension_mandatory request options could be met",
    "one or more keys specified are not found on KME",
)
"""What the text prescribes word by word (6.5)."""


def functions_in(path: Path) -> list[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")]


def named(page: Path) -> set[str]:
    return set(re.findall(r"`(test_\w+)`", page.read_text(encoding="utf-8")))


@pytest.mark.parametrize("page", [PAGE, SKIP], ids=["etsi014", "skip"])
def test_each_test_in_the_table_exists_once(page: Path) -> None:
    present = Counter(name for path in FOLDER.glob("test_*.py") for name in functions_in(path))
    assert named(page)
    assert {name: present[name] for name in named(page) if present[name] != 1} == {}


@pytest.mark.parametrize(
    ("page", "tests"), [(PAGE, "test_etsi014.py"), (SKIP, "test_skip.py")], ids=["etsi014", "skip"]
)
def test_each_test_of_a_clause_is_in_the_table(page: Path, tests: str) -> None:
    assert set(functions_in(FOLDER / tests)) - named(page) == set()


@pytest.mark.parametrize("page", [PAGE, SKIP], ids=["etsi014", "skip"])
def test_each_row_of_a_clause_names_its_test(page: Path) -> None:
    text = page.read_text(encoding="utf-8").partition("## Clients that others wrote")[0]
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    heads = re.compile(r"\| (clause|section|what|name|`tokaido_\w+`) \|")
    assert [row for row in rows if "`test_" not in row and not heads.match(row)] == []


def test_messages_of_the_text_are_on_the_page_and_in_the_tests_word_by_word() -> None:
    tests = (FOLDER / "test_etsi014.py").read_text(encoding="utf-8")
    for message in MESSAGES:
        assert f"`{message}`" in PAGE.read_text(encoding="utf-8")
        assert f'"{message}"' in tests
