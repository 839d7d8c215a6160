"""The pages on drills speak of drills that there are, and of all of them; commands on the page are understood.

The page starts the whole line, some 30 processes: tests/console/line/test_drill_page.py types it, in `make chaos`.
"""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Final

import pytest

from tokaido.console import main

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = (ROOT / "docs" / "tutorials" / "a-drill.md").read_text(encoding="utf-8")
COMMANDS: Final = sorted(
    {" ".join(found.split()[:2]) for found in re.findall(r"^\$ tokaido (.+)$", PAGE, re.MULTILINE)}
)
Capture = pytest.CaptureFixture[str]


def drills(capsys: Capture) -> list[str]:
    """Return the names of all drills, as the command says that does not know one."""
    assert main(["demo", "--only", "moon", "--json"]) == 2
    remedy: str = json.loads(capsys.readouterr().err)["error"]["remedy"]
    return remedy.removeprefix("Choose one of: ").split(", ")


def test_the_drills_of_the_page_are_drills(capsys: Capture) -> None:
    shown = re.findall(r"^## \d\. `([\w-]+)`", PAGE, re.MULTILINE)
    assert shown == ["eve", "cut", "kill-maibara", "kill-shizuoka", "sees"]
    named = re.findall(r"--(?:only|break) ([\w-]+)", PAGE)
    assert {*shown, *named} <= {*drills(capsys)}


def test_the_reference_has_every_drill_in_their_order(capsys: Capture) -> None:
    page = (ROOT / "docs" / "reference" / "cli.md").read_text(encoding="utf-8")
    table = page.partition("| drill | what happens |")[2].partition("\n\n")[0]
    assert re.findall(r"^\| `([\w-]+)`", table, re.MULTILINE) == drills(capsys)


@pytest.mark.parametrize("words", COMMANDS)
def test_a_command_of_the_page_is_one(words: str, capsys: Capture) -> None:
    command = [word for word in shlex.split(words) if word.isalpha()]
    assert main([*command, "--help"]) == 0
    assert f"tokaido {' '.join(command)}" in capsys.readouterr().out
