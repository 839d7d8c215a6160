"""What only an extra brings: asked for without importing it, since every worker collects every test.

Of what a worker takes to collect the suite, a third would be p4p, matplotlib, numba and Bluesky, for few of its tests.
"""

from __future__ import annotations

from functools import partial
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable


def needs(package: str, reason: str) -> pytest.MarkDecorator:
    """Skip tests where a package is not installed."""
    return pytest.mark.skipif(find_spec(package) is None, reason=reason)


def later(module: str) -> Callable[[], Any]:
    """Return a call that imports a module: of one that imports itself when used, pytest uses what it collects."""
    return partial(import_module, module)
