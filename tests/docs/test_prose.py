"""The look at the prose: each crooked form is found where prose stands, and its straight neighbour is left alone."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

TOOL = Path(__file__).parents[2] / "tools" / "prose.py"

FORMS = {  # crooked, straight
    "is no X": ("A lost reply is no failure.", "There is no failure, and it is no longer dark."),  # prose: allow
    "for want of": ("The path; as delivered for want of it.", "The path; default: as delivered."),  # prose: allow
    "to be had": ("The port cannot be had.", "It had to be read twice."),  # prose: allow
    "whoever": ("It goes to whoever asks.", "It goes to the host that asks."),  # prose: allow
    "nobody's": ("It ends without anybody's doing.", "Nobody listens there."),  # prose: allow
    "clause as subject": ("It waits; what comes later is dropped.", "It tells what comes later."),  # prose: allow
    "archaic word": ("The file and the mode thereof.", "The file and its mode. Hence the two."),  # prose: allow
    "anew": ("The count begins anew.", "The count begins again, in a new file."),  # prose: allow
    "the which": ("The port, the which is open.", "Tell the witch which port is open."),  # prose: allow
    "it was waited": ("A reply is waited for.", "The call waited for a reply."),  # prose: allow
    "many a": ("It saved many a link.", "It saved many links as it was told."),  # prose: allow
    "worn figure": ("All was in vain.", "It came to a device and went."),  # prose: allow
    "must needs": ("It must needs be open.", "It must be open; it needs better light."),  # prose: allow
}


def look(path: Path, text: str) -> list[str]:
    """Write a file, look at its prose, and return the forms that were found as `line: form`."""
    path.write_text(text, encoding="utf-8")
    done = subprocess.run([sys.executable, str(TOOL), str(path)], capture_output=True, text=True, check=False)
    found = [line.removeprefix(f"{path}:") for line in done.stdout.splitlines()[:-1]]
    assert done.stderr == ""
    assert done.returncode == bool(found)
    return [": ".join(part.strip() for part in line.split(":")[:2]) for line in found]


@pytest.mark.parametrize("form", FORMS)
def test_a_crooked_form_is_found_and_a_straight_one_is_not(form: str, tmp_path: Path) -> None:
    crooked, straight = FORMS[form]
    assert look(tmp_path / "page.md", f"# Title\n\n{crooked}\n") == [f"3: {form}"]
    assert look(tmp_path / "page.md", f"# Title\n\n{straight}\n") == []


def test_docstrings_comments_and_messages_are_prose(tmp_path: Path) -> None:
    source = '''"""It is a module.

It begins %s."""

# It begins
# %s here.
raise ValueError(f"{1} begins " f"%s")
'''
    assert look(tmp_path / "code.py", source % (("anew",) * 3)) == [  # prose: allow
        "3: anew",  # prose: allow
        "6: anew",  # prose: allow
        "7: anew",  # prose: allow
    ]


def test_names_code_and_allowed_lines_are_not(tmp_path: Path) -> None:
    word = "anew"  # prose: allow
    assert look(tmp_path / "code.py", f"{word} = 1\ntext = '{word}'  # prose: allow\n") == []
    page = f"It calls `{word}`.\n\n```\nbegin {word}\n```\n\nIt begins {word}. <!-- prose: allow -->\n"
    assert look(tmp_path / "page.md", page) == []
    assert look(tmp_path / "page.md", page.replace("<!-- prose: allow -->", "")) == [f"7: {word}"]


def test_a_form_is_found_across_the_end_of_a_line(tmp_path: Path) -> None:
    assert look(tmp_path / "page.md", "A lost reply is\nno failure.\n") == ["2: is no X"]  # prose: allow
    assert look(tmp_path / "page.md", "| it is | no failure |\n") == []  # prose: allow


def test_every_room_is_looked_at() -> None:
    spec = importlib.util.spec_from_file_location("prose", TOOL)
    assert spec is not None
    assert spec.loader is not None
    prose = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(prose)
    rooms = {folder.parent.name for folder in TOOL.parents[1].glob("*/tokaido")}
    assert {"hal", "drivers", "node", "console"} <= rooms
    assert rooms <= set(prose.PLACES)
