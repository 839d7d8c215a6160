"""Watch the alarms of a whole station, as they are raised and cleared: python examples/alarms.py [STATION.toml]."""

import sys
from pathlib import Path

import tokaido.hal as hal
from tokaido.emulators import EmulatedStation

LAB = Path(__file__).with_name("lab.toml")
EVENTS = {5: "fault alice authentication_key_low", 10: "unplug voa", 20: "replug voa", 25: "mend alice"}

real = hal.Station.from_file(sys.argv[1]) if sys.argv[1:] else None
with real or EmulatedStation.from_file(LAB, clock=hal.SYSTEM_CLOCK, events=EVENTS) as station:
    for alarm in station.alarms(poll=0.2, timeout=None if real else 3):  # without a timeout it goes on
        change = "raised" if alarm.raised else "cleared"
        print(f"{alarm.utc} {alarm.device}: {alarm.code} {alarm.severity.value} {change} {alarm.text}", flush=True)
