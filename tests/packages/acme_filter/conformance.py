"""What is asked of every filter: it passes the light that the driver says."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, cast

import tokaido.hal as hal
from acme_filter.role import FilterCapability, TunableFilter
from tokaido.emulators.conformance import Contract, Order, Question, Rig

if TYPE_CHECKING:
    from collections.abc import Iterator


class FilterContract(Contract):
    """Centres are set and read back, and compared with the model.

    A model of a filter has the ports `in` and `out`, and tells its `centre_nm`.
    """

    def questions(self, rig: Rig) -> list[Question]:
        """Identity and centre."""
        device = opened(rig)
        centre = Question("centre", lambda: device.centre, lambda: passes(rig))
        return [centre, *super().questions(rig), centre]

    def orders(self, rig: Rig) -> Iterator[Order]:
        """Centres, each other than the one before."""
        device, (low, high) = opened(rig), type(opened(rig)).centre.range or (0.0, 0.0)
        for step in itertools.count(1):
            wanted = round(low + (step * 0.37) % (high - low), 2)
            yield Order(
                f"centre = {wanted}",
                lambda wanted=wanted: setattr(device, "centre", wanted),  # type: ignore[misc]
                wanted,
                lambda: passes(rig),
                once="",
            )

    def state(self, rig: Rig) -> object:
        """Which light gets through."""
        return passes(rig)

    def test_its_safe_state_lets_no_light_through(self, rig: Rig) -> None:
        """The shutter closes on request, and the centre stays."""
        device = opened(rig)
        device.centre = 1540.5
        device.apply_safe_state()
        assert device.blocked
        assert passes(rig) is None
        device.blocked = False
        assert passes(rig) == device.centre == 1540.5

    def test_a_power_monitor_is_there_or_unsupported(self, rig: Rig) -> None:
        """The power behind the filter is told where that is declared."""
        got = rig.call(lambda: opened(rig).output_power)
        declared = FilterCapability.POWER_MONITOR in rig.device.capabilities
        assert isinstance(got, float if declared else hal.UnsupportedError)


def opened(rig: Rig) -> TunableFilter:
    """Return the driver as the filter that it is."""
    return cast("TunableFilter", rig.device)


def passes(rig: Rig) -> float | None:
    """Return which wavelength gets from `in` to `out` best, in nm; None if no light gets through."""
    way = rig.witness(lambda model: model.through("in", "quantum"))
    return None if way is None else round(rig.witness(lambda model: model.centre_nm), 2)
