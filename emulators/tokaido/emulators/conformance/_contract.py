"""What is asked of every driver, whatever its role."""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING

import pytest

import tokaido.hal as hal
from tokaido.emulators.conformance._faulty import UnderFaults
from tokaido.emulators.conformance._questions import every_value, told
from tokaido.emulators.conformance._rig import Rig

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokaido.emulators.conformance._questions import Question

THREADS = 3
EACH = 25
"""How often each thread asks."""
OVERLAP_S = 0.001
"""How long an answer takes, so that another thread's question could come between."""


class Contract(UnderFaults):
    """What is asked of every device. A role's contract inherits from it, and asks more.

    pytest collects the tests from a class that `suite` made. A contract says by `questions` and `orders` what may be
    asked and set, and with them comes the whole matrix of faults; its own tests take the fixture `rig`.
    """

    @classmethod
    def suited_to(cls, driver: type[hal.Device], *, keys: bool) -> type[Contract]:  # noqa: ARG003 - a role may care
        """Return the contract that suits this driver of the role: this one, or one that asks more.

        Args:
            driver: The driver.
            keys: Whether a key channel is to be tried, if it has one.
        """
        return cls

    def test_it_says_who_it_is(self, rig: Rig) -> None:
        """Vendor and model are told; the serial number is the box's own, or empty where the box does not tell it."""
        identity = rig.device.identity()
        assert identity.vendor
        assert identity.model
        assert identity.serial_number in ("", rig.emulator.serial_number)
        assert rig.device.identity() == identity
        assert rig.device.name == self.plan.driver

    def test_opening_asks_and_changes_nothing(self, rig: Rig) -> None:
        """Opening sends queries only, closing sends nothing, and what is set in the device stays."""
        before = self.state(rig), told(rig.device)
        with rig.listening() as written:
            rig.reopen().close()
        assert written
        assert [text for text in written if not self.plan.is_query(text)] == []
        rig.reopen()
        assert (self.state(rig), told(rig.device)) == before

    def test_every_value_is_readable_or_says_why_not(self, rig: Rig) -> None:
        """A declared value gives its own type or a `TokaidoError`."""
        for owner, value in every_value(rig.device):
            got = rig.call(lambda owner=owner, value=value: owner.read(value))  # type: ignore[misc]
            assert isinstance(got, (value.kind, hal.TokaidoError)), value.name

    def test_what_is_out_of_range_is_never_sent(self, rig: Rig) -> None:
        """A setting of a wrong type or out of its range is refused before a command is written."""
        for call, error in self.out_of_range(rig):
            with rig.listening() as written, pytest.raises(error):
                call()
            assert [text for text in written if not self.plan.is_query(text)] == []

    def test_what_was_set_is_in_force(self, rig: Rig) -> None:
        """Every order that is not refused is carried out, written once, and reads back."""
        for order in islice(self.orders(rig), 8):
            with rig.listening() as written:
                result = rig.call(order.carry_out, exchanges=order.exchanges)
            assert not isinstance(result, hal.TokaidoError), f"{order.name}: {result}"
            truth = order.truth()
            rig.compare(order.name, order.wanted, truth == order.wanted, truth=truth)
            self.check_written_once(order, written)

    def test_telemetry_and_snapshot_come_whatever_happens(self, rig: Rig) -> None:
        """Telemetry has a reading for every value; a snapshot fits JSON and records what went wrong, never raises."""
        readings = rig.device.telemetry()
        for reading in readings.values():
            assert (reading.value is None) == (reading.quality is hal.Quality.BAD) == bool(reading.error)
        whole = rig.device.snapshot()
        json.dumps(whole)
        rig.emulator.faults.add("drop", direction="to_unit", port="control", count=2)
        lost = rig.device.snapshot()
        json.dumps(lost)
        assert lost["errors"]
        assert lost["name"] == whole["name"]

    def test_threads_do_not_get_each_others_answers(self, wire_end: str) -> None:
        """Several threads ask one driver different questions; each gets its own answers."""
        with Rig(self.plan, wire_end, real=True) as rig:
            self.check_threads(rig)

    def check_threads(self, rig: Rig) -> None:
        """Have several threads ask one driver."""
        rig.unhurry()
        questions = self.questions(rig)
        rig.emulator.faults.add("latency", port="control", seconds=OVERLAP_S)
        with ThreadPoolExecutor(THREADS) as pool:
            runs = [pool.submit(self._hammer, questions, offset) for offset in range(THREADS)]
        wrong: list[str] = []
        for run in runs:
            error = run.exception()
            if error is not None:
                self.summary.count("foreign")
                raise error
            wrong += run.result()
        self.summary.count("wrong", len(wrong))
        assert wrong == []

    def _hammer(self, questions: list[Question], offset: int) -> list[str]:
        """Ask one question after the other, and return what went wrong."""
        wrong: list[str] = []
        for i in range(EACH):
            question = questions[(i + offset) % len(questions)]
            try:
                got = question.ask()
            except hal.DeviceBusyError:  # the others were quicker for the whole of its deadline
                continue
            except hal.TokaidoError as error:
                wrong.append(f"{question.name}: {error}")
                continue
            self.summary.count("exchanges")
            if got != question.truth():
                wrong.append(f"{question.name} is {got!r}")
        return wrong

    def test_after_close_it_says_that_it_is_closed(self, rig: Rig) -> None:
        """Closing twice is not an error; whatever is asked afterwards raises `ClosedError`."""
        questions = self.questions(rig)
        rig.device.close()
        rig.device.close()
        for question in questions:
            with pytest.raises(hal.ClosedError):
                question.ask()

    def test_the_count(self, record_property: Callable[[str, object], None]) -> None:
        """Report what was counted (`pytest -s` shows it): wrong values and foreign exceptions are none."""
        for name in ("exchanges", "errors", "wrong", "undetectable", "foreign"):
            record_property(name, getattr(self.summary, name))
        sys.stdout.write(f"\n{self.summary}\n")
        assert self.summary.wrong == self.summary.foreign == 0
