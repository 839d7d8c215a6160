"""The tutorial of the first failing test, by the page alone: it fails as the page says, and passes when mended."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tokaido_testing.user_tests import imports_stay, run_within

__all__ = ["imports_stay"]

pytest_plugins = ["pytester"]
PAGE = Path(__file__).parents[2] / "docs" / "tutorials" / "first-failing-test.md"


def test_the_page_fails_and_passes_as_it_says(pytester: pytest.Pytester) -> None:
    consumer, tests = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    pytester.makepyfile(consumer=consumer, test_consumer=tests)
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", timeout=50)
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        ["*where False = link_is_dark()*", "*--tokaido-seed * repeats it*", "* bob < * RAISED LOS MAJOR *"]
    )
    pytester.makepyfile(consumer=consumer.replace('"LOSS"', '"LOS"'))
    run_within(pytester, "-p", "no:asyncio").assert_outcomes(passed=2)
