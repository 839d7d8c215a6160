"""A user's test file, run by pytest: within this process, or in one of its own."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

ALL = """
import pytest
import tokaido.hal as hal
"""


class Imported:
    """Keeps what inner runs import, which pytester would forget: of a module loaded twice, each class is two."""

    def __init__(self) -> None:
        self._modules: dict[str, ModuleType] = {}

    def pytest_unconfigure(self, config: pytest.Config) -> None:
        """Note what there is at the end of a run, but for the user's own files."""
        for name, module in sys.modules.items():
            if not str(getattr(module, "__file__", None) or "").startswith(str(config.rootpath)):
                self._modules[name] = module

    def put_back(self) -> None:
        """Put back what was forgotten."""
        for name, module in self._modules.items():
            sys.modules.setdefault(name, module)


_imported = Imported()


@pytest.fixture(autouse=True)
def imports_stay() -> Iterator[None]:
    """Put back, after a test, what its runs have imported: for the `conftest.py` of tests that use `run`."""
    yield
    _imported.put_back()


def run(
    pytester: pytest.Pytester, text: str, *arguments: str, ini: str = "", asyncio: bool = False, apart: bool = False
) -> pytest.RunResult:
    """Run a user's test file, indented as a test of ours is; with pytest-asyncio if it has coroutines.

    `apart` takes a process of its own, as a user's tests have. It costs a start, so it is for what a process sees.
    """
    if asyncio:
        ini += "asyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\n"
    else:
        arguments = ("-p", "no:asyncio", *arguments)
    text = text.replace("\n        ", "\n")
    pytester.makepyfile((ALL if "hal." in text or "pytest." in text else "") + text)
    pytester.makeini(f"[pytest]\nfilterwarnings = error\n{ini}")
    if apart:
        return pytester.runpytest_subprocess("-p", "no:cacheprovider", *arguments, timeout=50)
    return run_within(pytester, *arguments)


def run_within(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    """Run the tests that are in pytester's folder, within this process."""
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider", *arguments, plugins=[_imported])
    _imported.put_back()
    return result
