"""The transmitter's hardware: laser, attenuator, random generator."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar

from tokaido.emulators._light import PHOTON_ENERGY_J
from tokaido.emulators.units._faults import MODEL_FAULTS
from tokaido.emulators.units._readings import Refusal, UnitReading, no_data
from tokaido.emulators.units._states import State
from tokaido.emulators.units._unit import UnitModel

if TYPE_CHECKING:
    from tokaido.emulators._model import BenchSpot
    from tokaido.emulators.units._thermal import Body

_DARK_STATES = (State.OFF, State.FAULT, State.SECURITY_HOLD, State.ZEROIZE)


class TransmitterUnit(UnitModel):
    """A transmitter of any vendor. It knows what it sends and what the peer tells it, and no more."""

    SIDE = "transmitter"
    MODEL_FAULTS = MODEL_FAULTS["transmitter"]
    FAULTS = tuple(MODEL_FAULTS)
    TEMPERATURE_ALARM = "LASER_TEMP"
    CLOCK_RATE_HZ: float
    """Pulses per second of every sub-channel."""
    LASER_POWER_DBM: float
    LASER_POWER_LIMITS_DBM: tuple[float, float]
    """What the laser monitor may show while the laser emits."""
    LASER_POWER_LOSS_DB: float
    """What the fault of a lost laser power takes."""
    LASER_SEEDING_DB: ClassVar[float] = 3.0
    """What the fault of a seeded laser adds; the laser monitor stays within its limits."""
    OUTPUT_LIMIT_DB: ClassVar[float] = 0.15
    """How far the monitor behind the attenuator may be off what the set intensities say, in dB. It is accurate to
    0.05 dB, and both together are less than `INTENSITY_TOLERANCE`."""
    LASER_BIAS_MA: float
    MAXIMUM_ATTENUATION_DB: float
    SHOWN_BY_EMISSION: ClassVar[frozenset[str]] = frozenset({"laser_power", "output_power"})
    """Readings that only an emitting laser shows."""

    def __init__(self, serial_number: str | None = None, **options: object) -> None:
        self.laser = self._build_laser()
        self.emitting = False
        """Whether the laser emits."""
        super().__init__(serial_number, **options)  # type: ignore[arg-type]
        self._working_attenuation = self.settings["attenuation"]
        self.calibrated_attenuation = self._working_attenuation
        """Attenuation at the last alignment, in dB; the mean photon numbers hold at this one."""

    def take_place(self, spot: BenchSpot) -> None:
        """Be a transmitter on a bench."""
        spot.transmitter(self)

    @abstractmethod
    def _build_laser(self) -> Body:
        """Return the laser as a body with a temperature."""

    def excess_light_db(self, channel: int) -> float:
        """Return how much more light leaves in a sub-channel than the set mean photon numbers say, in dB."""
        return self._laser_excess_db(channel) + self.calibrated_attenuation - self.settings["attenuation"]

    @property
    def sends_light(self) -> bool:
        """Whether light leaves the box: the laser emits and nothing holds the unit."""
        return self.emitting and self.state not in _DARK_STATES

    def put(self, name: str, value: float | str) -> None:
        """Put a setting into force; the decoy intensity must lie between those of vacuum and signal.

        An attenuation that is set by hand undoes the alignment, which calibrates the light at it.
        """
        after = {**self.settings, name: value}
        signal, decoy, vacuum = (float(after[f"{s}_mean_photon_number"]) for s in ("signal", "decoy", "vacuum"))
        if not vacuum < decoy < signal:
            raise Refusal("REFUSED", "the decoy intensity must be below the signal's and above the vacuum's")
        if not decoy + vacuum < signal:
            raise Refusal("REFUSED", "the signal intensity must exceed decoy and vacuum together")
        super().put(name, value)
        if name == "attenuation":
            self._working_attenuation = float(value)
            self.aligned = False

    # --- hardware ---------------------------------------------------------------------------------------------------

    def bodies(self) -> tuple[Body, ...]:
        return (self.laser,)

    def _critical_bodies(self) -> tuple[Body, ...]:
        return (self.laser,)

    def _go_safe(self) -> None:
        self.emitting = False
        self.settings["attenuation"] = self.MAXIMUM_ATTENUATION_DB

    def arm(self) -> None:
        self.emitting = True
        self.settings["attenuation"] = self._working_attenuation

    def _step_possible(self, step: str) -> bool:
        return step == "BIAS" or self.peer.aligned_or_aligning

    def step_done(self, step: str) -> None:
        if step == "BIAS":
            self.calibrated_attenuation = self.settings["attenuation"]

    def _servo_moved(self) -> None:
        pass  # a bias is held; nothing of it is seen from outside

    def _watch_light(self) -> None:
        low, high = self.LASER_POWER_LIMITS_DBM
        if self.emitting and not low <= self._laser_power() <= high:
            self.raise_alarm("LASER_POWER")
        watched = self.channels_on if self.emitting and self.aligned else ()
        if any(abs(self._shown_excess_db(channel)) > self.OUTPUT_LIMIT_DB for channel in watched):
            self.raise_alarm("PHOTON_NUMBER")

    def _follow_hardware(self) -> None:
        if "rng_failure" in self.faults:
            self.raise_alarm("RNG_FAIL")

    def _hardware_fault(self, name: str, *, present: bool) -> None:
        if name == "laser_temperature_runaway":
            self.laser.offset = self.RUNAWAY if present else 0.0
        elif name == "laser_warmup_failure":
            self.laser.stuck = present

    def imagine_light(self) -> None:
        pass  # it sends light and receives none

    # --- readings ---------------------------------------------------------------------------------------------------

    def _laser_excess_db(self, channel: int) -> float:
        """Return how much more than its nominal power a laser emits, in dB. Faults strike the first one that is on."""
        if channel not in self.channels_on[:1]:
            return 0.0
        lost = self.LASER_POWER_LOSS_DB if "laser_power_loss" in self.faults else 0.0
        return (self.LASER_SEEDING_DB if "laser_seeding" in self.faults else 0.0) - lost

    def _laser_power(self) -> float:
        power = self.LASER_POWER_DBM + self._laser_excess_db(self.channels_on[0])
        return self.noise.around("laser_power", power, 0.01, self.now_ns)

    def _mean_photon_number(self) -> float:
        of = self.settings
        decoy, vacuum = of["decoy_probability"], of["vacuum_probability"]
        signals = of["signal_mean_photon_number"] * (1 - decoy - vacuum)
        return signals + of["decoy_mean_photon_number"] * decoy + of["vacuum_mean_photon_number"] * vacuum

    def _shown_excess_db(self, channel: int) -> float:
        """Return what the monitor shows of a sub-channel over what the set mean photon numbers say, in dB."""
        return self.noise.around(f"output_power/{channel}", self.excess_light_db(channel), 0.014, self.now_ns)

    @property
    def pulse_power_w(self) -> float:
        """Mean power of the pulses that leave, of all sub-channels together, in W."""
        excess = math.fsum(10 ** (self.excess_light_db(channel) / 10) for channel in self.channels_on)
        return self._mean_photon_number() * PHOTON_ENERGY_J * self.CLOCK_RATE_HZ * excess

    def _monitor_power(self) -> float:
        shown = math.fsum(10 ** (self._shown_excess_db(channel) / 10) for channel in self.channels_on)
        return 10 * math.log10(1e3 * self._mean_photon_number() * PHOTON_ENERGY_J * self.CLOCK_RATE_HZ * shown)

    def reading(self, name: str) -> UnitReading:
        """Return a reading of this unit; NO_DATA for what only an emitting laser shows."""
        if name in self.SHOWN_BY_EMISSION and not self.emitting:
            raise no_data("the laser does not emit")
        now_ns, noise = self.now_ns, self.noise
        match name:
            case "emitting":
                return UnitReading(float(self.emitting))
            case "laser_power":
                return UnitReading(self._laser_power())
            case "laser_bias_current":
                return UnitReading(noise.around(name, self.LASER_BIAS_MA, 0.05, now_ns) if self.emitting else 0.0)
            case "laser_temperature":
                return UnitReading(noise.around(name, self.laser.temperature, 0.002, now_ns))
            case "output_power":
                return UnitReading(self._monitor_power())
            case "clock_rate":
                return UnitReading(self.CLOCK_RATE_HZ)
            case "random_generator_healthy":
                return UnitReading(float("rng_failure" not in self.faults and "RNG_FAIL" not in self.alarms))
            case "signal_probability":
                return UnitReading(
                    round(1 - self.settings["decoy_probability"] - self.settings["vacuum_probability"], 9)
                )
            case _:
                return super().reading(name)
