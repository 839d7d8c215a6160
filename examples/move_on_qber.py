"""Move a link to its other fibre when its QBER rises: python examples/move_on_qber.py [STATION.toml]."""

import sys
from pathlib import Path

import tokaido.hal as hal
from tokaido.emulators import EmulatedStation

LAB = Path(__file__).with_name("lab.toml")
HIGHEST, EVENTS = 0.03, {32: "misalign A 0.04"}  # something twists the emulated fibre

with hal.Station.from_file(sys.argv[1]) if sys.argv[1:] else EmulatedStation.from_file(LAB, events=EVENTS) as station:
    link, report = station.link("field"), None
    if link.receiver.state() not in hal.RUNNING:
        link.move(link.path() or "A", start=True)
    while report is None:
        station.clock.wait(1)
        qber = link.receiver.telemetry()[hal.Receiver.qber]
        print(f"on {link.path()}: QBER {qber.value if qber.value is not None else qber.error}", flush=True)
        if qber.value is not None and qber.value > HIGHEST:
            report = link.move("B" if link.path() == "A" else "A", start=True)
    print(f"moved from {report.from_path} to {report.to_path} in {report.seconds:.0f} s")
