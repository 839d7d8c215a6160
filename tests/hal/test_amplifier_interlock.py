"""No amplifier is switched on towards an open single-photon receiver, however the order is given."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np
import pytest

import tokaido.hal as hal
from tokaido.emulators import launch

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def amplifier() -> Iterator[hal.OpticalAmplifier]:
    with (
        launch("fiberlabs.amplifier", wire_end="emu") as box,
        hal.OpticalAmplifier.open("fiberlabs.amplifier", **box.resources) as amplifier,
    ):
        yield amplifier


def unreadable() -> bool:
    raise hal.DeviceTimeoutError("no reply")


def test_it_is_switched_on_when_every_receiver_is_shuttered(amplifier: hal.OpticalAmplifier) -> None:
    amplifier.add_interlock(hal.AmplifierInterlock("lab", {"bob": lambda: True, "charlie": lambda: True}))
    amplifier.enabled = True
    assert amplifier.enabled is True


@pytest.mark.parametrize("yes", [True, np.True_])
def test_an_open_receiver_keeps_it_off_whatever_says_yes(amplifier: hal.OpticalAmplifier, yes: bool) -> None:
    amplifier.add_interlock(hal.AmplifierInterlock("lab", {"bob": lambda: False}))
    with pytest.raises(hal.InterlockError, match="its light may reach bob, which is not shuttered; nothing was sent"):
        amplifier.enabled = yes
    with pytest.raises(hal.InterlockError):
        amplifier.write(hal.OpticalAmplifier.enabled, yes)
    amplifier.enabled = False
    assert amplifier.enabled is False


def test_a_receiver_that_cannot_be_asked_counts_as_open(amplifier: hal.OpticalAmplifier) -> None:
    amplifier.add_interlock(hal.AmplifierInterlock("lab", {"bob": unreadable}))
    with pytest.raises(hal.InterlockError, match="cannot be read and so counts as open"):
        amplifier.enable()


def test_it_is_forced_with_a_reason_that_is_logged(
    amplifier: hal.OpticalAmplifier, caplog: pytest.LogCaptureFixture
) -> None:
    amplifier.add_interlock(hal.AmplifierInterlock("lab", {"bob": lambda: False}))
    with caplog.at_level(logging.WARNING, logger="tokaido.hal.interlock"):
        amplifier.enable(force="bob's fibre is in a drawer")
    assert amplifier.enabled is True
    assert "FORCED (bob's fibre is in a drawer)" in caplog.text
