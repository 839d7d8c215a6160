"""Write a station file, check it, and see who answers in it: python examples/station.py [STATION.toml]."""

import sys
from pathlib import Path

import tokaido.hal as hal
from tokaido.emulators import EmulatedStation

DEVICE = "[devices.{0}]\ndriver = '{1}'\ncontrol = 'visa:TCPIP::192.0.2.{2}::5025::SOCKET'\nemulator.{3}\n"
ROWS = ("voa", "keysight.attenuator", 11, "serial_number = 'MY001'"), ("osw", "polatis.matrix", 12, "inputs = 8")
file = Path(sys.argv[1] if sys.argv[1:] else "my_lab.toml")
if not file.exists():
    file.write_text("[station]\nname = 'my-lab'\n\n" + "\n".join(DEVICE.format(*row) for row in ROWS), "utf-8")
try:
    station = hal.Station.from_file(file) if sys.argv[1:] else EmulatedStation.from_file(file)
except hal.ConfigurationError as error:  # it names every mistake, with its line
    raise SystemExit(str(error)) from None
with station:
    for name in station.devices:
        try:
            with station.visit(name) as device:
                print(f"{name}: {device.identity()}")
        except hal.TokaidoError as error:
            print(f"{name}: {error}")
