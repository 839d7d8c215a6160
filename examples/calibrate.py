"""Correct an emulated power meter at a tap, and an attenuator, by calibrations: python examples/calibrate.py."""

import tokaido.hal as hal
from tokaido.emulators import launch

TAP = "{ unit = 'dBm', offset = 20, date = 2026-03-02, source = 'tap 17, certificate 4711' }"
REALLY = "{ unit = 'dB', points = [[0, 0.0], [20, 20.8]], date = 2026-03-02, source = 'log book 9' }"


def main() -> None:
    """Set 10.4 dB, and show true values beside those of the devices; with real ones, read your station file."""
    with launch("thorlabs.pm100", model_options={"dark_w": 1e-6}) as meter, launch("keysight.attenuator") as voa:
        text = f"[devices.meter]\ndriver = 'thorlabs.pm100'\ncontrol = '{meter.resources['control']}'\n"
        text += f"calibrations.power = {TAP}\n"
        text += f"[devices.voa]\ndriver = 'keysight.attenuator'\ncontrol = '{voa.resources['control']}'\n"
        text += f"calibrations.attenuation = {REALLY}\n"
        with hal.Station.from_text(text) as station:
            station.device("voa", hal.VariableAttenuator).attenuation = 10.4
            for name, path in (("voa", "attenuation"), ("meter", "power")):
                reading: hal.Reading[float] = station.device(name, hal.Device).telemetry()[path]
                print(f"{name}: {reading.value:g} {reading.unit}, raw {reading.raw:g}: {reading.calibration}")


if __name__ == "__main__":
    main()
