"""No test leaves anything behind for the next one: threads, the environment, the folder, or how things are logged."""

from __future__ import annotations

import logging
import os
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tokaido_testing.patience import in_time

if TYPE_CHECKING:
    from collections.abc import Iterator

GRACE_S = 3.0
"""How long a thread may take to end after the test that started it, in s: one that closes a port does so by itself."""


def _settings() -> dict[str, object]:
    """Return what a test may alter only for its own time."""
    root = logging.getLogger()
    environment = {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}
    return {
        "the environment": environment,
        "the current folder": Path.cwd(),
        "the level of the root logger": root.level,
        "what is logged at all": root.manager.disable,
        "the handlers of the root logger": [one for one in root.handlers if "_pytest" not in type(one).__module__],
    }


@pytest.fixture(autouse=True)
def leaves_nothing_behind() -> Iterator[None]:
    """Fail a test that leaves something behind, and name it."""
    threads, before = set(threading.enumerate()), _settings()
    yield
    after = _settings()
    changed = [name for name, value in before.items() if after[name] != value]
    assert changed == [], f"the test left these changed: {', '.join(changed)}"
    start_s = time.monotonic()
    while left := set(threading.enumerate()) - threads:
        if not in_time(start_s, GRACE_S):
            pytest.fail(f"the test left threads running: {', '.join(sorted(thread.name for thread in left))}")
        time.sleep(0.005)
