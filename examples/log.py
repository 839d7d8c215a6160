"""Log two emulated devices for a minute of virtual time, and show the first rows: python examples/log.py [FILE]."""

import sys
from pathlib import Path

import tokaido.hal as hal
import tokaido.lab as lab
from tokaido.emulators import Bench, SteppedClock


def main(file: str = "log.csv") -> None:
    """Log all values of an attenuator and one of a receiver; with real devices, leave emulators and clock out."""
    clock, text = SteppedClock(), ""
    with Bench(seed=1, clock=clock) as bench:
        for name, driver in (("bob", "toshiba.receiver"), ("voa", "keysight.attenuator")):
            control = bench.device(name, driver).resources["control"]
            text += f"[devices.{name}]\ndriver = '{driver}'\ncontrol = '{control}'\n"
        bench.start()
        with hal.Station.from_text(text, clock=clock) as station:
            done = lab.log_telemetry(station, file, values=["voa", "bob.uptime"], interval=5, count=12, clock=clock)
    print(*Path(file).read_text(encoding="utf-8").splitlines()[:6], f"{done.rows} rows", sep="\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
