"""What the tests of units must know of each vendor: one row for a family."""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import tokaido.hal as hal
from tokaido_testing.patience import in_time

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokaido.emulators import Emulator


@dataclass(frozen=True)
class Vendor:
    """The two units of a family, as its page says that they are delivered."""

    transmitter: Literal["toshiba.transmitter", "nec.transmitter"]
    """Name of driver and emulator."""
    receiver: Literal["toshiba.receiver", "nec.receiver"]
    """Name of driver and emulator."""
    serial_numbers: tuple[str, str]
    """Of a transmitter and of a receiver."""
    receiver_model: str
    truth: Mapping[str, float]
    """Settings and constants of a transmitter at delivery, no two of them alike."""
    attenuate: str
    """The text on the wire that sets the attenuation, with a place for the value."""
    laser_temperature: str
    """The text on the wire that asks for the temperature of the laser."""
    attenuation_is_35: str
    """What the reply says to the question for the attenuation, as a trace shows it."""
    third_event: bytes
    """What only the third event of a telemetry stream holds."""

    @property
    def name(self) -> str:
        """Name of the family."""
        return self.transmitter.partition(".")[0]

    @property
    def attenuation(self) -> str:
        """The text on the wire that asks for the attenuation."""
        return f"{self.attenuate.partition(' ')[0]}?"


VENDORS = (
    Vendor(
        transmitter="toshiba.transmitter",
        receiver="toshiba.receiver",
        serial_numbers=("TKTX0001", "TKRX0001"),
        receiver_model="T12-RX",
        truth={
            "modulator_bias": 3.2,
            "signal_mean_photon_number": 0.5,
            "decoy_mean_photon_number": 0.13,
            "vacuum_mean_photon_number": 0.001,
            "decoy_probability": 0.27,
            "key_basis_probability": 0.82,
            "block_bits": 10_000_000,
            "clock_rate": 1e9,
        },
        attenuate="VOA:ATT {:g}",
        laser_temperature="LAS:TEMP?",
        attenuation_is_35="OK 35*",
        third_event=b'"seq": 3',
    ),
    Vendor(
        transmitter="nec.transmitter",
        receiver="nec.receiver",
        serial_numbers=("TKNT0001", "TKNR0001"),
        receiver_model="TB-RX8S",
        truth={
            "signal_mean_photon_number": 0.5,
            "decoy_mean_photon_number": 0.2,
            "vacuum_mean_photon_number": 0.001,
            "decoy_probability": 0.4,
            "vacuum_probability": 0.1,
            "key_basis_probability": 0.78,
            "block_bits": 1_000_000,
            "clock_rate": 1.25e9,
        },
        attenuate="SOUR:ATT {:g}",
        laser_temperature="FETC:TEMP:LAS?",
        attenuation_is_35='0,"No error";35',
        third_event=b"\xa3seq\x03",
    ),
)


def wait_for_port(emulator: Emulator) -> None:
    """Wait until a pulled plug is back."""
    control = hal.Resource.parse(emulator.resources["control"])
    start = time.monotonic()
    while not _is_there(control):
        assert in_time(start, 2.0), "the plug never came back"
        time.sleep(0.01)


def _is_there(control: hal.Resource) -> bool:
    if control.kind == "serial":
        return Path(control.address).exists()
    port = int(control.address.split("::")[2])
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
