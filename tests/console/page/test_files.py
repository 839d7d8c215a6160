"""The files of the page: small, complete, and nothing from elsewhere."""

from __future__ import annotations

import re
from importlib.resources import files

FOLDER = files("tokaido.console.page") / "static"
TEXTS = {file.name: file.read_text(encoding="utf-8") for file in FOLDER.iterdir()}
KNOWN = {"http://www.w3.org/2000/svg"}
"""A name, which no browser fetches."""


def test_all_of_it_is_small() -> None:
    assert sum(len(text.encode()) for text in TEXTS.values()) <= 200_000


def test_nothing_comes_from_elsewhere() -> None:
    for name, text in TEXTS.items():
        assert set(re.findall(r"(?:https?:)?//[\w.-]+\.[\w/.-]+", text)) <= KNOWN, name
        assert "@import" not in text
        assert "@font-face" not in text
    assert "<style" not in TEXTS["index.html"]
    assert " style=" not in TEXTS["index.html"]
    assert re.findall(r"<script[^>]*>(.*?)</script>", TEXTS["index.html"], re.DOTALL) == [""]


def test_every_file_that_is_named_is_there_and_no_other() -> None:
    named = set(re.findall(r'(?:href|src)="([\w.-]+\.\w+)"', TEXTS["index.html"]))
    for text in TEXTS.values():
        named |= set(re.findall(r'from "\./([\w.-]+)"', text))
    assert named | {"index.html"} == set(TEXTS)


def test_both_languages_have_the_same_words() -> None:
    english, japanese = re.findall(r"^  (?:en|ja): \{(.*?)^  \},", TEXTS["words.js"], re.DOTALL | re.MULTILINE)
    keys = [re.findall(r"(?<![\w\"`$.])([a-zA-Z]+):(?= [\"`(\[{])", text) for text in (english, japanese)]
    assert len(keys[0]) > 60
    assert keys[0] == keys[1]
    used = set(re.findall(r"words\(\)\.(\w+)", "".join(TEXTS.values())))
    used |= set(re.findall(r'data-(?:word|label)="(\w+)"', TEXTS["index.html"]))
    assert used <= set(keys[0]) | {"day", "hour"}
