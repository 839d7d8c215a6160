"""What every transport keeps under every fault: no wrong value, no foreign exception, the deadline, recovery."""

from __future__ import annotations

import random
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from tokaido.hal import (
    NS_PER_S,
    AuthenticationError,
    DeviceTimeoutError,
    NotConnectedError,
    OutcomeUnknownError,
    TokaidoError,
    TransportError,
    WrongDeviceError,
)
from tokaido.hal.transports import _zmq
from tokaido_testing.patience import in_time, patient
from tokaido_testing.rigs import TIMEOUT_S, Rig

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENT_S = 1.0  # for calls that must succeed, on a machine that is busy with something else
OVERRUN_S = 0.25  # of a shared machine; alone it is below 0.02 s
STREAMS = ("late", "drop", "duplicate", "garble", "cut", "split", "endless", "foreign", "flood", "hang")
MESSAGES = ("late", "drop", "duplicate", "garble", "cut", "oversized", "endless", "foreign", "flood", "hang")
HISLIP = (
    *("late", "drop", "duplicate", "garble", "cut", "half header", "split", "trickle", "endless", "foreign", "hang"),
    *("prologue", "no end", "no line end", "interrupted", "service request"),
    *("skipped and gone", "disconnect", "reset"),
)
# What hangs pyvisa-py's own HiSLIP client for good, where it cannot be reached.
UNBOUNDED = ("trickle", "endless", "skipped and gone")
LINES = ("line", "socket", "asrl", "plain socket")
# A garbled or interrupting line looks like a reply where nothing tells replies apart: only a better codec helps.
INVISIBLE = {(kind, fault) for kind in LINES for fault in ("foreign", "flood", "garble")}
KINDS: dict[str, tuple[str, ...]] = {
    "line": STREAMS,
    "sealed": STREAMS,
    "zmq": MESSAGES,
    "socket": (*STREAMS, "disconnect", "reset"),
    "sealed socket": (*STREAMS, "disconnect", "reset"),
    "asrl": STREAMS,
    "hislip": HISLIP,
    "plain socket": (*STREAMS, "disconnect", "reset"),
    "plain hislip": tuple(fault for fault in HISLIP if fault not in UNBOUNDED),
}
MATRIX = [(kind, fault) for kind, faults in KINDS.items() for fault in faults if (kind, fault) not in INVISIBLE]
every_kind = pytest.mark.parametrize("rig", ["line", "sealed", "zmq", "socket", "asrl", "hislip"], indirect=True)


@pytest.fixture(autouse=True)
def _small_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_zmq, "MAX_FRAME_BYTES", 1 << 16)


def attempt(rig: Rig, number: int, timeout_s: float = TIMEOUT_S) -> TokaidoError | None:
    """Ask, check how long it took and what the error says, and return the error."""
    start_ns = rig.clock.monotonic_ns()
    error: TokaidoError | None = None
    try:
        rig.ask(number, timeout_s)
    except TokaidoError as caught:
        error = caught
    if error is not None:
        assert error.device == "box"
        assert error.transport == rig.transport.name
        assert error.command in (f"V{number}?", "IDN?")
        assert error.elapsed_s is not None
    assert (rig.clock.monotonic_ns() - start_ns) / NS_PER_S < patient(timeout_s + OVERRUN_S)
    return error


@pytest.mark.parametrize(("rig", "fault"), MATRIX, indirect=["rig"], ids=str)
def test_no_wrong_value_and_the_second_call_succeeds(rig: Rig, fault: str) -> None:
    rig.believing = fault != "duplicate"  # which only a reply that says what it answers can survive
    number = 0
    for _ in range(2):
        for _ in range(3):
            number += 1
            assert attempt(rig, number, patient(PATIENT_S)) is None
        rig.peer.fault(fault)
        number += 1
        attempt(rig, number)
        rig.peer.heal()
        number += 1
        if attempt(rig, number) is not None:
            number += 1
            assert attempt(rig, number, patient(PATIENT_S)) is None
    assert rig.wrong == []
    assert all(rig.times_asked(asked) <= 1 for asked in range(number + 1)), "something was sent twice"


@every_kind
def test_late_replies_in_a_row_never_answer_another_question(rig: Rig) -> None:
    for number in range(4):
        rig.peer.fault("late")
        attempt(rig, number)
    rig.peer.heal()
    attempt(rig, 100)
    time.sleep(rig.peer.late_s)
    attempt(rig, 101)
    assert attempt(rig, 102, patient(PATIENT_S)) is None
    assert rig.wrong == []


@every_kind
def test_a_box_that_stalled_and_is_slow_is_never_one_answer_behind(rig: Rig) -> None:
    """What was seen: 15 of 15 readings were the answer to the question before."""
    deadline_s = patient(0.1)
    assert attempt(rig, 0, patient(PATIENT_S)) is None
    rig.peer.late_s = 4.5 * deadline_s
    rig.peer.fault("late")
    assert attempt(rig, 1, deadline_s) is not None
    rig.peer.late_s = 0.9 * deadline_s
    for number in range(2, 17):
        rig.peer.fault("late")
        attempt(rig, number, deadline_s)
    assert rig.wrong == []
    rig.peer.heal()
    attempt(rig, 17, deadline_s)
    assert attempt(rig, 18, patient(PATIENT_S)) is None


@every_kind
def test_a_box_that_hung_and_answers_everything_at_once_is_not_believed(rig: Rig) -> None:
    assert attempt(rig, 0, patient(PATIENT_S)) is None
    rig.peer.fault("hang")
    for number in range(1, 6):
        assert isinstance(attempt(rig, number), TransportError)
    threading.Timer(TIMEOUT_S / 2, rig.peer.heal).start()  # in the middle of the next call
    attempt(rig, 6)
    attempt(rig, 7)
    assert attempt(rig, 8, patient(PATIENT_S)) is None
    assert rig.wrong == []


@pytest.mark.parametrize("fault", ["drop", "late", "cut", "garble"])
@pytest.mark.parametrize("rig", ["sealed", "zmq"], indirect=True)
def test_a_command_whose_reply_is_lost_is_unknown_and_never_sent_twice(rig: Rig, fault: str) -> None:
    rig.ask(1)
    rig.peer.fault(fault)
    with pytest.raises(OutcomeUnknownError, match=r"reply to a command was lost.*box.*V2\?.*read the state"):
        rig.ask(2, repeatable=False)
    rig.peer.heal()
    for number in (3, 4):
        with suppress(TransportError):
            rig.ask(number)
    assert rig.times_asked(2) == 1
    assert rig.wrong == []


@every_kind
def test_a_box_that_went_away_is_not_connected_and_the_first_call_after_its_return_succeeds(rig: Rig) -> None:
    rig.ask(1)
    rig.peer.unplug()
    for number in (2, 3):
        assert isinstance(attempt(rig, number), NotConnectedError)
    rig.peer.plug()
    assert attempt(rig, 4, patient(PATIENT_S)) is None
    assert rig.transport.generation == 2
    assert rig.wrong == []


@every_kind
def test_a_box_that_came_back_between_two_calls_costs_no_error(rig: Rig) -> None:
    rig.ask(1)
    rig.replace_box("BOX1")
    assert rig.ask(2, 0.5, repeatable=False) == "2 BOX1"
    assert rig.times_asked(2) == 1


@every_kind
def test_another_box_is_refused_until_the_right_one_is_back(rig: Rig) -> None:
    rig.ask(1)
    rig.replace_box("BOX2")
    for number in (2, 3):
        assert isinstance(attempt(rig, number), WrongDeviceError)
        assert rig.times_asked(number) == 0
    rig.replace_box("BOX1")
    assert attempt(rig, 4, patient(PATIENT_S)) is None


@every_kind
def test_nobody_there_is_said_at_once(rig: Rig) -> None:
    rig.peer.unplug()
    start = time.monotonic()
    with pytest.raises(NotConnectedError) as caught:
        rig.ask(1, 5.0)
    assert in_time(start, 1)
    assert caught.value.remedy
    rig.peer.plug()


def hammer(rig: Rig, calls: int, faults: tuple[str, ...] = ()) -> list[TokaidoError]:
    """Ask from two threads at once, with a fault now and then; return the errors."""
    dice = random.Random(7)
    errors: list[TokaidoError] = []
    foreign: list[Exception] = []

    def run(first: int) -> None:
        for number in range(first, first + calls):
            if faults and dice.random() < 0.03:
                rig.peer.fault(dice.choice(faults))
            try:
                rig.ask(number, patient(1.0) if not faults else None)
            except TokaidoError as error:
                errors.append(error)
            except Exception as error:  # noqa: BLE001 - that there is none is what is tested
                foreign.append(error)

    rig.peer.late_s = TIMEOUT_S + 0.03
    threads = [threading.Thread(target=run, args=(first,)) for first in (1000, 2000)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert foreign == []
    return errors


@every_kind
def test_two_threads_on_one_transport_get_their_own_answers(rig: Rig) -> None:
    assert hammer(rig, 300) == []
    assert rig.wrong == []
    assert rig.right == 600


@every_kind
def test_two_threads_under_random_faults_get_no_wrong_value(rig: Rig) -> None:
    rig.believing = False
    faults = ("late", "drop", "duplicate", "cut")
    errors = hammer(rig, 100, faults if rig.kind in LINES else (*faults, "garble", "foreign"))
    assert rig.wrong == []
    assert rig.right + len(errors) == 200
    assert rig.right > 100


@every_kind
def test_a_wrong_peer_does_not_hold_a_short_call(rig: Rig) -> None:
    rig.ask(1)
    start = time.monotonic()
    rig.peer.fault("drop")
    with pytest.raises(DeviceTimeoutError):
        rig.ask(2, 0.05)
    assert time.monotonic() - start >= 0.05
    assert in_time(start, 0.05 + OVERRUN_S)


def test_errors_of_the_faults_are_of_the_right_kind(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig("zmq")
    rig.transport.resource.options["server_key_file"] = str(rig.client.public)
    assert isinstance(attempt(rig, 1), AuthenticationError)
