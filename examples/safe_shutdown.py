"""Leave light blocked and lasers off, however a program ends: python examples/safe_shutdown.py [STATION.toml]."""

import logging
import signal
import sys
from contextlib import ExitStack
from pathlib import Path

import tokaido.hal as hal
from tokaido.emulators import EmulatedStation

LAB = Path(__file__).with_name("lab.toml")
logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)  # shows every command below
signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))  # so that `kill` leaves the block below, too

with hal.Station.from_file(sys.argv[1]) if sys.argv[1:] else EmulatedStation.from_file(LAB) as station:
    station.on_exit = "safe"  # or in the file, under [station]
    alice = station.device("alice", hal.Transmitter)
    voa = station.device("voa", hal.VariableAttenuator)
    with ExitStack() as ending:
        alice.set_watchdog(30)  # a unit that hears nothing for 30 s makes itself safe: for a program that is killed
        ending.callback(alice.set_watchdog, 0)  # one that ends in order takes it back
        voa.attenuation = 10
        raise SystemExit("something went wrong in the middle")
