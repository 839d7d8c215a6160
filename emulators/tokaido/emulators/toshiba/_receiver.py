"""The receiver T12-RX: shutter, detectors, interferometer, clock (docs/protocols/toshiba.md section 6.3)."""

from __future__ import annotations

from dataclasses import dataclass

from tokaido.emulators.toshiba._commands import COMMON, RECEIVER
from tokaido.emulators.toshiba._faults import MODEL_FAULTS
from tokaido.emulators.toshiba._instruments import Reading, no_data
from tokaido.emulators.toshiba._states import ALIGNING, RUNNING, State
from tokaido.emulators.toshiba._thermal import Body
from tokaido.emulators.toshiba._unit import UnitModel

WORKING_BIAS_V = 54.0
WORKING_DELAY_PS = (412.0, 437.0)
EFFICIENCY = 0.205
EFFICIENCY_PER_VOLT = 0.02
DARK_RATE = 21_000.0
DARK_NS = 500_000_000
"""How long the clock light must be gone until that is called a loss."""


@dataclass(frozen=True, slots=True)
class Light:
    """What of the light the receiver's own instruments see."""

    clock_power_dbm: float
    loss_db: float
    phase_error_rad: float = 0.02
    visibility: float = 0.985
    count_rates: tuple[float, float] = (0.0, 0.0)
    """Clicks of each detector, 1/s."""
    bright: bool = False
    """Whether so much light falls on a detector that it is no single-photon detector any more."""


IMAGINED_LIGHT = Light(-15.5, 14.5, count_rates=(640_000.0, 640_000.0))


class ReceiverModel(UnitModel):
    """A Toshiba-style receiver. It knows what its detectors, clock and servo see, and what the peer tells it."""

    MODEL = "T12-RX"
    SIDE = "receiver"
    SERIAL_NUMBER = "TKRX0001"
    FAULTS = tuple(MODEL_FAULTS["receiver"])
    ROWS = COMMON + RECEIVER
    WARMUP_LIMIT_S = 600.0
    TEMPERATURE_ALARM = "DET_TEMP"
    TEMPERATURE_LIMIT = 2.0

    def __init__(self, serial_number: str | None = None, **options: object) -> None:
        self.detectors = Body(-30.0, 11.8, settled_within=0.5), Body(-30.0, 11.6, settled_within=0.5)
        self.interferometer = Body(30.0, 11.0, settled_within=0.1)
        self.incoming: Light | None = None
        """The light that arrives, or None in the dark."""
        self.shutter_open = False
        self.locked = False
        self.aligned_steps: list[str] = []
        """Steps that were done since they were last taken from here; the bench moves its optics by them."""
        self._dark_since_ns: int | None = 0
        self._dark_rates: tuple[int, float, float] | None = None
        super().__init__(serial_number, **options)  # type: ignore[arg-type]

    # --- light ------------------------------------------------------------------------------------------------------

    @property
    def light(self) -> Light | None:
        """The light that arrives, faults included."""
        return None if "light_lost" in self.faults else self.incoming

    @property
    def sees_slots(self) -> bool:
        """Whether clicks can be told apart by slot: there is clock light, and the clock is locked to it."""
        return self.light is not None and self.locked and "clock_unlocked" not in self.faults

    def efficiency(self, detector: int) -> float:
        """Detection efficiency at the present bias, 0 below breakdown."""
        over = self.settings[f"DET{detector}:BIAS"] - WORKING_BIAS_V
        return min(max(EFFICIENCY + EFFICIENCY_PER_VOLT * over, 0.0), 0.35)

    @property
    def delay_offset_ps(self) -> float:
        """How far the gates are off those of the last alignment, in ps."""
        return sum(self.settings[f"DET{i}:DLY"] - WORKING_DELAY_PS[i] for i in (0, 1)) / 2

    # --- hardware ---------------------------------------------------------------------------------------------------

    def bodies(self) -> tuple[Body, ...]:
        return (*self.detectors, self.interferometer)

    def _critical_bodies(self) -> tuple[Body, ...]:
        return self.detectors

    def put(self, name: str, value: float | str) -> None:
        """Put a setting into force; a shutter that is closed by hand undoes the alignment."""
        if name == "SHT":
            self.shutter_open = value == "OPEN"
            self.aligned = self.aligned and self.shutter_open
        else:
            super().put(name, value)

    def _go_safe(self) -> None:
        self.shutter_open = False
        self.locked = False
        for i in (0, 1):
            self.settings[f"DET{i}:BIAS"] = 0.0

    def arm(self) -> None:
        self.shutter_open = True
        self.locked = False
        for i in (0, 1):
            self.settings[f"DET{i}:BIAS"] = WORKING_BIAS_V

    def _step_possible(self, step: str) -> bool:
        return step == "BIAS" or (self.light is not None and self.peer.reachable)

    def step_done(self, step: str) -> None:
        if step == "BIAS":
            first, second = (self.noise.around(f"DET{i}:DARK", DARK_RATE, 150, self.now_ns) for i in (0, 1))
            self._dark_rates = self.now_ns, first, second
        elif step == "SYNC":
            self.locked = True
        elif step == "DELAY":
            for i in (0, 1):
                self.settings[f"DET{i}:DLY"] = WORKING_DELAY_PS[i]
        self.aligned_steps.append(step)

    def _servo_moved(self) -> None:
        self.aligned_steps.append("PHASE")

    def _follow_hardware(self) -> None:
        light = self.light
        if "detector_blinding" in self.faults or (light is not None and light.bright and self.shutter_open):
            self.raise_alarm("DETECTOR_BLINDING")
        if light is not None:
            self._dark_since_ns = None
        elif self._dark_since_ns is None:
            self._dark_since_ns = self.now_ns
            self.locked = False
        needed = self.state in (*ALIGNING, *RUNNING) or (self.state is State.STANDBY and self.aligned)
        dark_ns = -1 if self._dark_since_ns is None else self.now_ns - self._dark_since_ns
        self.alarms.follow("LOS", needed and dark_ns >= DARK_NS, self.now_ns)
        if self.aligned and light is not None:
            self.locked = "clock_unlocked" not in self.faults
        unlocked = needed and self.aligned and light is not None and not self.locked
        self.alarms.follow("SYNC_LOSS", unlocked, self.now_ns)

    def cause_lasts(self, code: str) -> bool:
        """Whether the cause of a latched alarm is still there; bright light is one."""
        bright = self.light is not None and self.light.bright
        return (code == "DETECTOR_BLINDING" and bright) or super().cause_lasts(code)

    def _out_of_limits(self) -> set[str]:
        return super()._out_of_limits() | {code for code in ("LOS", "SYNC_LOSS") if code in self.alarms}

    def _hardware_fault(self, name: str, *, present: bool) -> None:
        if name == "detector_temperature_runaway":
            self.detectors[0].offset = 5.0 if present else 0.0
        elif name == "detector_warmup_failure":
            for detector in self.detectors:
                detector.stuck = present

    def imagine_light(self) -> None:
        self.incoming = IMAGINED_LIGHT

    # --- readings ---------------------------------------------------------------------------------------------------

    def reading(self, name: str) -> Reading:
        """Return a reading of this unit; NO_DATA in the dark for what only light shows."""
        if name.startswith("DET"):
            return self._detector_reading(name, int(name[3]), name[5:])
        light, now_ns, noise = self.light, self.now_ns, self.noise
        match name:
            case "SHT":
                return Reading("OPEN" if self.shutter_open else "CLOSED")
            case "IFM:TEMP":
                return Reading(noise.around(name, self.interferometer.temperature, 0.004, now_ns))
            case "CLK:LOCK":
                return Reading(float(self.locked and light is not None and "clock_unlocked" not in self.faults))
            case "IFM:PHS" | "VIS" | "CLK:POW" | "LOSS":
                if light is None or (name in ("IFM:PHS", "VIS") and not self.shutter_open):
                    raise no_data("no light")
                value, sigma = {
                    "IFM:PHS": (light.phase_error_rad, 0.004),
                    "VIS": (light.visibility, 0.0005),
                    "CLK:POW": (light.clock_power_dbm, 0.02),
                    "LOSS": (light.loss_db, 0.02),
                }[name]
                return Reading(noise.around(name, value, sigma, now_ns))
            case _:
                return super().reading(name)

    def _detector_reading(self, name: str, i: int, what: str) -> Reading:
        now_ns, noise = self.now_ns, self.noise
        match what:
            case "TEMP":
                return Reading(noise.around(name, self.detectors[i].temperature, 0.01, now_ns))
            case "EFF":
                efficiency = self.efficiency(i)
                return Reading(noise.around(name, efficiency, 0.0004, now_ns) if efficiency else 0.0)
            case "CNT":
                return Reading(self._count_rate(name, i))
            case "DARK":
                if self._dark_rates is None:
                    raise no_data("the dark counts are measured by an alignment")
                return Reading(self._dark_rates[1 + i], (now_ns - self._dark_rates[0]) / 1e9)
            case _:
                raise KeyError(name)

    def _count_rate(self, name: str, i: int) -> float:
        if not self.efficiency(i):
            return 0.0
        light = self.light
        rate = light.count_rates[i] if light is not None and self.shutter_open and light.count_rates[i] else DARK_RATE
        return max(self.noise.around(name, rate, rate**0.5, self.now_ns), 0.0)
