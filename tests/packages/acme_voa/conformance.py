"""What is asked of every attenuator: the light in its model is as strong as the driver says."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, cast

import tokaido.hal as hal
from acme_voa.role import AttenuatorCapability, VariableAttenuator
from tokaido.emulators.conformance import Contract, Order, Question, Rig

if TYPE_CHECKING:
    from collections.abc import Iterator


class AttenuatorContract(Contract):
    """Attenuations are set and read back, and compared with the light.

    A model of an attenuator has the ports `in` and `out`, and tells its loss at 0 dB by `insertion_loss_db`.
    """

    def questions(self, rig: Rig) -> list[Question]:
        """Identity and attenuation."""
        device = opened(rig)
        attenuation = Question("attenuation", lambda: device.attenuation, lambda: light(rig))
        return [attenuation, *super().questions(rig), attenuation]

    def orders(self, rig: Rig) -> Iterator[Order]:
        """Attenuations, each other than the one before."""
        device, (low, high) = opened(rig), type(opened(rig)).attenuation.range or (0.0, 0.0)
        for step in itertools.count(1):
            wanted = round(low + (step * 0.37) % (high - low), 2)
            yield Order(
                f"attenuation = {wanted}",
                lambda wanted=wanted: setattr(device, "attenuation", wanted),  # type: ignore[misc]
                wanted,
                lambda: light(rig),
                once="",
            )

    def state(self, rig: Rig) -> object:
        """How much light gets through."""
        return light(rig)

    def test_its_safe_state_lets_no_light_through(self, rig: Rig) -> None:
        """The shutter closes on request, and the attenuation stays."""
        device = opened(rig)
        device.attenuation = 2.5
        device.apply_safe_state()
        assert device.blocked
        assert light(rig) is None
        device.blocked = False
        assert light(rig) == device.attenuation == 2.5

    def test_a_power_monitor_is_there_or_unsupported(self, rig: Rig) -> None:
        """The power behind the attenuator is told where that is declared."""
        got = rig.call(lambda: opened(rig).output_power)
        declared = AttenuatorCapability.POWER_MONITOR in rig.device.capabilities
        assert isinstance(got, float if declared else hal.UnsupportedError)


def opened(rig: Rig) -> VariableAttenuator:
    """Return the driver as the attenuator that it is."""
    return cast("VariableAttenuator", rig.device)


def light(rig: Rig) -> float | None:
    """Return what the model takes away of light from `in` to `out`, in dB; None if no light gets through."""
    way = rig.witness(lambda model: model.through("in", "quantum"))
    return None if way is None else round(way[1] - rig.witness(lambda model: model.insertion_loss_db), 2)
