"""The transmitter T12-TX: laser, modulators, attenuator (docs/protocols/toshiba.md section 6.2)."""

from __future__ import annotations

import math

from tokaido.emulators.toshiba._commands import COMMON, TRANSMITTER, Refusal
from tokaido.emulators.toshiba._faults import MODEL_FAULTS
from tokaido.emulators.toshiba._instruments import Reading, no_data
from tokaido.emulators.toshiba._states import POWERED, State
from tokaido.emulators.toshiba._thermal import Body
from tokaido.emulators.toshiba._unit import UnitModel

CLOCK_RATE_HZ = 1e9
PHOTON_ENERGY_J = 1.2816e-19
"""At 1550 nm: h c / lambda."""
MAXIMUM_ATTENUATION_DB = 60.0
LASER_POWER_DBM = -0.5
LASER_BIAS_MA = 48.0
COOLER_AMPERES_PER_DEGREE = 0.18


class TransmitterModel(UnitModel):
    """A Toshiba-style transmitter. It knows what it sends and what the peer tells it, and no more."""

    MODEL = "T12-TX"
    SIDE = "transmitter"
    SERIAL_NUMBER = "TKTX0001"
    FAULTS = tuple(MODEL_FAULTS["transmitter"])
    ROWS = COMMON + TRANSMITTER
    WARMUP_LIMIT_S = 300.0
    TEMPERATURE_ALARM = "LASER_TEMP"
    TEMPERATURE_LIMIT = 1.0

    def __init__(self, serial_number: str | None = None, **options: object) -> None:
        self.laser = Body(25.0, 11.7, settled_within=0.1)
        self.emitting = False
        """Whether the laser emits."""
        self._working_attenuation = 35.0
        self.calibrated_attenuation = 35.0
        """Attenuation at the last alignment, in dB; the mean photon numbers hold at this one."""
        super().__init__(serial_number, **options)  # type: ignore[arg-type]

    @property
    def excess_attenuation(self) -> float:
        """Attenuation over that of the last alignment, in dB: what every photon number is off by."""
        return self.settings["VOA:ATT"] - self.calibrated_attenuation

    def put(self, name: str, value: float | str) -> None:
        """Put a setting into force; the decoy intensity must lie between those of vacuum and signal."""
        after = {**self.settings, name: value}
        signal, decoy, vacuum = (float(after[key]) for key in ("MU:SIG", "MU:DEC", "MU:VAC"))
        if not vacuum < decoy < signal:
            raise Refusal("REFUSED", "the decoy intensity must be below the signal's and above the vacuum's")
        if not decoy + vacuum < signal:
            raise Refusal("REFUSED", "the signal intensity must exceed decoy and vacuum together")
        super().put(name, value)
        if name == "VOA:ATT":
            self._working_attenuation = float(value)

    # --- hardware ---------------------------------------------------------------------------------------------------

    def bodies(self) -> tuple[Body, ...]:
        return (self.laser,)

    def _critical_bodies(self) -> tuple[Body, ...]:
        return (self.laser,)

    def _go_safe(self) -> None:
        self.emitting = False
        self.settings["VOA:ATT"] = MAXIMUM_ATTENUATION_DB

    def arm(self) -> None:
        self.emitting = True
        self.settings["VOA:ATT"] = self._working_attenuation

    def _step_possible(self, step: str) -> bool:
        return step == "BIAS" or self.peer.aligned_or_aligning

    def step_done(self, step: str) -> None:
        if step == "BIAS":
            self.calibrated_attenuation = self.settings["VOA:ATT"]

    def _servo_moved(self) -> None:
        pass  # the bias of the intensity modulator is held; nothing of it is seen from outside

    def _follow_hardware(self) -> None:
        if "rng_failure" in self.faults:
            self.raise_alarm("RNG_FAIL")
        if self.emitting and not -6 <= self._laser_power() <= 3:
            self.raise_alarm("LASER_POWER")

    def _hardware_fault(self, name: str, *, present: bool) -> None:
        if name == "laser_temperature_runaway":
            self.laser.offset = 3.0 if present else 0.0
        elif name == "laser_warmup_failure":
            self.laser.stuck = present

    def imagine_light(self) -> None:
        pass  # it sends light and receives none

    # --- readings ---------------------------------------------------------------------------------------------------

    def _laser_power(self) -> float:
        power = LASER_POWER_DBM - (11.5 if "laser_power_loss" in self.faults else 0.0)
        return self.noise.around("LAS:POW", power, 0.01, self.now_ns)

    def _mean_power(self) -> float:
        settings = self.settings
        decoy, vacuum = settings["PRB:DEC"], settings["PRB:VAC"]
        mean = settings["MU:SIG"] * (1 - decoy - vacuum) + settings["MU:DEC"] * decoy + settings["MU:VAC"] * vacuum
        milliwatts = 1e3 * mean * PHOTON_ENERGY_J * CLOCK_RATE_HZ
        power = 10 * math.log10(milliwatts) - self.excess_attenuation
        return self.noise.around("MON:POW", power, 0.03, self.now_ns)

    def reading(self, name: str) -> Reading:
        """Return a reading of this unit; NO_DATA for what only an emitting laser shows."""
        if name in ("LAS:POW", "IM:EXT", "MON:POW") and not self.emitting:
            raise no_data("the laser does not emit")
        now_ns, noise = self.now_ns, self.noise
        match name:
            case "EMI":
                return Reading(float(self.emitting))
            case "LAS:POW":
                return Reading(self._laser_power())
            case "LAS:BIAS":
                return Reading(noise.around(name, LASER_BIAS_MA, 0.05, now_ns) if self.emitting else 0.0)
            case "LAS:TEMP":
                return Reading(noise.around(name, self.laser.temperature, 0.002, now_ns))
            case "LAS:TEC":
                if self.state not in POWERED or self.laser.stuck:
                    return Reading(0.0)
                drive = 0.12 - COOLER_AMPERES_PER_DEGREE * self.laser.deviation
                return Reading(noise.around(name, max(-1.0, min(1.0, drive)), 0.002, now_ns))
            case "IM:EXT":
                off_centre = self.settings["IM:BIAS"] - 3.2
                return Reading(noise.around(name, max(31.0 - 4.0 * off_centre**2, 3.0), 0.1, now_ns))
            case "MON:POW":
                return Reading(self._mean_power())
            case "CLK:RATE":
                return Reading(CLOCK_RATE_HZ)
            case "RNG":
                return Reading(float("rng_failure" not in self.faults and "RNG_FAIL" not in self.alarms))
            case "PRB:SIG":
                return Reading(round(1 - self.settings["PRB:DEC"] - self.settings["PRB:VAC"], 9))
            case _:
                return super().reading(name)

    @property
    def sends_light(self) -> bool:
        """Whether light leaves the box: the laser emits and nothing holds the unit."""
        return self.emitting and self.state not in (State.OFF, State.FAULT, State.SECURITY_HOLD, State.ZEROIZE)
