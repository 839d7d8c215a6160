"""The Toshiba-style transmitter: docs/protocols/toshiba.md, section 6.2."""

from __future__ import annotations

import re

import tokaido.hal as hal
from tokaido.drivers.toshiba._unit import ToshibaUnit
from tokaido.hal.driver import measured, query, setting


class Transmitter(ToshibaUnit, hal.Transmitter):
    """Toshiba-style T12 transmitter on its serial console."""

    models = re.compile("T12-TX")
    capabilities = ToshibaUnit.capabilities | {hal.Capability.LASER_COOLER, hal.Capability.MODULATOR_BIAS}

    emitting = query(bool, "EMI")
    """Get whether the laser emits."""
    random_generator_healthy = query(bool, "RNG")
    """Get the health of the random generator."""

    laser_power = measured(float, "LAS:POW", unit="dBm", operational=(-3, 1), absolute=(-6, 3))
    """Measure the optical power at the laser monitor."""
    laser_bias_current = measured(float, "LAS:BIAS", unit="mA", operational=(20, 90), absolute=(0, 150))
    """Measure the bias current of the laser."""
    laser_temperature = measured(float, "LAS:TEMP", unit="degC", operational=(24.9, 25.1), absolute=(24, 26))
    """Measure the temperature of the laser; its set point is 25 degC."""
    laser_cooler_current = measured(float, "LAS:TEC", unit="A", operational=(-1, 1), absolute=(-1.5, 1.5))
    """Measure the current of the thermoelectric cooler."""
    modulator_extinction = measured(float, "IM:EXT", unit="dB", operational=(20, 40), absolute=(15, 50))
    """Measure the extinction of the intensity modulator."""
    output_power = measured(float, "MON:POW", unit="dBm", operational=(-75, -60), absolute=(-90, -50))
    """Measure the mean power behind the attenuator."""
    clock_rate = measured(float, "CLK:RATE", unit="Hz")
    """Measure the pulse rate."""
    signal_probability = measured(float, "PRB:SIG", unit="")
    """Measure the probability of the signal state: what decoy and vacuum state leave."""

    attenuation = setting(float, "VOA:ATT", unit="dB", range=(0, 60), states=hal.SETUP)
    """Control the attenuator behind the laser, 0 to 60 dB. Read back after every write."""
    modulator_bias = setting(float, "IM:BIAS", unit="V", range=(-10, 10), states=hal.SETUP)
    """Control the bias of the intensity modulator, -10 to 10 V."""
    signal_mean_photon_number = setting(float, "MU:SIG", unit="photon/pulse", range=(0.05, 1), states=hal.SETUP)
    """Control the mean photon number of the signal state, 0.05 to 1."""
    decoy_mean_photon_number = setting(float, "MU:DEC", unit="photon/pulse", range=(0.01, 0.5), states=hal.SETUP)
    """Control the mean photon number of the decoy state, 0.01 to 0.5, below the signal's."""
    vacuum_mean_photon_number = setting(float, "MU:VAC", unit="photon/pulse", range=(0, 0.01), states=hal.SETUP)
    """Control the mean photon number of the vacuum state, 0 to 0.01, below the decoy's."""
    decoy_probability = setting(float, "PRB:DEC", unit="", range=(0.001, 0.6), states=hal.SETUP)
    """Control the probability of the decoy state, 0.001 to 0.6."""
    vacuum_probability = setting(float, "PRB:VAC", unit="", range=(0.001, 0.4), states=hal.SETUP)
    """Control the probability of the vacuum state, 0.001 to 0.4."""
