"""Ctrl-C while a transport is taken: the thread that was struck does not keep it from the others."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from tokaido_testing.rigs import Rig

if TYPE_CHECKING:
    from collections.abc import Callable

every_kind = pytest.mark.parametrize("rig", ["line", "zmq", "hislip"], indirect=True)


class StruckLock:
    """A lock with a Ctrl-C at the worst moment: as soon as the lock is taken, before anything can note it."""

    def __init__(self, lock: Any) -> None:
        self._lock = lock
        self.release = lock.release

    def acquire(self, **options: Any) -> bool:
        self._lock.acquire(**options)
        raise KeyboardInterrupt


def from_another_thread(call: Callable[[], object]) -> None:
    errors: list[BaseException] = []

    def run() -> None:
        try:
            call()
        except BaseException as error:  # noqa: BLE001 - it is raised where the test waits
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]


@every_kind
def test_an_interrupt_right_after_the_lock_was_taken_gives_it_back(rig: Rig) -> None:
    rig.ask(1, 1.0)
    lock = rig.transport._lock
    rig.transport._lock = StruckLock(lock)  # type: ignore[assignment]  # pyright: ignore[reportAttributeAccessIssue]
    for call in (rig.transport.open, rig.transport.listen, lambda: rig.ask(2)):
        with pytest.raises(KeyboardInterrupt):
            call()
    rig.transport._lock = lock
    from_another_thread(lambda: rig.ask(3, 1.0))
    assert rig.wrong == []
