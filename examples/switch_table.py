"""Join, reroute and part ports of a switch, and print its map: python examples/switch_table.py [STATION.toml]."""

import sys
from pathlib import Path

import tokaido.hal as hal
from tokaido.emulators import EmulatedStation

LAB = Path(__file__).with_name("lab.toml")


def show(did: str, switch: hal.OpticalSwitch) -> None:
    """Ask for the map, and print it."""
    print(f"{did:9}", ", ".join(f"{i}->{o}" for i, o in sorted(switch.connections().items())) or "nothing")


with hal.Station.from_file(sys.argv[1]) if sys.argv[1:] else EmulatedStation.from_file(LAB) as station:
    osw = station.device("switch", hal.OpticalSwitch)
    osw.connect(1, 2)
    osw.connect(3, 4)
    show("connected", osw)
    osw.reroute(disconnect=[1], connect={1: 3})  # one command; 3->4 is not touched
    show("rerouted", osw)
    osw.disconnect(1, 3)
    show("parted", osw)
