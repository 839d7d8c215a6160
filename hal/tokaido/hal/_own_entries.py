"""Roles, drivers and transports that Tokaido itself brings, as pyproject.toml has them (a test holds the two equal)."""

from __future__ import annotations

from typing import Final

DISTRIBUTION: Final = "tokaido"
ROLES: Final = "tokaido.roles"
DRIVERS: Final = "tokaido.drivers"
TRANSPORTS: Final = "tokaido.transports"

OWN: Final[dict[str, dict[str, str]]] = {
    ROLES: {
        "key_source": "tokaido.hal:KeySource",
        "unit": "tokaido.hal:Unit",
        "transmitter": "tokaido.hal:Transmitter",
        "receiver": "tokaido.hal:Receiver",
        "switch": "tokaido.hal:OpticalSwitch",
        "amplifier": "tokaido.hal:OpticalAmplifier",
        "attenuator": "tokaido.hal:VariableAttenuator",
        "photon_detector": "tokaido.hal:SinglePhotonDetector",
        "polarization": "tokaido.hal:PolarizationController",
        "power_meter": "tokaido.hal:PowerMeter",
        "repeater": "tokaido.hal:RepeaterNode",
        "time_tagger": "tokaido.hal:TimeTagger",
    },
    DRIVERS: {
        "toshiba.transmitter": "tokaido.drivers.toshiba:Transmitter",
        "toshiba.receiver": "tokaido.drivers.toshiba:Receiver",
        "nec.transmitter": "tokaido.drivers.nec:Transmitter",
        "nec.receiver": "tokaido.drivers.nec:Receiver",
        "polatis.matrix": "tokaido.drivers.polatis:MatrixSwitch",
        "dicon.selector": "tokaido.drivers.dicon:Selector",
        "thorlabs.osw": "tokaido.drivers.thorlabs:OswSwitch",
        "etsi014.source": "tokaido.drivers.etsi014:Source",
        "fiberlabs.amplifier": "tokaido.drivers.fiberlabs:Amplifier",
        "idquantique.detector": "tokaido.drivers.idquantique:Detector",
        "keysight.attenuator": "tokaido.drivers.keysight:Attenuator",
        "repeater.node": "tokaido.drivers.repeater:Node",
        "sfifteen.tagger": "tokaido.drivers.sfifteen:Tagger",
        "thorlabs.mpc": "tokaido.drivers.thorlabs:PolarizationController",
        "thorlabs.pm100": "tokaido.drivers.thorlabs:PowerMeter",
    },
    TRANSPORTS: {
        "serial": "tokaido.hal.transports._serial:KIND",
        "visa": "tokaido.hal.transports._visa:KIND",
        "zmq": "tokaido.hal.transports._zmq:KIND",
        "https": "tokaido.hal.transports._https:KIND",
        "served": "tokaido.hal.sharing._served:KIND",
        "replay": "tokaido.emulators.transcripts:KIND",
    },
}
"""Where each is, as "module:object", by group and name."""
