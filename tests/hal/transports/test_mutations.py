"""Proof that the fault tests can fail: without the lock, the taint or the identity check, wrong values come back."""

from __future__ import annotations

import select
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from tokaido.hal import TokaidoError, WrongDeviceError
from tokaido.hal.transports import DescriptorPort, SerialTransport, StreamTransport, VisaTransport, ZmqTransport
from tokaido_testing.patience import patient
from tokaido_testing.rigs import TIMEOUT_S, Rig

if TYPE_CHECKING:
    from collections.abc import Callable

TRANSPORTS: dict[str, type[Any]] = {
    "line": SerialTransport,
    "zmq": ZmqTransport,
    "socket": VisaTransport,
    "asrl": VisaTransport,
    "hislip": VisaTransport,
}
every_kind = pytest.mark.parametrize("kind", TRANSPORTS)


class _OpenDoor:
    """A lock that keeps nobody out."""

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        return True

    def release(self) -> None:
        pass

    def __enter__(self) -> None:
        pass

    def __exit__(self, *args: object) -> None:
        pass


def _trusting(transport: type[Any]) -> type[Any]:
    """Return the transport as it would be if nothing that goes wrong ever tainted it."""

    def get(self: Any) -> bool:
        return bool(self.generation > 0 or vars(self).get("trusted"))

    def put(self: Any, value: bool) -> None:
        vars(self)["trusted"] = value

    return type("Trusting", (transport,), {"_trusted": property(get, put)})


@pytest.mark.parametrize("kind", ["line", "socket"])
def test_without_the_lock_two_threads_ruin_each_other_and_without_the_taint_too_they_get_wrong_answers(
    make_rig: Callable[..., Rig], monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    def ready(port: Any, seconds: float) -> bool:  # a poll object refuses two threads by itself
        return bool(select.select([port._fd], [], [], seconds)[0])

    monkeypatch.setattr(DescriptorPort, "ready", ready)
    own = TRANSPORTS[kind]
    for transport, locked in ((own, True), (own, False), (_trusting(own), False)):
        rig = make_rig(kind, transport)
        errors: list[Exception] = []
        rig.ask(0, 1.0)
        if not locked:
            rig.transport._lock = _OpenDoor()  # type: ignore[assignment]

        def ask(number: int, rig: Rig = rig, errors: list[Exception] = errors) -> None:
            try:
                rig.ask(number, patient(0.2))
            except Exception as error:  # noqa: BLE001 - it is kept
                errors.append(error)

        for number in range(1, 80, 2):
            rig.peer.fault("hang")  # both ask before either is answered
            threads = [threading.Thread(target=ask, args=(number + second,)) for second in (0, 1)]
            for thread in threads:
                thread.start()
            time.sleep(0.005)
            rig.peer.heal()
            for thread in threads:
                thread.join()
            if rig.wrong or (errors and transport is own):
                break
        if transport is own:
            assert bool(errors or rig.wrong) is not locked
        else:
            assert rig.wrong


@pytest.mark.parametrize("kind", ["line", "zmq", "socket", "asrl"])  # HiSLIP numbers its messages
def test_without_the_taint_a_late_reply_answers_the_next_question(
    make_rig: Callable[..., Rig], monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    trusting = _trusting(TRANSPORTS[kind])
    for transport in (TRANSPORTS[kind], trusting):
        rig = make_rig(kind, transport)
        rig.ask(0, 1.0)
        if transport is trusting and isinstance(rig.transport, StreamTransport):
            monkeypatch.setattr(type(rig.transport._step), "in_step", lambda _: True)
        rig.peer.late_s = TIMEOUT_S + 0.05
        rig.peer.fault("late")
        for number in (1, 2):
            with suppress(TokaidoError):
                rig.ask(number)
        time.sleep(0.1)
        assert bool(rig.wrong) is (transport is trusting)


@every_kind
def test_without_the_identity_check_another_box_is_believed(make_rig: Callable[..., Rig], kind: str) -> None:
    blind = type("Blind", (TRANSPORTS[kind],), {"_shake_hands": lambda self, deadline: None})
    for transport in (TRANSPORTS[kind], blind):
        rig = make_rig(kind, transport)
        rig.ask(1, 1.0)
        rig.replace_box("BOX2")
        if transport is blind:
            assert rig.ask(2, 1.0) == "2 BOX2"
        else:
            with pytest.raises(WrongDeviceError):
                rig.ask(2, 1.0)
