"""Sweep the bias of an emulated detector, and see what that does to its efficiency: python examples/sweep.py."""

import tokaido.hal as hal
import tokaido.lab as lab
from tokaido.emulators import SteppedClock, launch


def main() -> None:
    """Sweep from 51 to 57 V, put the bias back, and print the data."""
    clock = SteppedClock()  # time passes when somebody waits; with a real receiver leave it out, and give its resources
    with (
        launch("toshiba.receiver", warm=True, seed=1, clock=clock) as box,
        hal.Receiver.open("toshiba.receiver", name="bob", clock=clock, **box.resources) as bob,
    ):
        read = [("detectors[0].efficiency", bob), ("detectors[0].temperature", bob)]
        found = lab.sweep({("detectors[0].bias", bob): range(51, 58)}, read, settle=2.0, restore=True, clock=clock)
    for bias in found["detectors[0].bias"]:
        at = found.sel({bias.name: bias})
        print(f"{float(bias):g} V: {float(at[read[0][0]]):.3f} at {float(at[read[1][0]]):.1f} degC")


if __name__ == "__main__":
    main()
