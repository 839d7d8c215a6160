"""The page of ETSI GS QKD 015 names tests and leaves that there are, and every one of ours."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import tokaido.node.etsi015
from tokaido.node.etsi015 import NAMESPACE

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "protocols" / "etsi015.md").read_text(encoding="utf-8")
FOLDER = ROOT / "tests" / "node" / "etsi015"
MODULE = Path(str(tokaido.node.etsi015.__file__)).with_name("tokaido-qkd-node.yang").read_text(encoding="utf-8")
WITHOUT_TESTS = ("## Ids", "## Leaves that there are not")


def functions() -> set[str]:
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in FOLDER.glob("test_*.py")]
    return {node.name for tree in trees for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_each_test_on_the_page_exists() -> None:
    named = set(re.findall(r"`(test_\w+)`", TEXT))
    assert len(named) > 20
    assert named - functions() == set()


def test_each_row_names_its_test() -> None:
    for section in re.split(r"^(?=## )", TEXT, flags=re.MULTILINE):
        if not section.startswith(WITHOUT_TESTS):
            rows = [line for line in section.splitlines() if line.startswith("| ") and not line.endswith("| test |")]
            assert [row for row in rows if "`test_" not in row] == [], section[:40]


def test_every_leaf_and_notification_of_ours_is_on_the_page() -> None:
    told = set(re.findall(r"`(?:tokaido-qkd-node:)?([a-z-]+)`", TEXT))
    ours = set(re.findall(r"(?:leaf|container|notification) ([a-z-]+) ", MODULE))
    assert len(ours) > 30
    assert ours - told == set()


def test_the_namespace_of_ids_is_on_the_page() -> None:
    assert f"`{NAMESPACE}`" in TEXT
