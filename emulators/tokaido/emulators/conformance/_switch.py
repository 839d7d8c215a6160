"""What is asked of an optical switch: its map is the one that the light takes."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, cast

import pytest

import tokaido.hal as hal
from tokaido.emulators.conformance._contract import Contract
from tokaido.emulators.conformance._questions import Order, Question
from tokaido.emulators.conformance._rig import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tokaido.emulators.conformance._rig import Rig

MOST_PAIRS = 24


class SwitchContract(Contract):
    """Random maps are set and read back, and compared with the light in the model where it shows light."""

    @staticmethod
    def prepare(device: hal.Device, timeout: float) -> None:
        """Give a change no more time to show than a suite can wait."""
        cast("hal.OpticalSwitch", device).settle_timeout = max(2 * timeout, 0.2)

    def questions(self, rig: Rig) -> list[Question]:
        """Identity and map."""
        switch = opened(rig)
        return [
            Question("connections()", switch.connections, lambda: light(rig), exchanges=2),
            *super().questions(rig),
            Question("connections()", switch.connections, lambda: light(rig), exchanges=2),
        ]

    def orders(self, rig: Rig) -> Iterator[Order]:
        """Whole maps, each other than the one before."""
        switch = opened(rig)
        chance = random.Random(f"maps/{self.plan.seed}")
        before = light(rig)
        while True:
            wanted = random_map(switch, chance)
            if wanted == before:
                continue
            before = wanted
            yield Order(
                f"replace({wanted})",
                lambda wanted=wanted: self._replace(rig, switch, wanted),  # type: ignore[misc]
                wanted,
                lambda: light(rig),
                once="",
                exchanges=4 + round(switch.settle_timeout / rig.plan.timeout),
            )

    def _replace(self, rig: Rig, switch: hal.OpticalSwitch, wanted: dict[int, int]) -> None:
        switch.replace(wanted)
        until(lambda: light(rig) == wanted, switch.settle_timeout, rig.clock)  # a verified map may be dark yet

    def out_of_range(self, rig: Rig) -> list[tuple[Callable[[], object], type[Exception]]]:
        """Ports that do not exist, and an output that stands twice."""
        switch = opened(rig)
        size = switch.size()
        pairs = [(0, 1), (1, 0), (size.inputs + 1, 1), (1, size.outputs + 1), (-1, 1), (True, 1)]
        calls: list[Callable[[], object]] = [
            *(lambda i=i, o=o: switch.connect(i, o) for i, o in pairs),
            *(lambda i=i, o=o: switch.replace({i: o}) for i, o in pairs),
            lambda: switch.disconnect(size.inputs + 1),
        ]
        if size.inputs > 1:
            calls.append(lambda: switch.replace({1: 1, 2: 1}))
        return [*super().out_of_range(rig), *((call, hal.RangeError) for call in calls)]

    def state(self, rig: Rig) -> object:
        """The light's ways."""
        return light(rig)

    def truth_after(self, rig: Rig, order: Order) -> object:
        """Return the light's ways once nothing moves any more."""
        seen = [light(rig)]

        def still() -> bool:
            seen.append(light(rig))
            return len(seen) > 20 and len({tuple(sorted(found.items())) for found in seen[-20:]}) == 1

        until(still, clock=rig.clock)
        return order.truth()

    def test_pairs_are_made_and_parted_one_by_one(self, rig: Rig) -> None:
        """Connect joins two free ports, refuses taken ones before anything is sent, and disconnect parts them."""
        switch = opened(rig)
        size = switch.size()
        if not can_part(switch):
            self._check_never_parted(rig, switch)
            return
        switch.disconnect_all()
        assert switch.connections() == {}
        switch.connect(1, 1)
        switch.connect(1, 1)
        assert switch.connections() == {1: 1}
        taken = [(1, min(2, size.outputs)), (min(2, size.inputs), 1)]
        for i, o in taken:
            if (i, o) == (1, 1):
                continue
            with rig.listening() as written, pytest.raises(hal.RefusedError):
                switch.connect(i, o)
            assert all(self.plan.is_query(text) for text in written)
        assert switch.connections() == {1: 1}
        assert until(lambda: light(rig) == {1: 1}, switch.settle_timeout, rig.clock)
        switch.disconnect(1)
        switch.disconnect(1)
        assert switch.connections() == light(rig) == {}

    def _check_never_parted(self, rig: Rig, switch: hal.OpticalSwitch) -> None:
        whole = switch.connections()
        switch.connect(1, whole[1])
        with rig.listening() as written:
            for part in (switch.disconnect_all, lambda: switch.disconnect(1)):
                assert isinstance(rig.call(part, exchanges=2), hal.UnsupportedError)
        assert all(self.plan.is_query(text) for text in written)
        assert switch.connections() == whole

    def test_an_interlock_is_enforced_before_anything_is_sent(self, rig: Rig) -> None:
        """Classical light does not reach a receiver that is not shuttered, unless it is forced with a reason."""
        switch = opened(rig)
        before = switch.connections()
        target = next(o for o in range(1, switch.size().outputs + 1) if before.get(1) != o)
        open_receiver = hal.LightInterlock("test", frozenset({1}), {target: lambda: False})
        switch.add_interlock(open_receiver)
        wanted = next(found for found in full_maps(switch) if found.get(1) == target)
        with rig.listening() as written:
            outcome = rig.call(lambda: switch.replace(wanted), exchanges=4)
        assert isinstance(outcome, hal.InterlockError)
        assert all(self.plan.is_query(text) for text in written)
        assert switch.connections() == before
        switch.replace(wanted, force="conformance")
        assert switch.connections() == wanted

    def test_what_a_switch_may_lack_is_there_or_unsupported(self, rig: Rig) -> None:
        """Port states, power monitors and boot mode work where they are declared, and say so where they are not."""
        switch = opened(rig)
        asked: dict[hal.SwitchCapability, Callable[[], object]] = {
            hal.SwitchCapability.PORT_STATES: switch.port_states,
            hal.SwitchCapability.POWER_MONITORS: switch.port_powers,
            hal.SwitchCapability.BOOT_MODE: switch.boot_mode,
        }
        for capability, ask in asked.items():
            outcome = rig.call(ask, exchanges=3)
            if capability not in switch.capabilities or isinstance(outcome, hal.TokaidoError):
                assert isinstance(outcome, hal.UnsupportedError), outcome
        if hal.SwitchCapability.BOOT_MODE in switch.capabilities:
            for mode in hal.BootMode:
                switch.set_boot_mode(mode)
                assert switch.boot_mode() is mode
        if hal.SwitchCapability.PORT_STATES in switch.capabilities:
            port, state = next(iter(switch.port_states().items()))
            switch.set_port_enabled(port, state is not hal.PortState.ENABLED)
            assert switch.port_states()[port] is not state
            switch.set_port_enabled(port, state is hal.PortState.ENABLED)
            assert switch.port_states()[port] is state


def opened(rig: Rig) -> hal.OpticalSwitch:
    """Return the driver as the switch that it is."""
    return cast("hal.OpticalSwitch", rig.device)


def light(rig: Rig) -> dict[int, int]:
    """Return output by input as the light goes, or as the driver says where the model shows no light."""
    switch = opened(rig)
    found = rig.light(switch.size().inputs)
    return switch.connections() if found is None else found


def random_map(switch: hal.OpticalSwitch, chance: random.Random) -> dict[int, int]:
    """Return any map that the switch can have."""
    size = switch.size()
    inputs, outputs = range(1, size.inputs + 1), range(1, size.outputs + 1)
    most = min(size.inputs, size.outputs)
    count = chance.randint(0, min(most, MOST_PAIRS)) if can_part(switch) else most
    return dict(zip(sorted(chance.sample(inputs, count)), chance.sample(outputs, count), strict=True))


def full_maps(switch: hal.OpticalSwitch) -> Iterator[dict[int, int]]:
    """Return maps in which input 1 leads to each output in turn."""
    size = switch.size()
    for shift in range(size.outputs):
        count = 1 if can_part(switch) else min(size.inputs, size.outputs)
        yield {i: (i - 1 + shift) % size.outputs + 1 for i in range(1, count + 1)}


def can_part(switch: hal.OpticalSwitch) -> bool:
    """Whether an input may be without an output."""
    return hal.SwitchCapability.DISCONNECT in switch.capabilities
