"""What is asked of every driver while the wire is bad: the right value or a `TokaidoError`, and nothing twice."""

from __future__ import annotations

import itertools
from functools import partial
from typing import TYPE_CHECKING

import pytest

import tokaido.hal as hal
from tokaido.emulators._fault_kinds import FAULT_KINDS
from tokaido.emulators.conformance._plan import SERIAL_ENDS
from tokaido.emulators.conformance._questions import Asking
from tokaido.emulators.conformance._rig import Rig, side_by_side

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokaido.emulators.conformance._plan import WireFault

STALL, BACK = 6.0, 8.0
"""How long a slow device stalls, and how soon it must be heard again: in deadlines of an exchange."""
SLOW, SLOWER = 0.05, 0.3
"""How long it takes over one question: where a failure costs a new handshake, and on a plain line, which goes on."""


class UnderFaults(Asking):
    """Tests with faults. What one test is about runs side by side, each with an emulator and a driver of its own."""

    def test_under_a_fault_on_the_wire(self, wire_end: str, kind: str) -> None:
        """No wrong value, no foreign exception, no overrun, nothing carried out twice; and soon well again."""
        if FAULT_KINDS[kind].swaps_box:
            with Rig(self.plan, wire_end) as rig:
                self.skip_if_alike(rig)
        side_by_side(
            {
                f"{check.__name__} under {fault} at {wire_end}": partial(self._run, check, wire_end, fault)
                for fault in self.plan.faults
                if fault.kind == kind
                for check in (self.check_values, self.check_orders)
            }
        )

    def _run(self, check: Callable[[Rig, WireFault], None], wire_end: str, fault: WireFault) -> None:
        with Rig(self.plan, wire_end) as rig:
            check(rig, fault)

    def check_values(self, rig: Rig, fault: WireFault) -> None:
        """Under the fault a value is right or does not come; soon after it every value comes."""
        questions = self.questions(rig)
        for question in questions:
            assert self.ask(rig, question), f"{question.name} must be told before the fault comes"
        struck = rig.strike(fault)
        seen = [(question, *self.answer(rig, question)) for question in questions[:2]]
        assert any(one.fired for one in struck), "the fault met nothing"
        rig.end(fault, struck)
        rig.unhurry()
        last = questions[-1]
        most = rig.patience(fault)
        assert any(self.ask(rig, last, fault) for _ in range(most)), f"call {most} after a fault must succeed"
        questions = self.questions(rig)
        for question in questions:
            assert self.ask(rig, question, fault), f"{question.name} must be told after the fault"
        now = {question.name: question.truth() for question in questions}
        for question, got, truths in seen:
            if not isinstance(got, hal.TokaidoError):
                right = got in (*truths, now.get(question.name))  # an alarm may have changed it for good
                rig.compare(question.name, got, right, fault, truth=truths[0])

    def check_orders(self, rig: Rig, fault: WireFault) -> None:
        """A command is written once; a confirmed one took effect; one that was surely not sent did not."""
        first = self.questions(rig)[:1] if fault.of.looks_back else []
        orders = self.orders(rig)
        order = next(orders, None)
        if order is None:  # nothing can be set
            return
        excused = fault.of.in_model and self.alarms_change_settings
        before = order.truth()
        struck = rig.strike(fault)
        for question in first:
            self.ask(rig, question, fault)
        with rig.listening() as written:
            result = rig.call(order.carry_out, exchanges=order.exchanges)
        rig.end(fault, struck)
        assert any(one.fired for one in struck), "the fault met nothing"
        self.check_written_once(order, written)
        truth = self.truth_after(rig, order)
        if not isinstance(result, hal.TokaidoError):
            right = truth == order.wanted or excused
            rig.compare(order.name, order.wanted, right, fault, truth=truth)
        elif not isinstance(result, (hal.OutcomeUnknownError, hal.DeviceError)):
            right = truth == before or excused
            rig.compare(f"{order.name} raised {type(result).__name__} and", before, right, truth=truth)
        if excused:  # it may have gone to a state in which nothing can be set
            return
        again = next(orders)
        rig.unhurry()
        results = [rig.call(again.carry_out, exchanges=again.exchanges) for _ in range(rig.patience(fault))]
        assert not isinstance(results[-1], hal.TokaidoError), f"it does not recover: {results[-1]}"
        truth = again.truth()
        rig.compare(again.name, again.wanted, truth == again.wanted, fault, truth=truth)

    def test_a_slow_device_that_stalls_is_soon_heard_again(self) -> None:
        """It stalls for several deadlines, is slow before and after, and tells no wrong value; at every wire end."""

        def stall(wire_end: str) -> None:
            with Rig(self.plan, wire_end, real=True) as rig:  # in virtual time questions and answers keep step too well
                self.check_stall(rig)

        side_by_side({f"at {wire_end}": partial(stall, wire_end) for wire_end in self.plan.wire_ends})

    def check_stall(self, rig: Rig) -> None:
        """A device that stalls for several deadlines, and is slow before and after, tells no wrong value."""
        timeout_s = rig.plan.timeout
        questions = self.questions(rig)
        for question in questions:
            assert self.ask(rig, question), f"{question.name} must be told before the fault comes"
        add = rig.emulator.faults.add
        plain = rig.wire_end in SERIAL_ENDS and not rig.correlated
        add("latency", direction="from_unit", port="control", seconds=(SLOWER if plain else SLOW) * timeout_s)
        add("hang", direction="to_unit", port="control", seconds=STALL * timeout_s, count=1)
        stalled = hal.Deadline(rig.clock, STALL * timeout_s)
        calls = itertools.cycle(questions)
        while not stalled.passed:
            self.ask(rig, next(calls))
        back = hal.Deadline(rig.clock, BACK * timeout_s + rig.overrun_s)
        while not all(self.ask(rig, question) for question in questions):
            assert not back.passed, f"it answers again and is not heard for {back.timeout_s:.1f} s"

    def test_another_box_at_the_same_place_is_refused(self, rig: Rig) -> None:
        """Where the protocol tells boxes apart, another one raises `WrongDeviceError` until the first is back."""
        fault = next((fault for fault in self.plan.faults if fault.of.swaps_box), None)
        if fault is None:
            pytest.skip("no boxes are changed")
        self.skip_if_alike(rig)
        struck = rig.strike(fault)
        results = [rig.call(rig.device.identity)]
        rig.clock.wait(2 * rig.plan.lasts_s["unplug"])
        results += [rig.call(rig.device.identity) for _ in range(3)]
        assert all(isinstance(result, hal.TokaidoError) for result in results), results
        assert isinstance(results[-1], hal.WrongDeviceError), results[-1]
        rig.end(fault, struck)
        rig.call(rig.device.identity)
        assert rig.device.identity() == rig.identity

    def test_an_error_says_where_and_after_how_long(self, rig: Rig) -> None:
        """An error names device, transport, command and elapsed time, and says what to do."""
        rig.emulator.faults.add("drop", direction="from_unit", port="control")
        error = rig.call(rig.device.identity)
        assert isinstance(error, hal.TransportError)
        assert error.device == rig.device.name
        assert error.transport
        assert error.command
        assert error.remedy
        assert error.elapsed_s is not None
        assert 0 < error.elapsed_s < rig.plan.timeout + rig.overrun_s
        text = str(error)
        for part in (error.device, error.transport, error.command, f"after {error.elapsed_s:.3f} s", error.remedy):
            assert part in text
