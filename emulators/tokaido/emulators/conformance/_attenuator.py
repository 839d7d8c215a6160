"""What is asked of a variable attenuator: the light in its model is as weak as the driver says."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, cast

import pytest

import tokaido.hal as hal
from tokaido.emulators.conformance._contract import Contract
from tokaido.emulators.conformance._questions import Order, Question

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tokaido.emulators.conformance._rig import Rig

ENTERS_DBM = 3.0
"""Power of the light that the suite lets into the model, for its monitor."""
LOST_DB = 5.0


class AttenuatorContract(Contract):
    """Attenuations are set and read back, and compared with the light.

    A model of an attenuator has the ports `in` and `out`, and tells its loss at 0 dB by `insertion_loss_db`.
    """

    def questions(self, rig: Rig) -> list[Question]:
        """Identity, attenuation and shutter."""
        device = opened(rig)
        return [
            Question("attenuation", lambda: device.attenuation, lambda: light(rig)),
            *super().questions(rig),
            Question("attenuation", lambda: device.attenuation, lambda: light(rig)),
        ]

    def orders(self, rig: Rig) -> Iterator[Order]:
        """Attenuations, each other than the one before."""
        device, (low, high) = opened(rig), limits(rig)
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

    def test_it_attenuates_over_its_whole_range(self, rig: Rig) -> None:
        """Both ends of the declared range can be set, and the light is as weak as that."""
        device = opened(rig)
        rig.unhurry()
        for wanted in limits(rig):
            device.attenuation = wanted
            rig.compare("the light", light(rig), light(rig) == wanted, truth=wanted)
            assert device.attenuation == pytest.approx(wanted, abs=0.01)

    def test_its_shutter_lets_no_light_through(self, rig: Rig) -> None:
        """Light is gone as soon as the shutter is said to be closed, and back at the same attenuation."""
        device = opened(rig)
        device.attenuation = 2.5
        for closed in (True, False):
            device.blocked = closed
            assert device.blocked is closed
            assert light(rig) == (None if closed else 2.5)

    def test_its_safe_state_lets_no_light_through(self, rig: Rig) -> None:
        """The shutter closes on request, and the attenuation stays."""
        device = opened(rig)
        device.attenuation = 2.5
        device.blocked = False
        device.apply_safe_state()
        assert device.blocked
        assert light(rig) is None
        device.blocked = False
        assert light(rig) == device.attenuation == 2.5

    def test_a_power_monitor_sees_what_leaves(self, rig: Rig) -> None:
        """The power behind the attenuator falls as the attenuation rises, where a monitor is declared."""
        device = opened(rig)
        rig.witness(lambda model: model.note_light({"in": ENTERS_DBM}))
        device.blocked, device.attenuation = False, 1.0
        before = rig.call(lambda: device.output_power)
        if hal.AttenuatorCapability.POWER_MONITOR not in device.capabilities:
            assert isinstance(before, hal.UnsupportedError)
            return
        assert isinstance(before, float), before
        assert before == pytest.approx(ENTERS_DBM - 1.0 - rig.witness(lambda model: model.insertion_loss_db), abs=0.05)
        device.attenuation = 1.0 + LOST_DB
        assert device.output_power == pytest.approx(before - LOST_DB, abs=0.05)

    def test_a_wavelength_is_set_and_moves_no_filter(self, rig: Rig) -> None:
        """The wavelength reads back and leaves the attenuation alone, where it is declared."""
        device = opened(rig)
        device.attenuation = 2.5
        got = rig.call(lambda: device.wavelength)
        if hal.AttenuatorCapability.WAVELENGTH not in device.capabilities:
            assert isinstance(got, hal.UnsupportedError)
            return
        low, high = type(device).wavelength.range or (1310.0, 1550.0)
        for wanted in (low, high):
            device.wavelength = wanted
            assert device.wavelength == pytest.approx(wanted, abs=0.01)
            assert light(rig) == device.attenuation == 2.5

    def test_an_insertion_loss_is_told_or_unsupported(self, rig: Rig) -> None:
        """The loss at 0 dB is that of the model, where it is declared."""
        got = rig.call(lambda: opened(rig).insertion_loss)
        if hal.AttenuatorCapability.INSERTION_LOSS in rig.device.capabilities:
            assert got == pytest.approx(rig.witness(lambda model: model.insertion_loss_db), abs=0.05)
        else:
            assert isinstance(got, hal.UnsupportedError)


def opened(rig: Rig) -> hal.VariableAttenuator:
    """Return the driver as the attenuator that it is."""
    return cast("hal.VariableAttenuator", rig.device)


def limits(rig: Rig) -> tuple[float, float]:
    """Return the least and the most attenuation that the driver declares, in dB."""
    declared = type(opened(rig)).attenuation.range
    assert declared is not None, "an attenuation is declared with its range"
    return declared


def light(rig: Rig) -> float | None:
    """Return what the model takes away of light from `in` to `out`, in dB; None if no light gets through."""
    way = rig.witness(lambda model: model.through("in", "quantum"))
    return None if way is None else round(way[1] - rig.witness(lambda model: model.insertion_loss_db), 2)
