"""Count the photons of a weak laser behind an attenuator and a fibre, and compare with the formula."""

import math

import tokaido.hal as hal
from tokaido.emulators import Bench, SteppedClock

clock = SteppedClock()  # time passes while somebody waits for it
with Bench(clock=clock, seed=1, speed=1.0) as bench:
    laser = bench.laser("laser", power_dbm=-70.0, pulse_rate_hz=1e6)
    bench.fibre("A", length_km=20, loss_db=4.0)
    parts = {"voa": "keysight.attenuator", "spd": "idquantique.detector", "tdc": "sfifteen.tagger"}
    at = {name: bench.device(name, driver).resources for name, driver in parts.items()}
    for one, other in (("laser.out", "voa.in"), ("voa.out", "A.a"), ("A.b", "spd.in")):
        bench.join(one, other)
    bench.cable("spd", "tdc", channel=1)
    bench.start()
    voa = hal.VariableAttenuator.open(parts["voa"], clock=clock, **at["voa"])
    tdc = hal.TimeTagger.open(parts["tdc"], clock=clock, **at["tdc"])
    voa.attenuation = 40.0
    clock.wait(0.1)  # the filter moves
    rate = tdc.tags(10.0).rate(1)
    mu = laser.mean_photon_number * 10 ** (-bench.trace("laser.out").loss_db / 10)
click = 1 - math.exp(-(0.2 * mu + 200 / 1e6))  # detection efficiency 0.2, 200 dark counts/s
print(f"mu {mu:.4f}: {rate:.0f} clicks/s, by the formula {1e6 * click / (1 + 39 * click):.0f}")  # 40 us dead time
