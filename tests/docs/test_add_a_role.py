"""The page on how to add a role shows the files of a package that is tested, as they are."""

from __future__ import annotations

import re
from pathlib import Path

from tokaido_testing.packages import PACKAGES

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "add-a-role.md"
BLOCK = re.compile(r'^```\w+ title="([^"]+)"\n(.*?)^```$', re.MULTILINE | re.DOTALL)


def test_the_blocks_of_the_page_are_the_files_of_the_package() -> None:
    shown = dict(BLOCK.findall(PAGE.read_text(encoding="utf-8")))
    files = [*PACKAGES.glob("acme_filter/*.py"), PACKAGES / "acme_filter" / "pyproject.toml"]
    assert {*shown} == {f"acme_filter/{file.name}" for file in files if file.name != "__init__.py"}
    for name, text in shown.items():
        assert text == (PACKAGES / name).read_text(encoding="utf-8"), name
