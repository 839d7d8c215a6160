"""The example of the page on the bench, taken at its word."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tokaido_testing import bytecode

PAGE = Path(__file__).parents[3] / "docs" / "explanation" / "bench.md"


def test_the_example_prints_what_the_page_says(tmp_path: Path) -> None:
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    (code,) = [text for kind, text in blocks if kind == "python"]
    (printed,) = [text for kind, text in blocks if not kind]
    example = tmp_path / "example.py"
    example.write_text(code, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "error", str(example)],
        cwd=tmp_path,
        env=bytecode.environment(),
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == printed
