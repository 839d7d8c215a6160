"""One emulated device, its driver, and a witness who compares what the driver says with the truth."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar, cast, runtime_checkable

import tokaido.hal as hal
from tokaido.emulators._launch import Emulator, launch
from tokaido.emulators._plugs import WITHIN
from tokaido.emulators._stepped import SteppedClock
from tokaido.emulators._unstarved import unstarved

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping
    from types import TracebackType

    from tokaido.emulators._fault_kinds import FaultPort
    from tokaido.emulators._faults import Fault
    from tokaido.emulators.conformance._plan import Plan, WireFault

T = TypeVar("T")

OVERRUN_S = 0.6
"""What a busy machine may add to a deadline, in s."""
SETTLED_S = 1.0
"""How long the witness waits for the truth to become what was promised, in s."""
ENDLESS_BYTES = 70_000
UNHURRIED = 2.0
"""How many times a suite's short deadline an exchange gets that must succeed."""
AT_ONCE = 8
"""How many works of `side_by_side` run at a time: most of them wait, and more would slow down each other."""
OPENINGS = 3
"""How often a rig tries to reach its emulator."""


@runtime_checkable
class HasLight(Protocol):
    """A device model that knows where light goes."""

    def light_path(self, input: int, /) -> tuple[int, float] | None:  # noqa: A002 - the word users type
        """Return the output that an input's light leaves by and the loss in dB, or None while it is dark."""
        ...


class Rig:
    """An emulator at one wire end and the driver on it. `sent` holds what the driver wrote, one entry a write.

    It is a context manager: entering it starts the emulator and opens the driver, or leaves nothing behind. In virtual
    time it is for the thread that entered it.

    Args:
        plan: What it runs on.
        wire_end: Where the emulator is.
        real: Whether its time is the machine's whatever the plan says, as it must be where several threads use it.
    """

    def __init__(self, plan: Plan, wire_end: str, *, real: bool = False) -> None:
        self.plan = plan
        """What it runs on; from entering on with a deadline that suits how slow the machine is."""
        self.summary = plan.summary
        self.wire_end = wire_end
        self.virtual = plan.virtual_time and wire_end in WITHIN and not real
        """Whether time passes only while the driver waits."""
        self.clock: hal.Clock = hal.SYSTEM_CLOCK
        """The time that the driver and the emulator live in, once the rig is entered."""
        self.sent: list[str] = []
        self.raised: list[hal.TokaidoError] = []
        """Every error that a call ended with."""
        self.deadline_s = plan.timeout
        """Deadline of one exchange."""
        self.places: dict[str, str] = {}
        """Resources that the driver opens instead of the emulator's own, by name."""
        self.overrun_s = OVERRUN_S
        """What a call may take beyond its deadlines, in s."""
        self._stack = ExitStack()
        self._between = ExitStack()
        self._ways: dict[Emulator, dict[str, str]] = {}
        self.emulator: Emulator
        self.device: hal.Device
        self.identity: hal.Identity
        """Who the driver said that the device is, when it was opened first."""
        self.correlated = False
        """Whether a reply of this protocol says what it answers, so that a driver can tell a wrong one."""

    def launch(self, serial_number: str | None = None, *, speed: float = 1.0) -> Emulator:
        """Start another emulator of this kind, whose time may pass faster."""
        options: dict[str, Any] = {"speed": speed, **self.plan.options}
        return launch(
            self.plan.emulator,
            wire_end=self.wire_end,
            serial_number=serial_number,
            seed=self.plan.seed,
            clock=self.clock,
            **options,
        )

    def reopen(self) -> hal.Device:
        """Close the driver and open it again."""
        self.device.close()
        self.device = self._stack.enter_context(self.open())
        return self.device

    def open(self, emulator: Emulator | None = None) -> hal.Device:
        """Open the driver on this emulator, or on another; a busy machine may need more than one short deadline."""
        resources = self._resources(emulator) if emulator else {**self._resources(self.emulator), **self.places}
        options = {"timeout": self.plan.timeout, "trace": self._note, "clock": self.clock, **resources}
        for _ in range(OPENINGS - 1):
            with suppress(hal.NotConnectedError, hal.DeviceTimeoutError):
                device = hal.Device.open(self.plan.driver, **cast("dict[str, Any]", options))
                break
        else:
            device = hal.Device.open(self.plan.driver, **cast("dict[str, Any]", options))
        for prepare in self.plan.prepare:
            prepare(device, self.plan.timeout)
        return device

    def _resources(self, emulator: Emulator) -> dict[str, str]:
        """Return what leads to an emulator, over what the plan puts between."""
        if self.plan.through is None:
            return dict(cast("dict[str, str]", emulator.resources))
        if emulator not in self._ways:
            way = self.plan.through(cast("dict[str, str]", emulator.resources))
            self._ways[emulator] = dict(self._between.enter_context(way))
        return self._ways[emulator]

    def _note(self, record: hal.TraceRecord) -> None:
        if record.direction == ">":
            self.sent.append(record.text)

    # --- calls ------------------------------------------------------------------------------------------------------

    def call(self, what: Callable[[], T], *, exchanges: int = 1) -> T | hal.TokaidoError:
        """Return what a call gives or the `TokaidoError` it raises; it must keep the deadlines of its exchanges."""
        clock = self.clock
        limit_s = exchanges * self.deadline_s + self.overrun_s
        start_ns = clock.monotonic_ns()
        result: T | hal.TokaidoError
        try:
            result = what()
        except hal.TokaidoError as error:
            self.summary.count("errors")
            self.raised.append(error)
            result = error
        except Exception:
            self.summary.count("foreign")
            raise
        took_s = (clock.monotonic_ns() - start_ns) / hal.NS_PER_S
        if took_s >= limit_s:  # the machine may have grown slow meanwhile
            limit_s += max(OVERRUN_S * self.plan.slowness() - self.overrun_s, 0.0)
        assert took_s < limit_s, f"took {took_s:.3f} s, and {limit_s:.3f} s were the most"
        return result

    def unhurry(self) -> None:
        """Give every exchange from now on more time: those that must succeed, however busy the machine is."""
        self.deadline_s = self.device.transport.timeout_s = UNHURRIED * self.plan.timeout

    def compare(self, what: str, got: object, right: bool, fault: WireFault | None = None, *, truth: object) -> None:
        """Count an outcome; one that is wrong fails the test, unless the protocol cannot show it."""
        self.summary.count("exchanges")
        if right:
            return
        if fault is not None and fault.believed and not self.correlated:
            self.summary.count("undetectable")
            return
        self.summary.count("wrong")
        raise AssertionError(f"{what} is {got!r} and in truth {truth!r}")

    @contextmanager
    def listening(self) -> Generator[list[str]]:
        """Give the list of what is written within the context."""
        start = len(self.sent)
        written: list[str] = []
        try:
            yield written
        finally:
            written += self.sent[start:]

    # --- faults -----------------------------------------------------------------------------------------------------

    def strike(self, fault: WireFault, port: FaultPort = "control", probability: float = 1.0) -> list[Fault]:
        """Let a fault strike the next pieces on the wire, or some of them."""
        kind, seconds = fault.kind, self.plan.lasts_s.get(fault.kind, 0.1)
        add = self.emulator.faults.add
        if fault.of.in_model:
            return [add(kind, direction="to_unit", port=port, provokes=self.plan.alarm, count=1)]
        if fault.of.swaps_box and fault.of.lingers.get(port) == "plug":
            pulled = add("unplug", direction="to_unit", port="control", seconds=self.plan.lasts_s["unplug"], count=1)
            return [add(kind, direction="to_unit", port="control"), pulled]
        return [
            add(
                kind,
                direction=fault.direction,
                port=port,
                probability=probability,
                count=2,
                seconds=seconds,
                size=ENDLESS_BYTES,
            )
        ]

    def end(self, fault: WireFault, struck: list[Fault]) -> None:
        """End a fault, and wait until the plug is back and nothing is held back any more."""
        for one in struck:
            one.remove()
        self.clock.wait(self.lingers_s(fault))
        if fault.of.in_model:
            self.emulator.remove_fault(self.plan.alarm)

    def lingers_s(self, fault: WireFault) -> float:
        """Return how long after its end a fault still has effects, in s."""
        lasts_s = {"plug": 2 * self.plan.lasts_s["unplug"], "delay": self.plan.lasts_s["latency"]}
        return lasts_s.get(fault.of.lingers.get("control", ""), 0.0)

    def patience(self, fault: WireFault) -> int:
        """Return which call after a fault must succeed at the latest."""
        return 4 if fault.unended and not self.correlated else 2  # one is lost, and one waits for what it is owed

    # --- the truth --------------------------------------------------------------------------------------------------

    def light(self, inputs: int) -> dict[int, int] | None:
        """Return which output each input's light leaves by now, or None if the model does not tell."""
        if not isinstance(self.emulator.model, HasLight):
            return None
        paths = self.witness(lambda model: {i: model.light_path(i) for i in range(1, inputs + 1)})
        return {i: path[0] for i, path in paths.items() if path is not None}

    def witness(self, look: Callable[[Any], T]) -> T:
        """Return what is seen in the device model, brought to the present and held."""
        with self.emulator.lock:
            self.emulator._shared.catch_up()
            return look(self.emulator.model)

    def close(self) -> None:
        """End both, and what is between."""
        self._stack.close()

    def __enter__(self) -> Self:
        slowness = 1.0 if self.virtual else self.plan.slowness()
        self.plan = replace(self.plan, timeout=self.plan.timeout * slowness)
        self.deadline_s = self.plan.timeout
        self.overrun_s = OVERRUN_S * slowness
        with ExitStack() as opened:
            self.clock = SteppedClock() if self.virtual else opened.enter_context(unstarved())
            self.emulator = opened.enter_context(self.launch())
            opened.enter_context(self._between)
            self.device = opened.enter_context(self.open())
            self.identity = self._first_identity()
            self.correlated = _is_correlated(self.device.transport)
            self._stack = opened.pop_all()
        return self

    def _first_identity(self) -> hal.Identity:
        """Ask who is there before anything is wrong; while a dozen rigs start at once, one may have to ask again."""
        for _ in range(2):
            with suppress(hal.DeviceTimeoutError):
                return self.device.identity()
        return self.device.identity()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _is_correlated(transport: Any) -> bool:
    """Whether a transport, or the codec that it has, takes no reply of another question for one."""
    return True in (getattr(one, "correlated", False) for one in (transport, getattr(transport, "codec", None)))


def until(condition: Callable[[], bool], seconds: float = SETTLED_S, clock: hal.Clock = hal.SYSTEM_CLOCK) -> bool:
    """Return whether a condition comes to hold within `seconds` of a clock: give that of the rig."""
    deadline = hal.Deadline(clock, seconds)
    while not condition():
        if deadline.passed:
            return False
        clock.wait(0.002)
    return True


def side_by_side(works: Mapping[str, Callable[[], None]]) -> None:
    """Do every work in a thread, some at a time, and raise the first error there was, with the name of its work."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        runs = {name: pool.submit(work) for name, work in works.items()}
        for name, run in runs.items():
            error = run.exception()
            if error is not None:
                error.add_note(name)
                raise error
