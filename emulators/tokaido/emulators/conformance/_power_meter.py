"""What is asked of a power meter: it tells the light that enters its model, and no light that is not there."""

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

LIT_DBM = -10.0
LEVELS_DBM = (-50.0, -30.0, LIT_DBM, 0.0)
DARK_DBM = -60.0
"""Nothing above it may be told in the dark."""
ZERO_EXCHANGES = 40


class PowerMeterContract(Contract):
    """Light of several powers is let into the model, and the meter must tell it.

    A model of a power meter has the port `in`, takes note of light there, and tells its `wavelength_nm`.
    """

    def questions(self, rig: Rig) -> list[Question]:
        """Identity, power and wavelength."""
        device = opened(rig)
        lit(rig, LIT_DBM)
        return [
            Question("power", lambda: round(device.power, 2), lambda: LIT_DBM),
            *super().questions(rig),
            Question("wavelength", lambda: device.wavelength, lambda: wavelength(rig)),
        ]

    def orders(self, rig: Rig) -> Iterator[Order]:
        """Wavelengths, each other than the one before."""
        device, first = opened(rig), wavelength(rig)
        for step in itertools.count(1):
            wanted = round(first - (step * 3.7) % 50, 1)
            yield Order(
                f"wavelength = {wanted}",
                lambda wanted=wanted: setattr(device, "wavelength", wanted),  # type: ignore[misc]
                wanted,
                lambda: wavelength(rig),
                once="",
            )

    def state(self, rig: Rig) -> object:
        """What the sensor is set to."""
        return wavelength(rig)

    def test_it_tells_the_light_that_enters(self, rig: Rig) -> None:
        """Levels over five decades are told to 0.05 dB, in whatever order they come."""
        device = opened(rig)
        for power_dbm in (*LEVELS_DBM, *reversed(LEVELS_DBM)):
            lit(rig, power_dbm)
            got = device.power
            rig.compare("power", got, got == pytest.approx(power_dbm, abs=0.05), truth=power_dbm)

    def test_in_the_dark_it_tells_no_light(self, rig: Rig) -> None:
        """Without light it has no data, or a level that is none; never the level of before."""
        device = opened(rig)
        lit(rig, LIT_DBM)
        assert device.power == pytest.approx(LIT_DBM, abs=0.05)
        lit(rig, None)
        got = rig.call(lambda: device.power)
        assert isinstance(got, hal.NoDataError) or (isinstance(got, float) and got < DARK_DBM), got

    def test_its_safe_state_is_the_one_it_is_in(self, rig: Rig) -> None:
        """A meter sends no light: its safe state sends nothing."""
        with rig.listening() as written:
            opened(rig).apply_safe_state()
        assert written == []

    def test_a_range_is_held_or_unsupported(self, rig: Rig) -> None:
        """A range holds what was asked for and no more, light beyond it is not told, and the choice can be left."""
        device = opened(rig)
        lit(rig, -40.0)
        if hal.PowerMeterCapability.RANGES not in device.capabilities:
            assert isinstance(rig.call(lambda: device.set_range(-30.0)), hal.UnsupportedError)
            return
        rig.unhurry()
        limit = device.set_range(-38.0)
        assert limit == device.range_limit >= -38.0
        assert device.auto_range is False
        assert device.power == pytest.approx(-40.0, abs=0.05)
        lit(rig, limit + 3.0)
        got = rig.call(lambda: device.power)
        assert isinstance(got, hal.NoDataError), f"{got!r} beyond a range that ends at {limit!r} dBm"
        device.auto_range = True
        assert device.power == pytest.approx(limit + 3.0, abs=0.05)

    def test_a_range_that_is_none_is_refused_before_anything_is_sent(self, rig: Rig) -> None:
        """A power that is not a finite number is refused, whether the meter has ranges or not."""
        device = opened(rig)
        for power in (float("nan"), "x"):
            with rig.listening() as written, pytest.raises((hal.ValueTypeError, hal.RangeError, hal.UnsupportedError)):
                device.set_range(cast("float", power))
            assert written == []

    def test_averaging_is_set_or_unsupported(self, rig: Rig) -> None:
        """The number of samples reads back, where averaging is declared, and the power is still told."""
        device = opened(rig)
        if hal.PowerMeterCapability.AVERAGING not in device.capabilities:
            assert isinstance(rig.call(lambda: device.averaging), hal.UnsupportedError)
            return
        lit(rig, LIT_DBM)
        for wanted in (10, 1):
            device.averaging = wanted
            assert device.averaging == wanted
            assert device.power == pytest.approx(LIT_DBM, abs=0.05)

    def test_a_zero_adjustment_ends_or_is_unsupported(self, rig: Rig) -> None:
        """In the dark the meter can be told that this is zero; the light that comes then is told as it is."""
        device = opened(rig)
        lit(rig, None)
        got = rig.call(device.zero, exchanges=ZERO_EXCHANGES)
        if hal.PowerMeterCapability.ZERO not in device.capabilities:
            assert isinstance(got, hal.UnsupportedError)
            return
        assert got is None
        lit(rig, LEVELS_DBM[0])
        assert device.power == pytest.approx(LEVELS_DBM[0], abs=0.05)


def opened(rig: Rig) -> hal.PowerMeter:
    """Return the driver as the power meter that it is."""
    return cast("hal.PowerMeter", rig.device)


def lit(rig: Rig, power_dbm: float | None) -> None:
    """Let light of a power into the model; None: darkness."""
    rig.witness(lambda model: model.note_light({} if power_dbm is None else {"in": power_dbm}))


def wavelength(rig: Rig) -> float:
    """Return the wavelength that the model's sensor is set to, in nm."""
    return round(float(rig.witness(lambda model: model.wavelength_nm)), 3)
