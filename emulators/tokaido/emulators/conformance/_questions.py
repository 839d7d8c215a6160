"""What a suite asks and sets, and how it compares what came."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

import tokaido.hal as hal
from tokaido.emulators.conformance._rig import Rig
from tokaido.hal.driver import Measured, Setting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tokaido.emulators.conformance._plan import Plan, Summary, WireFault


@dataclass(frozen=True, slots=True)
class Question:
    """Something that can be asked, and what the answer must be."""

    name: str
    ask: Callable[[], object]
    truth: Callable[[], object]
    exchanges: int = 1


@dataclass(frozen=True, slots=True)
class Order:
    """Something that can be set once."""

    name: str
    carry_out: Callable[[], object]
    wanted: object
    truth: Callable[[], object]
    """What is in force, asked of the device itself where the model does not tell."""
    once: str
    """Text that only the command has on the wire, or empty: then nothing that is not a query may be written twice."""
    exchanges: int = 4


class Asking:
    """What every suite is made on."""

    plan: ClassVar[Plan]
    summary: ClassVar[Summary]
    """What was counted so far, in this process."""
    alarms_change_settings: ClassVar[bool] = False
    """Whether a device of this role may, by itself, change what was set when it raises an alarm."""

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Run each test on every wire end, and those that ask for a kind of fault under each."""
        if "wire_end" in metafunc.fixturenames:
            metafunc.parametrize("wire_end", self.plan.wire_ends)
        if "kind" in metafunc.fixturenames:
            at_control = (fault.kind for fault in self.plan.faults if "control" in fault.of.ports)
            metafunc.parametrize("kind", dict.fromkeys(at_control))

    @pytest.fixture
    def rig(self, wire_end: str) -> Iterator[Rig]:
        """The emulator at this wire end, and the driver on it."""
        with Rig(self.plan, wire_end) as rig:
            yield rig

    # --- what a role adds -------------------------------------------------------------------------------------------

    @staticmethod
    def prepare(device: hal.Device, timeout: float) -> None:
        """Make a driver that was just opened ready for the suite, whose exchanges have a deadline of `timeout` s."""

    def questions(self, rig: Rig) -> list[Question]:
        """Return what may be asked; no two answers are alike."""
        return [Question("identity()", rig.device.identity, lambda: rig.identity)]

    def orders(self, rig: Rig) -> Iterator[Order]:  # noqa: ARG002 - a role has its own
        """Return settings that differ from one another, without end or none at all."""
        return iter(())

    def out_of_range(self, rig: Rig) -> list[tuple[Callable[[], object], type[Exception]]]:
        """Return calls that must be refused before a byte of a command is sent, and with which error."""
        return [
            (lambda owner=owner, value=value, to=to: owner.write(value, to), error)  # type: ignore[misc]
            for owner, value in settings(rig.device)
            for to, error in bad_values(value)
        ]

    def state(self, rig: Rig) -> object:  # noqa: ARG002 - a role has its own
        """Return what else is set in the device."""
        return None

    # --- helpers ----------------------------------------------------------------------------------------------------

    def answer(self, rig: Rig, question: Question) -> tuple[object, tuple[object, object]]:
        """Ask, and return what came with the truth before and after."""
        before = question.truth()
        got = rig.call(question.ask, exchanges=question.exchanges)
        return got, (before, question.truth())

    def ask(self, rig: Rig, question: Question, fault: WireFault | None = None) -> bool:
        """Return whether an answer came; a wrong one fails the test."""
        got, truths = self.answer(rig, question)
        if isinstance(got, hal.TokaidoError):
            return False
        rig.compare(question.name, got, got in truths, fault, truth=truths[1])
        return True

    def truth_after(self, rig: Rig, order: Order) -> object:  # noqa: ARG002 - a role may have to wait
        """Return what is in force once the fault is over."""
        return order.truth()

    def check_written_once(self, order: Order, written: list[str]) -> None:
        """Fail if a command was written twice."""
        if order.once:
            assert sum(order.once in text for text in written) <= 1, f"{order.name} was written twice: {written}"
            return
        commands = [text for text in written if not self.plan.is_query(text)]
        assert len(set(commands)) == len(commands), f"{order.name} was written twice: {written}"

    def skip_if_alike(self, rig: Rig) -> None:
        """Skip a change of boxes that nothing on the wire could show."""
        with rig.launch(f"{rig.emulator.serial_number[:20]}-X9") as other, rig.open(other) as device:
            if device.identity() == rig.identity:
                pytest.skip("the protocol does not tell one box from another")


def every_value(device: hal.Device) -> Iterator[tuple[Any, Measured[Any]]]:
    """Return the declared values of a device and its parts that it does not lack."""
    for owner in (device, *device.parts):
        for value in owner.values().values():
            if not value.unsupported:
                yield owner, value


def settings(device: hal.Device) -> Iterator[tuple[Any, Setting[Any]]]:
    """Return those that can be set."""
    for owner, value in every_value(device):
        if isinstance(value, Setting):
            yield owner, value


def bad_values(value: Setting[Any]) -> Iterator[tuple[object, type[Exception]]]:
    """Return values that a setting must refuse."""
    yield object(), hal.ValueTypeError
    if value.range is not None:
        low, high = value.range
        for beyond in (value.kind(low - 1), value.kind(high + 1)):
            yield beyond, hal.RangeError


def told(device: hal.Device) -> dict[str, Any]:
    """Return what the device says of its identity and settings."""
    found: dict[str, Any] = {"identity": device.identity()}
    for owner, value in settings(device):
        try:
            found[f"{getattr(owner, 'path', '')}.{value.name}"] = owner.read(value)
        except hal.TokaidoError as error:
            found[f"{getattr(owner, 'path', '')}.{value.name}"] = type(error)
    return found
