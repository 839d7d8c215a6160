"""The NEC-style receiver: docs/protocols/nec.md, section 4.3."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import tokaido.hal as hal
from tokaido.drivers.nec._unit import NecUnit
from tokaido.hal.driver import measured, query, setting, unsupported

if TYPE_CHECKING:
    from collections.abc import Sequence

DAY_S = 86_400


class ReceiverChannel(hal.SubChannel):
    """One wavelength of the receiver, with two detectors."""

    enabled = setting(bool, "STAT", words=("OFF", "ON"), states=hal.SETUP)
    """Control whether the sub-channel is used. It takes effect with the next session."""
    wavelength = measured(float, "WAV", unit="nm")
    """Measure the wavelength: 1546.92 nm for the first, and 0.80 nm more for each next."""
    visibility = measured(float, "VIS", unit="", operational=(0.95, 1), absolute=(0.8, 1))
    """Measure the visibility of the interference, a fraction; nothing without light or when it is off."""
    count_rate = measured(float, "COUN", unit="1/s")
    """Measure the counts of both detectors over the last second."""


class NanowireDetector(hal.Detector):
    """One superconducting nanowire of a TB-RX8S. It runs freely and has no gate."""

    temperature = measured(float, "TEMP", unit="K", operational=(2.1, 2.3), absolute=(1.9, 2.5))
    """Measure the temperature of the nanowire in K; its set point is 2.2 K."""
    efficiency = measured(float, "EFF", unit="", operational=(0.4, 0.6), absolute=(0.1, 0.9))
    """Measure the detection efficiency at the present bias, a fraction."""
    count_rate = measured(float, "COUN", unit="1/s")
    """Measure the counts over the last second."""
    dark_count_rate = measured(float, "DARK", unit="1/s", operational=(0, 500), absolute=(0, 5000), stale_after_s=DAY_S)
    """Measure the dark counts per second, at the last alignment."""
    bias = setting(float, "BIAS", unit="uA", range=(0, 40), states=hal.SETUP)
    """Control the bias current, 0 to 40 uA. Alignment sets it."""
    gate_delay = unsupported(float, "a nanowire runs freely and has no gate")
    """Not here: a nanowire has no gate."""
    dead_time = setting(float, "DEAD", unit="ns", range=(0, 10_000), states=hal.SETUP)
    """Control the dead time, 0 to 10000 ns."""


class AvalancheDetector(hal.Detector):
    """One gated avalanche photodiode of a TB-RX8A."""

    temperature = measured(float, "TEMP", unit="degC", operational=(-50.5, -49.5), absolute=(-52, -48))
    """Measure the temperature of the detector; its set point is -50 degC."""
    efficiency = measured(float, "EFF", unit="", operational=(0.1, 0.25), absolute=(0.05, 0.35))
    """Measure the detection efficiency at the present bias, a fraction."""
    count_rate = measured(float, "COUN", unit="1/s")
    """Measure the counts over the last second."""
    dark_count_rate = measured(
        float, "DARK", unit="1/s", operational=(0, 10_000), absolute=(0, 50_000), stale_after_s=DAY_S
    )
    """Measure the dark counts per second, at the last alignment."""
    bias = setting(float, "BIAS", unit="V", range=(0, 80), states=hal.SETUP)
    """Control the bias voltage, 0 to 80 V. Alignment sets it."""
    gate_delay = setting(float, "DEL", unit="ps", range=(0, 1000), states=hal.SETUP)
    """Control the delay of the detection gate, 0 to 1000 ps. Alignment sets it."""
    dead_time = setting(float, "DEAD", unit="ns", range=(0, 10_000), states=hal.SETUP)
    """Control the dead time, 0 to 10000 ns."""


class Receiver(NecUnit, hal.Receiver):
    """NEC-style time-bin receiver TB-RX, with 1 to 8 sub-channels of two detectors each.

    Model names that end in S have superconducting nanowires, those in A avalanche photodiodes.
    """

    models = re.compile(r"TB-RX(?P<channels>[1-8])(?P<kind>[SA])")
    capabilities = NecUnit.capabilities | {hal.Capability.GATED_DETECTORS}

    clock_locked = query(bool, "SENS:CLOC:LOCK")
    """Get whether the clock is locked to the transmitter's."""

    shutter = setting(hal.Shutter, "INP:SHUT", states=hal.SETUP)
    """Control the shutter at the quantum input. Alignment opens it."""
    interferometer_set_point = setting(
        float, "SENS:INT:TEMP", unit="degC", range=(20, 40), resolution=0.001, states=hal.SETUP
    )
    """Control the set point of the interferometer's temperature, 20 to 40 degC, to 0.001. Alignment sets it.

    The phase moves by 3.4 rad a degree.
    """
    interferometer_temperature = measured(float, "FETC:TEMP:INT", unit="degC", operational=(20, 40), absolute=(15, 45))
    """Measure the temperature of the interferometer."""
    interferometer_phase = measured(float, "FETC:PHAS", unit="rad", operational=(-0.2, 0.2), absolute=(-3.2, 3.2))
    """Measure the phase error that the controller sees."""
    visibility = measured(float, "FETC:VIS", unit="", operational=(0.95, 1), absolute=(0.8, 1))
    """Measure the visibility, a fraction: the mean over the sub-channels that are on."""
    ones_share = measured(float, "FETC:ONES", unit="", operational=(0.487, 0.513), absolute=(0.4, 0.6))
    """Measure the share of ones among the key-basis bits of the last block: its two detectors should hear alike."""
    clock_power = measured(float, "FETC:CLOC:POW", unit="dBm", operational=(-35, -5), absolute=(-45, 0))
    """Measure the clock light that arrives."""
    channel_loss = measured(float, "FETC:LOSS", unit="dB")
    """Measure the loss of the channel, from the clock light."""

    @property
    def sub_channels(self) -> Sequence[ReceiverChannel]:
        """The sub-channels, as many as the model has; `sub_channels[0]` is CHANnel1."""
        count = int(self._model()["channels"])
        return tuple(ReceiverChannel(self, f"sub_channels[{i}]", f"CHAN{i + 1}:") for i in range(count))

    @property
    def detectors(self) -> Sequence[NanowireDetector | AvalancheDetector]:
        """The detectors, two for each sub-channel; `detectors[0]` is DETector1, of the first sub-channel."""
        model = self._model()
        kind = NanowireDetector if model["kind"] == "S" else AvalancheDetector
        return tuple(kind(self, f"detectors[{i}]", f"DET{i + 1}:") for i in range(2 * int(model["channels"])))

    def _learn(self, found: hal.Identity) -> None:
        super()._learn(found)
        if self._model()["kind"] == "S":
            self.capabilities = type(self).capabilities - {hal.Capability.GATED_DETECTORS}
