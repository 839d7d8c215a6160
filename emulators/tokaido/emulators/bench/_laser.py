"""A plain laser: light on the bench that is of no unit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokaido.emulators._light import Beam
from tokaido.emulators.bench._elements import Element, Stop
from tokaido.hal import ConfigurationError
from tokaido.hal.units_of_measure import to_watts

if TYPE_CHECKING:
    from tokaido.emulators._light import Band


class LaserOnBench(Element):
    """A plain laser, which leaves by `L.out`: steady, or pulses of one rate whose moments begin with the bench's time.

    Args:
        name: Its name.
        power_dbm: Mean power that leaves it.
        pulse_rate_hz: Pulses per second; 0 for steady light.

    Raises:
        ConfigurationError: The power is not -150 to 30 dBm, or the rate not 0 to 10 GHz.
    """

    def __init__(self, name: str, power_dbm: float, pulse_rate_hz: float) -> None:
        super().__init__(name)
        if not -150 <= power_dbm <= 30:
            raise ConfigurationError(f"{name}: a laser has -150 to 30 dBm, not {power_dbm!r}")
        if not 0 <= pulse_rate_hz <= 1e10:
            raise ConfigurationError(f"{name}: a laser has 0 to 1e10 pulses per second, not {pulse_rate_hz!r}")
        self.power_dbm = power_dbm
        """Mean power that leaves it, in dBm."""
        self.pulse_rate_hz = pulse_rate_hz
        """Pulses per second; 0 for steady light."""
        self.emitting = True
        """Whether it shines."""

    @property
    def ports(self) -> tuple[str]:
        """Where its light leaves."""
        return (f"{self.name}.out",)

    @property
    def beam(self) -> Beam:
        """Its light where it leaves."""
        return Beam(to_watts(self.power_dbm) if self.emitting else 0.0, self.pulse_rate_hz)

    @property
    def mean_photon_number(self) -> float:
        """Photons of 1550 nm in a pulse where it leaves; in a second, if it is steady."""
        return self.beam.photon_rate / (self.pulse_rate_hz or 1.0)

    def follow(self, port: str, band: Band) -> Stop:
        """Its isolator lets nothing in."""
        del port, band
        return Stop(f"{self.name} is a laser")
