from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tokaido.emulators._unstarved import unstarved
from tokaido_testing.rigs import Kind, Rig

if TYPE_CHECKING:
    from collections.abc import Callable, Generator


def _held() -> tuple[int, set[str]]:
    return len(list(Path("/proc/self/fd").iterdir())), {thread.name for thread in threading.enumerate()}


@pytest.fixture(autouse=True)
def _nothing_leaks() -> Generator[None]:
    files, threads = _held()
    yield
    end = time.monotonic() + 3
    while True:
        files_now, threads_now = _held()
        if files_now <= files and threads_now <= threads:
            return
        if time.monotonic() > end:
            pytest.fail(f"left open: {files_now - files} descriptors, threads {threads_now - threads}")
        time.sleep(0.01)


@pytest.fixture
def make_rig(tmp_path: Path) -> Generator[Callable[..., Rig]]:
    made: list[Rig] = []

    def make(kind: Kind, transport: Any = None) -> Rig:
        folder = tmp_path / str(len(made))
        folder.mkdir()
        made.append(Rig(kind, folder, transport, clock))
        return made[-1]

    with unstarved() as clock:  # both ends are in this process, and neither is to answer for others on the machine
        yield make
        for rig in made:
            rig.close()


@pytest.fixture
def rig(request: pytest.FixtureRequest, make_rig: Callable[..., Rig]) -> Rig:
    return make_rig(request.param)
