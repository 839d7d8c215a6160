"""What is asked of an optical amplifier: the light in its model is as strong as the driver says, and gone when off."""

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

LIT_DBM = -8.0
"""Power of the light that the suite lets into the model."""
POWER_DBM, GAIN_DB, CURRENT_MA = 5.0, 10.0, 200.0
"""What it is set to."""
MODES = {
    hal.AmplifierMode.CONSTANT_GAIN: (hal.AmplifierCapability.CONSTANT_GAIN, "target_gain", GAIN_DB),
    hal.AmplifierMode.CONSTANT_POWER: (hal.AmplifierCapability.CONSTANT_POWER, "target_power", POWER_DBM),
    hal.AmplifierMode.CONSTANT_CURRENT: (hal.AmplifierCapability.CONSTANT_CURRENT, "target_current", CURRENT_MA),
}


class AmplifierContract(Contract):
    """Light is let into the model, and what leaves it is compared with what the driver says and was told.

    A model of an amplifier has the ports `in` and `out`, and tells by `lit_dbm` what light it took note of at `in`.
    """

    alarms_change_settings = True  # a pump that has failed gives no light, whatever is set

    def questions(self, rig: Rig) -> list[Question]:
        """Identity, and the powers at both ends."""
        device = opened(rig)
        lit(rig, LIT_DBM)
        if leaves(rig) is None:
            self._switch_on(rig)
        return [
            Question("output_power", lambda: round(device.output_power, 1), lambda: leaves(rig) or dark(device)),
            *super().questions(rig),
            Question("output_power", lambda: round(device.output_power, 1), lambda: leaves(rig) or dark(device)),
        ]

    def _switch_on(self, rig: Rig) -> hal.AmplifierMode:
        """Hold something, the power if it can, and switch on."""
        device = opened(rig)
        best = hal.AmplifierMode.CONSTANT_POWER
        mode = next(mode for mode in (best, *MODES) if MODES[mode][0] in device.capabilities)
        device.mode = mode
        setattr(device, MODES[mode][1], MODES[mode][2])
        device.enabled = True
        return mode

    def orders(self, rig: Rig) -> Iterator[Order]:
        """Output powers, each other than the one before, where the amplifier holds a power."""
        device = opened(rig)
        lit(rig, LIT_DBM)
        if self._switch_on(rig) is not hal.AmplifierMode.CONSTANT_POWER:
            return
        for step in itertools.count(1):
            wanted = round(POWER_DBM + (step * 0.7) % 4 + 0.1, 1)
            yield Order(
                f"target_power = {wanted}",
                lambda wanted=wanted: setattr(device, "target_power", wanted),  # type: ignore[misc]
                wanted,
                lambda: leaves(rig),
                once="",
            )

    def state(self, rig: Rig) -> object:
        """How strong the light is that leaves."""
        return leaves(rig)

    def test_it_holds_what_each_mode_says(self, rig: Rig) -> None:
        """Power stays as the input changes, gain follows it, current is what was set; other modes are unsupported."""
        device = opened(rig)
        for mode, (capability, target, value) in MODES.items():
            lit(rig, LIT_DBM)
            if capability not in device.capabilities:
                with rig.listening() as written, pytest.raises(hal.UnsupportedError):
                    device.mode = mode
                assert written == []
                assert isinstance(rig.call(lambda target=target: getattr(device, target)), hal.UnsupportedError)  # type: ignore[misc]
                continue
            device.mode = mode
            assert device.mode is mode
            setattr(device, target, value)
            device.enabled = True
            before = leaves(rig)
            assert before is not None
            lit(rig, LIT_DBM - 3.0)
            after = leaves(rig)
            assert after is not None
            assert device.output_power == pytest.approx(after, abs=0.1)
            if mode is hal.AmplifierMode.CONSTANT_POWER:
                assert before == after == pytest.approx(value, abs=0.1)
            elif mode is hal.AmplifierMode.CONSTANT_GAIN:
                assert (before - LIT_DBM, before - after) == pytest.approx((value, 3.0), abs=0.1)
            else:
                assert device.pump_current == pytest.approx(value, rel=0.02)

    def test_it_is_off_when_it_says_so(self, rig: Rig) -> None:
        """Off, no light leaves and no current flows; on, light leaves that is stronger than what entered."""
        device = opened(rig)
        lit(rig, LIT_DBM)
        self._switch_on(rig)
        assert device.enabled is True
        assert (leaves(rig) or LIT_DBM) > LIT_DBM
        device.enabled = False
        assert device.enabled is False
        assert leaves(rig) is None
        assert device.pump_current == pytest.approx(0.0, abs=1.0)

    def test_its_safe_state_is_off(self, rig: Rig) -> None:
        """Light that left is gone once the safe state was applied, and what was set stays."""
        device = opened(rig)
        lit(rig, LIT_DBM)
        mode = self._switch_on(rig)
        assert leaves(rig) is not None
        device.apply_safe_state()
        assert leaves(rig) is None
        assert device.enabled is False
        assert getattr(device, MODES[mode][1]) == MODES[mode][2]

    def test_it_tells_the_light_at_its_input(self, rig: Rig) -> None:
        """The power at the input is told where a monitor is declared, and its loss is an alarm that comes and goes."""
        device = opened(rig)
        got = rig.call(lambda: device.input_power)
        if hal.AmplifierCapability.INPUT_MONITOR not in device.capabilities:
            assert isinstance(got, hal.UnsupportedError)
            return
        for power_dbm in (LIT_DBM, LIT_DBM - 10):
            lit(rig, power_dbm)
            assert device.input_power == pytest.approx(power_dbm, abs=0.1)
            assert hal.AmplifierAlarm.INPUT_LOST not in device.alarms()
        lit(rig, None)
        assert hal.AmplifierAlarm.INPUT_LOST in device.alarms()

    def test_an_interlock_is_enforced_before_anything_is_sent(self, rig: Rig) -> None:
        """It is not switched on towards a receiver that is open, unless it is forced with a reason."""
        device = opened(rig)
        lit(rig, LIT_DBM)
        self._switch_on(rig)
        device.enabled = False
        device.add_interlock(hal.AmplifierInterlock("test", {"bob": lambda: False}))
        with rig.listening() as written, pytest.raises(hal.InterlockError):
            device.enabled = True
        with rig.listening() as more, pytest.raises(hal.InterlockError):
            device.enable()
        assert written == more == []
        assert leaves(rig) is None
        device.enabled = False
        device.enable(force="conformance")
        assert leaves(rig) is not None


def opened(rig: Rig) -> hal.OpticalAmplifier:
    """Return the driver as the amplifier that it is."""
    return cast("hal.OpticalAmplifier", rig.device)


def lit(rig: Rig, power_dbm: float | None) -> None:
    """Let light of a power into the model; None: darkness."""
    rig.witness(lambda model: model.note_light({} if power_dbm is None else {"in": power_dbm}))


def leaves(rig: Rig) -> float | None:
    """Return the power of the classical light that leaves the model, in dBm; None if none does."""
    way = rig.witness(lambda model: model.through("in", "clock"))
    entered_dbm = rig.witness(lambda model: model.lit_dbm)
    return None if way is None or entered_dbm is None else round(entered_dbm - way[1], 1)


def dark(device: hal.OpticalAmplifier) -> float:
    """Return what the monitor tells when no light leaves."""
    return round(device.output_power, 1)
