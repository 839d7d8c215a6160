"""A link from parts: examples/link_from_parts.py, and the page that explains it."""

from __future__ import annotations

import math
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "link_from_parts.py"


def test_the_example_counts_what_its_formula_says() -> None:
    done = subprocess.run([sys.executable, EXAMPLE], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    found = re.fullmatch(r"mu ([0-9.]+): ([0-9]+) clicks/s, by the formula ([0-9]+)\n", done.stdout)
    assert found is not None, done.stdout
    counted, expected = float(found[2]), float(found[3])
    assert float(found[1]) == pytest.approx(780.27 * 10 ** (-(40 + 1.2 + 4.0 + 0.9) / 10), abs=1e-4)
    spread = 5 * math.sqrt(expected / 10)
    assert expected - spread < counted < 1.007 * expected + spread  # of 1000 clicks 5 have an afterpulse


def test_the_example_is_short_and_the_page_shows_it() -> None:
    program = EXAMPLE.read_text(encoding="utf-8")
    assert len(program.splitlines()) <= 25
    assert program in (ROOT / "docs" / "how-to" / "link-from-parts.md").read_text(encoding="utf-8")
