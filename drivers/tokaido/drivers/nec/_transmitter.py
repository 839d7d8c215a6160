"""The NEC-style transmitter: docs/protocols/nec.md, section 4.2."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import tokaido.hal as hal
from tokaido.drivers.nec._unit import NecUnit
from tokaido.hal.driver import measured, query, setting, unsupported

if TYPE_CHECKING:
    from collections.abc import Sequence


class TransmitterChannel(hal.SubChannel):
    """One laser of the transmitter, on a wavelength of its own."""

    enabled = setting(bool, "STAT", words=("OFF", "ON"), states=hal.SETUP)
    """Control whether the sub-channel is used. It takes effect with the next session."""
    wavelength = measured(float, "WAV", unit="nm")
    """Measure the wavelength: 1546.92 nm for the first, and 0.80 nm more for each next."""
    power = measured(float, "POW", unit="dBm", operational=(-3, 1), absolute=(-6, 3))
    """Measure the power of the laser; nothing when it does not emit."""
    bias_current = measured(float, "CURR", unit="mA", operational=(20, 90), absolute=(0, 150))
    """Measure the bias current of the laser."""
    temperature = measured(float, "TEMP", unit="degC", operational=(24.9, 25.1), absolute=(24, 26))
    """Measure the temperature of the laser."""


class Transmitter(NecUnit, hal.Transmitter):
    """NEC-style time-bin transmitter TB-TX, with 1 to 8 sub-channels."""

    models = re.compile(r"TB-TX(?P<channels>[1-8])")

    emitting = query(bool, "SOUR:EMIS")
    """Get whether it emits."""
    random_generator_healthy = query(bool, "SOUR:RAND")
    """Get the health of the random generator."""

    laser_power = measured(float, "FETC:POW", unit="dBm", operational=(-3, 10), absolute=(-6, 13))
    """Measure the power of all sub-channels together at the multiplexer's monitor."""
    laser_bias_current = unsupported(float, "each sub-channel has its own, sub_channels[0].bias_current")
    """Not here: each sub-channel has a bias current of its own."""
    laser_temperature = measured(float, "FETC:TEMP:LAS", unit="degC", operational=(24.9, 25.1), absolute=(24, 26))
    """Measure the temperature of the plate that carries the lasers; its set point is 25 degC."""
    output_power = measured(float, "FETC:POW:ATT", unit="dBm", operational=(-75, -50), absolute=(-90, -40))
    """Measure the mean power behind the attenuator."""
    clock_rate = measured(float, "SOUR:RATE", unit="Hz")
    """Measure the pulse rate of each sub-channel."""
    signal_probability = measured(float, "SOUR:PROB:SIGN", unit="")
    """Measure the probability of the signal state: what decoy and vacuum state leave."""

    attenuation = setting(float, "SOUR:ATT", unit="dB", range=(0, 60), states=hal.SETUP)
    """Control the attenuator behind the multiplexer, 0 to 60 dB. Read back after every write."""
    signal_mean_photon_number = setting(float, "SOUR:PHOT:SIGN", unit="photon/pulse", range=(0.05, 1), states=hal.SETUP)
    """Control the mean photon number of the signal state, 0.05 to 1."""
    decoy_mean_photon_number = setting(float, "SOUR:PHOT:DEC", unit="photon/pulse", range=(0.01, 0.5), states=hal.SETUP)
    """Control the mean photon number of the decoy state, 0.01 to 0.5, below the signal's."""
    vacuum_mean_photon_number = setting(float, "SOUR:PHOT:VAC", unit="photon/pulse", range=(0, 0.01), states=hal.SETUP)
    """Control the mean photon number of the vacuum state, 0 to 0.01, below the decoy's."""
    decoy_probability = setting(float, "SOUR:PROB:DEC", unit="", range=(0.001, 0.6), states=hal.SETUP)
    """Control the probability of the decoy state, 0.001 to 0.6."""
    vacuum_probability = setting(float, "SOUR:PROB:VAC", unit="", range=(0.001, 0.4), states=hal.SETUP)
    """Control the probability of the vacuum state, 0.001 to 0.4."""

    @property
    def sub_channels(self) -> Sequence[TransmitterChannel]:
        """The sub-channels, as many as the model has; `sub_channels[0]` is CHANnel1."""
        count = int(self._model()["channels"])
        return tuple(TransmitterChannel(self, f"sub_channels[{i}]", f"CHAN{i + 1}:") for i in range(count))
