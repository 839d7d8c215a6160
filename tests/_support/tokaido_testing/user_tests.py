"""A user's test file, run by pytest in a process of its own."""

from __future__ import annotations

import pytest

ALL = """
import pytest
import tokaido.hal as hal
"""


def run(
    pytester: pytest.Pytester, text: str, *arguments: str, ini: str = "", asyncio: bool = False
) -> pytest.RunResult:
    """Run a user's test file, indented as a test of ours is; with pytest-asyncio if it has coroutines."""
    if asyncio:
        ini += "asyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\n"
    else:
        arguments = ("-p", "no:asyncio", *arguments)
    text = text.replace("\n        ", "\n")
    pytester.makepyfile((ALL if "hal." in text or "pytest." in text else "") + text)
    pytester.makeini(f"[pytest]\nfilterwarnings = error\n{ini}")
    return pytester.runpytest_subprocess("-p", "no:cacheprovider", *arguments, timeout=50)
