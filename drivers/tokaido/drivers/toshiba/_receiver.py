"""The Toshiba-style receiver: docs/protocols/toshiba.md, section 6.3."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import tokaido.hal as hal
from tokaido.drivers.toshiba._unit import ToshibaUnit
from tokaido.hal.driver import measured, query, setting

if TYPE_CHECKING:
    from collections.abc import Sequence


class Detector(hal.Detector):
    """One self-differencing avalanche photodiode of the receiver."""

    temperature = measured(float, "TEMP", unit="degC", operational=(-30.5, -29.5), absolute=(-32, -28))
    """Measure the temperature of the detector; its set point is -30 degC."""
    efficiency = measured(float, "EFF", unit="", operational=(0.15, 0.25), absolute=(0.05, 0.35))
    """Measure the detection efficiency at the present bias, a fraction."""
    count_rate = measured(float, "CNT", unit="1/s")
    """Measure the counts over the last second."""
    dark_count_rate = measured(
        float, "DARK", unit="1/s", operational=(0, 40_000), absolute=(0, 100_000), stale_after_s=86_400
    )
    """Measure the dark counts per second, at the last alignment."""
    bias = setting(float, "BIAS", unit="V", range=(0, 70), states=hal.SETUP)
    """Control the bias of the detector, 0 to 70 V."""
    gate_delay = setting(float, "DLY", unit="ps", range=(0, 1000), states=hal.SETUP)
    """Control the delay of the detection gate, 0 to 1000 ps. Alignment sets it."""
    dead_time = setting(float, "DEAD", unit="ns", range=(0, 1000), states=hal.SETUP)
    """Control the dead time, 0 to 1000 ns."""


class Receiver(ToshibaUnit, hal.Receiver):
    """Toshiba-style T12 receiver on its serial console, with two detectors."""

    models = re.compile("T12-RX")
    capabilities = ToshibaUnit.capabilities | {hal.Capability.GATED_DETECTORS}

    clock_locked = query(bool, "CLK:LOCK")
    """Get whether the clock is locked to the transmitter's."""

    shutter = setting(hal.Shutter, "SHT", states=hal.SETUP)
    """Control the shutter at the quantum input. Alignment opens it."""
    visibility = measured(float, "VIS", unit="", operational=(0.95, 1), absolute=(0.8, 1))
    """Measure the visibility of the interference, a fraction."""
    interferometer_temperature = measured(float, "IFM:TEMP", unit="degC", operational=(29.9, 30.1), absolute=(28, 32))
    """Measure the temperature of the interferometer."""
    interferometer_phase = measured(float, "IFM:PHS", unit="rad", operational=(-0.2, 0.2), absolute=(-3.2, 3.2))
    """Measure the phase error that the servo sees."""
    ones_share = measured(float, "ONES", unit="", operational=(0.487, 0.513), absolute=(0.4, 0.6))
    """Measure the share of ones among the key-basis bits of the last block: its two detectors should hear alike."""
    clock_power = measured(float, "CLK:POW", unit="dBm", operational=(-35, -5), absolute=(-45, 0))
    """Measure the clock light that arrives."""
    channel_loss = measured(float, "LOSS", unit="dB")
    """Measure the loss of the channel, from the clock light."""

    @property
    def detectors(self) -> Sequence[Detector]:
        """The two detectors."""
        return tuple(Detector(self, f"detectors[{i}]", f"DET{i}:") for i in range(2))
