"""Emulated NEC-style units, after docs/protocols/nec.md.

The two models know no socket and no clock. `tokaido.emulators.launch("nec.transmitter")` puts one on its wires.
Their faults are those of every unit (`tokaido.emulators.units`), and one more:

| fault | unit | alarm | how |
|---|---|---|---|
| `cryostat_warm` | receiver | `DET_TEMP` | the cooling of the detectors stops; from warm, nanowires take up to 6 h |

`laser_power_loss` and `laser_seeding` strike the first laser that is on, `detector_temperature_runaway` all nanowires,
since one cryostat holds them.
"""

from tokaido.emulators.nec._receiver import ReceiverModel
from tokaido.emulators.nec._transmitter import TransmitterModel

__all__ = ["ReceiverModel", "TransmitterModel"]
