"""What is asked of a QKD transmitter or receiver: its settings are the ones that were made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import tokaido.hal as hal
from tokaido.emulators.conformance._contract import Contract
from tokaido.emulators.conformance._questions import Order, Question, settings
from tokaido.emulators.conformance._rig import until
from tokaido.hal.driver import Query, Setting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tokaido.emulators.conformance._rig import Rig

SPEED = 20.0
WATCHDOG_S = 20.0
"""A watchdog of one second of ours, where the unit's time passes so much faster."""
STEPS = 64
"""In how many steps the range of a setting is gone through."""


class UnitContract(Contract):
    """Settings are given values that are all different, and read back; states and flags are asked."""

    alarms_change_settings = True

    @classmethod
    def suited_to(cls, driver: type[hal.Device], *, keys: bool) -> type[Contract]:
        """Ask more of a unit with a key channel."""
        from tokaido.emulators.conformance._keys import KeyContract  # noqa: PLC0415 - these are made on this one
        from tokaido.emulators.conformance._pushed import PushedKeyContract  # noqa: PLC0415

        if not keys or "keys" not in driver.resource_kinds:
            return cls
        return PushedKeyContract if hal.Capability.PUSHED_KEYS in driver.capabilities else KeyContract

    def questions(self, rig: Rig) -> list[Question]:
        """Every setting of the unit and its parts whose value no other one has."""
        found: dict[object, list[Question]] = {}
        for owner, value in settings(rig.device):
            try:
                now = owner.read(value)
            except hal.TokaidoError:
                continue
            name = f"{getattr(owner, 'path', '')}.{value.name}".lstrip(".")
            ask = lambda owner=owner, value=value: owner.read(value)  # noqa: E731 - bound to this one
            found.setdefault(now, []).append(Question(name, ask, lambda now=now: now))  # type: ignore[misc]
        return [*super().questions(rig), *(same[0] for same in found.values() if len(same) == 1)]

    def orders(self, rig: Rig) -> Iterator[Order]:
        """One setting that the unit lets us set now, given ever other values within its range."""
        for owner, value in settings(rig.device):
            if value.kind is not float or value.range is None:
                continue
            try:
                now = owner.read(value)
                tried = [_step(value, i) for i in (STEPS // 2, STEPS // 2 + 1)]
                for to in (*tried, now):
                    owner.write(value, to)
            except hal.TokaidoError:
                continue
            for i in range(2, STEPS):
                wanted = _step(value, (i * 5) % STEPS)
                yield Order(
                    f"{value.name} = {wanted:g}",
                    lambda owner=owner, value=value, to=wanted: owner.write(value, to),  # type: ignore[misc]
                    wanted,
                    lambda owner=owner, value=value, to=wanted: _read(owner, value, to),  # type: ignore[misc]
                    once=f"{wanted:.10g}",
                )
            return

    def state(self, rig: Rig) -> object:
        """The state that the unit is in."""
        assert isinstance(rig.device, hal.Unit)
        return rig.device.state()

    def test_states_and_flags_are_of_their_kind(self, rig: Rig) -> None:
        """Every query gives its own type or a `TokaidoError`; the state is one of the role's."""
        assert isinstance(rig.device, hal.Unit)
        assert rig.device.state() in hal.UnitState
        for base in type(rig.device).__mro__:
            for query in [member for member in vars(base).values() if isinstance(member, Query)]:
                got = rig.call(lambda query=query: rig.device.ask(query))  # type: ignore[misc]
                assert isinstance(got, (query.kind, hal.TokaidoError)), query.name

    def test_what_its_state_forbids_is_refused(self, rig: Rig) -> None:
        """Stopping a unit that does not run is a `RefusedError` and changes nothing."""
        unit = rig.device
        assert isinstance(unit, hal.Unit)
        before = unit.state()
        if before in hal.RUNNING:
            return
        outcome = rig.call(unit.stop)
        assert isinstance(outcome, hal.RefusedError)
        assert unit.state() is before

    def test_an_interlock_keeps_a_receiver_shut_before_anything_is_sent(self, rig: Rig) -> None:
        """A receiver that classical light is joined to opens neither by hand nor on its way to an alignment."""
        receiver = rig.device
        if not isinstance(receiver, hal.Receiver):
            return
        asked: list[int] = []

        def joined() -> dict[int, int]:
            asked.append(1)
            return {1: 2}

        receiver.add_interlock(hal.ShutterInterlock("test", frozenset({1}), 2, joined))
        opening: list[Callable[[], object]] = [
            lambda: setattr(receiver, "shutter", hal.Shutter.OPEN),
            receiver.power_on,
            receiver.start,
            receiver.align,
            receiver.clear_fault,
            receiver.acknowledge_security,
            lambda: receiver.select_link("", ""),
        ]
        with rig.listening() as written:
            for order in opening:
                with pytest.raises(hal.InterlockError):
                    order()
        assert all(self.plan.is_query(text) for text in written)
        with receiver.interlocks_forced("conformance"):
            outcome = rig.call(receiver.align)
        assert not isinstance(outcome, hal.InterlockError)
        assert len(asked) == len(opening) + 1

    def test_a_program_that_only_reads_renews_nobody_s_watchdog(self, rig: Rig) -> None:
        """A controller sets a watchdog and is gone, another program reads, and the unit raises its alarm."""
        assert isinstance(rig.device, hal.Unit)
        if hal.Capability.WATCHDOG not in rig.device.capabilities or "speed" in self.plan.options:
            return
        with rig.launch(speed=SPEED) as emulator:
            with rig.open(emulator) as controller:
                assert isinstance(controller, hal.Unit)
                before = controller.alarms()
                controller.set_watchdog(WATCHDOG_S)
            with rig.open(emulator) as reader:
                assert isinstance(reader, hal.Unit)
                reader.transport.timeout_s = rig.deadline_s
                ended = until(lambda: len(reader.alarms()) > len(before), 3 * WATCHDOG_S / SPEED, rig.clock)
                assert ended, "it was renewed"

    def test_the_safe_state_is_reached_on_request(self, rig: Rig) -> None:
        """The role's safe state may be asked for in every state."""
        rig.device.apply_safe_state()
        if isinstance(rig.device, hal.Transmitter):
            assert rig.device.emitting() is False
        if isinstance(rig.device, hal.Receiver):
            assert rig.device.shutter is hal.Shutter.CLOSED


def _step(value: Setting[Any], i: int) -> float:
    low, high = value.range or (0.0, 1.0)
    return round(low + (high - low) * (i + 0.5) / STEPS, 9)


def _read(owner: Any, value: Setting[Any], wanted: float) -> object:
    """Return what is in force, or just `wanted` if the device holds it as nearly as it can."""
    got = None
    for _ in range(3):  # the line may still have to fall quiet
        try:
            got = owner.read(value)
        except hal.TransportError:
            continue
        break
    return wanted if isinstance(got, float) and value.confirms(wanted, got) else got
