"""Links of the documentation lead to files that are there, and to headings that are in them."""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", *sorted((ROOT / "docs").rglob("*.md"))]
CODE = re.compile(r"^ *(```|~~~).*?^ *\1|`[^`\n]*`", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^()\s]+)\)")
HEADING = re.compile(r"^#+ +(.+?)(?: +\{#([\w-]+)[^}]*\})? *$", re.MULTILINE)
API = ROOT / "docs" / "reference" / "api"
"""Its headings are made of docstrings when the site is built."""


def slug(heading: str) -> str:
    """Return the anchor that Python-Markdown makes of a heading."""
    bare = re.sub(r"\]\([^)]*\)", "", re.sub(r"[`*\[]", "", heading))
    plain = unicodedata.normalize("NFKD", bare).encode("ascii", "ignore").decode()
    return re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", plain).strip().lower())


@cache
def anchors(page: Path) -> frozenset[str]:
    text = re.sub(r"^ *(```|~~~).*?^ *\1", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    found: set[str] = set()
    for heading, named in HEADING.findall(text):
        name, number = named or slug(heading), 0
        while (name if not number else f"{name}_{number}") in found:
            number += 1
        found.add(name if not number else f"{name}_{number}")
    return frozenset(found)


def broken(page: Path) -> list[str]:
    """Return the links of a page that lead nowhere."""
    wrong = []
    for link in LINK.findall(CODE.sub("", page.read_text())):
        target, _, anchor = link.partition("#")
        if "://" in link or link.startswith("mailto:"):
            continue
        file = page if not target else (page.parent / target).resolve()
        if not file.exists():
            wrong.append(f"{link}: no such file")
        elif anchor and file.suffix == ".md" and API not in file.parents and anchor not in anchors(file):
            wrong.append(f"{link}: no such heading")
    return wrong


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    assert broken(page) == []


def test_a_link_that_leads_nowhere_is_told(tmp_path: Path) -> None:
    other, page = tmp_path / "other.md", tmp_path / "page.md"
    other.write_text("# One `word`: and *more*\n\n## Twice\n\n## Twice\n\n```\n# no heading\n```\n")
    page.write_text(
        "[a](other.md#one-word-and-more) [b](other.md#twice_1) [c](other.md#twice_2) [d](none.md) `[e](f.md)`"
        " [g](other.md#no-heading) [h](https://example.org/x.md#y)\n"
    )
    assert broken(page) == [
        "other.md#twice_2: no such heading",
        "none.md: no such file",
        "other.md#no-heading: no such heading",
    ]
