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


# --- in a station file ----------------------------------------------------------------------------------------------

STATION = """
[devices.edfa]
driver = "fiberlabs.amplifier"
control = "{edfa}"

[devices.bob]
driver = "toshiba.receiver"
control = "{bob}"

[interlocks.backbone]
amplifier = "edfa"
receivers = ["bob"]
"""


@pytest.fixture
def station() -> Iterator[hal.Station]:
    with launch("fiberlabs.amplifier") as edfa, launch("toshiba.receiver", warm=True) as bob:
        text = STATION.format(edfa=edfa.resources["control"], bob=bob.resources["control"])
        with hal.Station.from_text(text) as station:
            yield station


def test_a_station_file_gives_an_amplifier_its_interlock(station: hal.Station) -> None:
    edfa, bob = station.device("edfa", hal.OpticalAmplifier), station.device("bob", hal.Receiver)
    with pytest.raises(hal.InterlockError, match="interlock backbone: its light may reach bob"):
        edfa.enabled = True
    bob.power_off()
    edfa.enabled = True
    assert edfa.enabled is True


def test_a_receiver_of_that_table_does_not_open_while_the_amplifier_is_on(
    station: hal.Station, caplog: pytest.LogCaptureFixture
) -> None:
    edfa, bob = station.device("edfa", hal.OpticalAmplifier), station.device("bob", hal.Receiver)
    edfa.enable(force="nothing is plugged in")
    with pytest.raises(hal.InterlockError, match=r"opens the shutter, and the amplifier edfa.*is switched on"):
        bob.shutter = hal.Shutter.OPEN
    assert bob.shutter is hal.Shutter.CLOSED
    with caplog.at_level(logging.WARNING, "tokaido.hal.interlock"), bob.interlocks_forced("nothing is plugged in"):
        bob.shutter = hal.Shutter.OPEN
    assert "interlock backbone FORCED (nothing is plugged in)" in caplog.text
    bob.shutter = hal.Shutter.CLOSED
    edfa.enabled = False
    bob.shutter = hal.Shutter.OPEN


def test_an_amplifier_that_cannot_be_asked_counts_as_on() -> None:
    with launch("toshiba.receiver", warm=True) as box:
        text = STATION.format(edfa="serial:/dev/nowhere", bob=box.resources["control"])
        with hal.Station.from_text(text) as station, pytest.raises(hal.InterlockError, match="counts as on"):
            station.device("bob", hal.Receiver).align()


@pytest.mark.parametrize(
    ("table", "mistake"),
    [
        ('amplifier = "bob"\nreceivers = ["bob"]', "bob does not fill the role OpticalAmplifier"),
        ('amplifier = "edfa"', "must list those that its light may reach"),
        ('amplifier = "edfa"\nreceivers = []', "must list those that its light may reach"),
        ('amplifier = "edfa"\nreceivers = ["edfa"]', "edfa does not fill the role Receiver"),
        ('amplifier = "edfa"\nreceivers = ["carol"]', "there is no device 'carol'"),
        ('amplifier = "edfa"\nreceivers = [["bob"]]', "there is no device"),
        ('amplifier = "edfa"\nreceivers = ["bob"]\noutput = 1', "unknown key"),
        ('amplifier = "edfa"\nswitch = "edfa"\nreceivers = ["bob"]', "edfa does not fill the role OpticalSwitch"),
        ('receivers = ["bob"]', "or amplifier and receivers"),
    ],
)
def test_mistakes_in_that_table_are_told_with_what_to_do(table: str, mistake: str) -> None:
    text = STATION.split("[interlocks", maxsplit=1)[0].format(edfa="serial:/dev/a", bob="serial:/dev/b")
    with pytest.raises(hal.ConfigurationError) as refused:
        hal.Station.from_text(f"{text}[interlocks.backbone]\n{table}\n")
    assert any(mistake in told for told in refused.value.mistakes), refused.value.mistakes
