"""Look for archaic and crooked English in docstrings, comments, messages and pages: `python tools/prose.py [PATH...]`.

The house's rule: the subject first, an actor that can act, the field's verb. Each pattern below is a form that was
common here and that a reader stumbles over. A rare legitimate use gets `prose: allow` in a comment on its line. Exit
code 1 if a form was found. Code, in Python and in Markdown, is not looked at; strings in Python are.
"""

from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
PLACES = (
    *("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"),
    *("hal", "drivers", "emulators", "lab", "node", "console", "tests", "benchmarks", "examples", "docs"),
)
ALLOW = "prose: allow"

START = r"(?:^|[.;:!?] )"
"""Where a clause begins."""
HELPERS = "is|are|was|were|has|have|had|does|did|can|cannot|could|may|must|will|would"
FINITE = rf"(?:{HELPERS}|(?!this |its |us |as |always |besides |less |perhaps |towards |thus )[a-z]+[^s\W]s|came|fell)"
"""A finite verb, as far as its form tells; takes some nouns for verbs."""
MAIN = (
    rf"(?<!\bthe )(?<!\ba )\b(?:{HELPERS}|agrees|becomes|begins|blinds|closes|comes|does|ends|gets|gives|goes|holds"
    r"|keeps|leaves|makes|means|needs|raises|reaches|remains|returns|says|shows|stands|stays|stops|strikes|takes|tells|waits|writes)\b"
)
"""A finite verb that is hardly ever a noun."""
WITHIN = r"(?:(?!\b(?:when|if|that|which|whom?|whose|what|while|as|where|how|until|than|and)\b)[^.,:;?!()|])*?"
"""More words of the same clause."""

ARCHAIC = (
    "ere|thereof|therein|thereto|thereupon|hereby|herein|whence|whither|thither|thence|whereby|wherein|whereupon"
    "|hitherto|henceforth|unto|lest|albeit|withal|naught|nought|amongst|whilst|anon|betwixt|notwithstanding"
)
PATTERNS: dict[str, tuple[str, str]] = {
    "is no X": (
        r"(?<!there )\b(?:is|are|was|were|be|been) no (?!longer|more|less|better|worse|later|faster|slower)[a-z]",
        'write "is not a X"',
    ),
    "for want of": (r"\b(?:for|in) want of\b", 'write "default: X", "without", or "if there is none"'),
    "to be had": (r"\b(?:cannot|can|could|may|to) be had\b", "say who cannot get it, or that there is none"),
    "whoever": (r"\bwho(?:m|so)?ever\b", 'name the actor: "a program that", "the process that"'),
    "nobody's": (r"\b(?:nobody|anybody|somebody|everybody)'s\b", "name the actor, or leave it out"),
    "clause as subject": (
        rf"{START}(?:what|who) (?:(?:still|already|surely) )?{FINITE} {WITHIN}{MAIN}",
        'begin with a noun: "a reply that comes late is dropped", and not "what comes late is dropped"',
    ),
    "archaic word": (
        rf"\b(?:{ARCHAIC})\b",
        "write what a person says today",
    ),
    "anew": (r"\banew\b", 'write "again"'),
    "the which": (r"\bthe which\b", 'write "which" or "that"'),
    "it was waited": (r"\b(?:is|are|was|were|be|been) (?:waited|slept|listened)\b", "name the actor that waits"),
    "many a": (r"\b(?:many a|such a one|is but a|as it were|so to speak)\b", "say it plainly"),
    "worn figure": (r"\b(?:to and fro|in vain|come what may|of old|high and low)\b", "say what happens"),
    "must needs": (r"\b(?:must needs|needs be|would fain|had rather|had best)\b", 'write "must", "need not", "better"'),
}
"""Name of a form: how it is found, and what to write instead."""
FORMS = {name: re.compile(pattern, re.IGNORECASE) for name, (pattern, _) in PATTERNS.items()}


class Text(NamedTuple):
    """One piece of prose: its lines, and the number of the first in its file."""

    first: int
    lines: list[str]


class Hit(NamedTuple):
    """One crooked form."""

    line: int
    form: str
    words: str


def in_python(source: str) -> Iterator[Text]:
    """Yield the texts of a module: docstrings and messages, then blocks of comments."""
    inside: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.JoinedStr):
            parts = node.values
            inside.update(id(part) for part in parts)
            joined = "".join(str(part.value) if isinstance(part, ast.Constant) else "x" for part in parts)
            yield Text(node.lineno, joined.split("\n"))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inside:
            yield Text(node.lineno, node.value.split("\n"))
    comments = [
        (token.start[0], token.string.lstrip("#: "))
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT
    ]
    for _, block in groupby(enumerate(comments), lambda item: item[1][0] - item[0]):
        rows = [comment for _, comment in block]
        yield Text(rows[0][0], [text for _, text in rows])


def in_markdown(source: str) -> Iterator[Text]:
    """Yield the paragraphs of a page; code is left out, and each row of a table is by itself."""
    fenced = False
    paragraph: list[str] = []
    lines = source.split("\n")
    for number, line in enumerate([*lines, ""], start=1):
        if line.lstrip().startswith("```"):
            fenced = not fenced
        begins = re.match(r"\s*(?:[-*|#>]|\d+\.) ?", line)
        if paragraph and (fenced or not line.strip() or begins or line.lstrip().startswith("```")):
            yield Text(number - len(paragraph), paragraph)
            paragraph = []
        if not fenced and line.strip() and not line.lstrip().startswith("```"):
            paragraph.append(line[begins.end() :] if begins else line)


def hits(text: Text) -> Iterator[Hit]:
    """Find the crooked forms of one text, across the ends of its lines."""
    starts: list[int] = []
    whole = ""
    for line in text.lines:
        starts.append(len(whole))
        plain = re.sub(r"`[^`]*`", "x", line).replace("|", " . ").strip().strip('"')
        whole += f"{plain} " if plain else ". "
    for form, pattern in FORMS.items():
        for match in pattern.finditer(whole):
            offset = sum(start <= match.end() - 1 for start in starts) - 1
            yield Hit(text.first + offset, form, match[0].strip(" .;:"))


def check(path: Path) -> list[Hit]:
    """Return the crooked forms of one file, in order."""
    source = path.read_text(encoding="utf-8")
    lines = source.split("\n")
    texts = in_python(source) if path.suffix == ".py" else in_markdown(source)
    found = {hit for text in texts for hit in hits(text)}
    return sorted(hit for hit in found if ALLOW not in lines[min(hit.line, len(lines)) - 1])


def files(places: list[Path]) -> Iterator[Path]:
    """Yield the Python and Markdown files of some places."""
    for place in places:
        found = sorted(place.rglob("*")) if place.is_dir() else [place]
        yield from (path for path in found if path.suffix in {".py", ".md"})


def main(arguments: list[str]) -> int:
    """Print each form with its place and what to write instead."""
    places = [Path(argument).resolve() for argument in arguments] or [ROOT / place for place in PLACES]
    count = 0
    for path in files(places):
        for hit in check(path):
            count += 1
            name = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path
            print(f"{name}:{hit.line}: {hit.form}: ...{hit.words}...: {PATTERNS[hit.form][1]}")
    if count:
        print(f"{count} places that a reader stumbles over")
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
