"""Ctrl-C while a transport is taken: the thread that was struck does not keep it from the others."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from tokaido.hal.transports import StreamTransport
from tokaido_testing.patience import patient
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


@pytest.mark.parametrize("rig", ["line", "asrl", "socket", "hislip", "plain socket", "sealed"], indirect=True)
def test_the_call_after_an_interrupt_has_its_answer_within_its_own_deadline(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody waits for the reply that the struck call would have waited for."""
    deadline_s = patient(0.5)
    rig.ask(0, patient(1))
    assert isinstance(rig.transport, StreamTransport)
    port: Any = type(rig.transport._port)
    ready = port.ready
    for number in range(1, 6):

        def struck(self: Any, seconds: float) -> bool:
            if seconds == 0:
                return bool(ready(self, seconds))
            monkeypatch.setattr(port, "ready", ready)
            raise KeyboardInterrupt

        monkeypatch.setattr(port, "ready", struck)
        with pytest.raises(KeyboardInterrupt):
            rig.ask(2 * number, deadline_s)
        assert rig.ask(2 * number + 1, deadline_s) == f"{2 * number + 1} BOX1"
    assert rig.wrong == []
