"""The receiver's hardware: shutter, detectors, interferometer, clock; and the light that it sees."""

from __future__ import annotations

import re
from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tokaido.emulators.units._faults import MODEL_FAULTS
from tokaido.emulators.units._readings import UnitReading, no_data
from tokaido.emulators.units._states import ALIGNING, RUNNING_STATES, State
from tokaido.emulators.units._unit import UnitModel

if TYPE_CHECKING:
    from tokaido.emulators._model import BenchSpot
    from tokaido.emulators.units._thermal import Body

DARK_NS = 500_000_000
"""How long the clock light must be gone until that is called a loss."""
_OF_DETECTOR = re.compile(r"detectors\[(\d+)\]\.(\w+)")


@dataclass(frozen=True, slots=True)
class Light:
    """What of the light the receiver's own instruments see."""

    clock_power_dbm: float
    loss_db: float
    phase_error_rad: float = 0.02
    visibility: float = 0.985
    count_rates: tuple[float, ...] = ()
    """Clicks of each detector, 1/s; none for detectors that see only their dark counts."""
    bright: bool = False
    """Whether so much light falls on a detector that it is not a single-photon detector any more."""
    source: str = ""
    """Serial number of the transmitter that it comes from; empty if that is left open."""
    path: str = ""
    """Any name of the way that it takes."""

    @property
    def way(self) -> tuple[str, str]:
        """Where it comes from, and which way."""
        return self.source, self.path


def of_detector(i: int, what: str) -> str:
    """Return the neutral name of a setting or reading of one detector: `detectors[0].bias`."""
    return f"detectors[{i}].{what}"


class ReceiverUnit(UnitModel):
    """A receiver of any vendor. It knows what its detectors, clock and servo see, and what the peer tells it."""

    SIDE = "receiver"
    MODEL_FAULTS = MODEL_FAULTS["receiver"]
    FAULTS = tuple(MODEL_FAULTS)
    TEMPERATURE_ALARM = "DET_TEMP"
    WORKING_BIAS: float
    """Detector bias that an alignment sets, in the vendor's unit of measure."""
    WORKING_EFFICIENCY: float
    """Detection efficiency at that bias."""
    OPTICS: str
    """Preset of the optics that it and a transmitter of its kind are built of (`tokaido.emulators.optics.preset`)."""
    DARK_RATE: float
    """Dark counts of one detector, 1/s."""

    def __init__(self, serial_number: str | None = None, **options: object) -> None:
        self.detectors = self._build_detectors()
        self.interferometer = self._build_interferometer()
        self._incoming: Light | None = None
        self._counted: tuple[str, str] | None = None  # the way of the light by whose clock slots are counted
        self.probed = False
        """Whether the monitor at its input sees light that is there to look into the unit: no detector notices."""
        self.shutter_open = False
        self.locked = False
        self.aligned_steps: list[str] = []
        """Steps of the alignment that were done since they were last taken from here, and TRACK for small corrections
        between alignments; the bench moves its optics by them."""
        self._dark_since_ns: int | None = 0
        self._dark_rates: tuple[int, list[float]] | None = None
        super().__init__(serial_number, **options)  # type: ignore[arg-type]

    def take_place(self, spot: BenchSpot) -> None:
        """Be a receiver on a bench."""
        spot.receiver(self)

    @abstractmethod
    def _build_detectors(self) -> tuple[Body, ...]:
        """Return the detectors as bodies with a temperature: two for each sub-channel, that of bit 0 first."""

    @abstractmethod
    def _build_interferometer(self) -> Body:
        """Return the interferometer as a body with a temperature."""

    @abstractmethod
    def efficiency_at(self, bias: float) -> float:
        """Return the detection efficiency at a bias, 0 where the detector does not count."""

    # --- light ------------------------------------------------------------------------------------------------------

    @property
    def incoming(self) -> Light | None:
        """The light that arrives, or None in the dark. Light that takes another way makes the clock slip at once."""
        return self._incoming

    @incoming.setter
    def incoming(self, light: Light | None) -> None:
        self._incoming = light
        self.touch()
        self._follow_way()

    @property
    def light(self) -> Light | None:
        """The light that arrives, faults included."""
        return None if "light_lost" in self.faults else self._incoming

    @property
    def sees_slots(self) -> bool:
        """Whether clicks can be told apart by slot: there is clock light, and the clock is locked to it."""
        light = self.light
        counts = light is not None and light.way == self._counted
        return counts and self.locked and "clock_unlocked" not in self.faults

    def way_changed(self) -> None:
        """Take note that the light took another way meanwhile, though it may be on its old one again."""
        if self._counted is not None:
            self._slip()

    def _follow_way(self) -> None:
        light = self.light
        if light is not None and self._counted is not None and light.way != self._counted:
            self._slip()

    def _slip(self) -> None:
        """Lose the count of slots: clicks counted from now on match nothing of the peer."""
        self._counted = None
        self.locked = False
        self.aligned = False
        if self.running:
            self.begin_alignment(State.REALIGN, State.RUN)
        elif self.state in ALIGNING:
            self.begin_alignment(self.state, self.goal)
        else:
            self.make_safe()

    def efficiency(self, detector: int) -> float:
        """Return the efficiency of one detector at its present bias."""
        return self.efficiency_at(self.settings[of_detector(detector, "bias")])

    def delay_offset_ps(self, _channel: int) -> float:
        """Return how far the detection of a sub-channel is off that of the last alignment, in ps."""
        return 0.0

    @property
    def phase_offset_rad(self) -> float:
        """How far the interferometer itself is off the phase of the last alignment, in rad; the way's comes on top."""
        return 0.0

    # --- hardware ---------------------------------------------------------------------------------------------------

    def bodies(self) -> tuple[Body, ...]:
        return (*self.detectors, self.interferometer)

    def _critical_bodies(self) -> tuple[Body, ...]:
        return self.detectors

    def put(self, name: str, value: float | str) -> None:
        """Put a setting into force; a shutter that is closed by hand undoes the alignment."""
        if name == "shutter":
            self.shutter_open = value == "OPEN"
            self.aligned = self.aligned and self.shutter_open
        else:
            super().put(name, value)

    def _go_safe(self) -> None:
        self.shutter_open = False
        self.locked = False
        self._counted = None
        self._bias_detectors(0.0)

    def arm(self) -> None:
        self.shutter_open = True
        self.locked = False
        self._counted = None
        self._bias_detectors(self.WORKING_BIAS)

    def _bias_detectors(self, bias: float) -> None:
        for i in range(len(self.detectors)):
            self.settings[of_detector(i, "bias")] = bias

    def _step_possible(self, step: str) -> bool:
        if step == "BIAS":
            return True
        light, link = self.light, self.links.in_force
        if light is None or not self.peer.reachable:
            return False
        correlates = not link.named or light.source in ("", link.peer)  # with the frames that the peer speaks of
        return step != "DELAY" or correlates

    def step_done(self, step: str) -> None:
        if step == "BIAS":
            self._dark_rates = self.now_ns, [self._dark_rate(i) for i in range(len(self.detectors))]
        elif step == "SYNC" and self.light is not None:
            self.locked = True
            self._counted = self.light.way
        self.aligned_steps.append(step)

    def _dark_rate(self, i: int) -> float:
        return self.noise.around(of_detector(i, "dark_count_rate"), self.DARK_RATE, self.DARK_RATE / 140, self.now_ns)

    def _servo_moved(self) -> None:
        self.aligned_steps.append("TRACK")

    def _watch_light(self) -> None:
        light = self.light
        if "detector_blinding" in self.faults or (light is not None and light.bright and self.shutter_open):
            self.raise_alarm("DETECTOR_BLINDING")
        if "trojan_light" in self.faults or self.probed:
            self.raise_alarm("TROJAN_LIGHT")

    def _follow_hardware(self) -> None:
        self._follow_way()
        light = self.light
        if light is not None:
            self._dark_since_ns = None
        elif self._dark_since_ns is None:
            self._dark_since_ns = self.now_ns
            self.locked = False
        needed = self.state in (*ALIGNING, *RUNNING_STATES) or (self.state is State.STANDBY and self.aligned)
        dark_ns = -1 if self._dark_since_ns is None else self.now_ns - self._dark_since_ns
        self.alarms.follow("LOS", needed and dark_ns >= DARK_NS, self.now_ns)
        if self.aligned and light is not None:
            self.locked = "clock_unlocked" not in self.faults
        unlocked = needed and self.aligned and light is not None and not self.locked
        self.alarms.follow("SYNC_LOSS", unlocked, self.now_ns)

    def cause_lasts(self, code: str) -> bool:
        """Whether the cause of a latched alarm is still there; light from outside is one."""
        bright = self.light is not None and self.light.bright
        outside = {"DETECTOR_BLINDING": bright, "TROJAN_LIGHT": self.probed}
        return outside.get(code, False) or super().cause_lasts(code)

    def _out_of_limits(self) -> set[str]:
        return super()._out_of_limits() | {code for code in ("LOS", "SYNC_LOSS") if code in self.alarms}

    def _hardware_fault(self, name: str, *, present: bool) -> None:
        if name == "detector_temperature_runaway":
            self.detectors[0].offset = self.RUNAWAY if present else 0.0
        elif name == "detector_warmup_failure":
            for detector in self.detectors:
                detector.stuck = present

    def imagine_light(self) -> None:
        self.incoming = Light(-15.5, 14.5, count_rates=(640_000.0,) * len(self.detectors))

    # --- readings ---------------------------------------------------------------------------------------------------

    def reading(self, name: str) -> UnitReading:
        """Return a reading of this unit; NO_DATA in the dark for what only light shows."""
        if detector := _OF_DETECTOR.fullmatch(name):
            return self._detector_reading(name, int(detector[1]), detector[2])
        light, now_ns, noise = self.light, self.now_ns, self.noise
        match name:
            case "shutter":
                return UnitReading("OPEN" if self.shutter_open else "CLOSED")
            case "interferometer_temperature":
                return UnitReading(noise.around(name, self.interferometer.temperature, 0.004, now_ns))
            case "clock_locked":
                return UnitReading(float(self.sees_slots))
            case "interferometer_phase" | "visibility" | "clock_power" | "channel_loss":
                if light is None or (name in ("interferometer_phase", "visibility") and not self.shutter_open):
                    raise no_data("no light")
                value, sigma = {
                    "interferometer_phase": (light.phase_error_rad, 0.004),
                    "visibility": (light.visibility, 0.0005),
                    "clock_power": (light.clock_power_dbm, 0.02),
                    "channel_loss": (light.loss_db, 0.02),
                }[name]
                return UnitReading(noise.around(name, value, sigma, now_ns))
            case _:
                return super().reading(name)

    def _detector_reading(self, name: str, i: int, what: str) -> UnitReading:
        now_ns, noise = self.now_ns, self.noise
        match what:
            case "temperature":
                return UnitReading(noise.around(name, self.detectors[i].temperature, 0.01, now_ns))
            case "efficiency":
                efficiency = self.efficiency(i)
                return UnitReading(noise.around(name, efficiency, 0.0004, now_ns) if efficiency else 0.0)
            case "count_rate":
                return UnitReading(self._count_rate(name, i))
            case "dark_count_rate":
                if self._dark_rates is None:
                    raise no_data("the dark counts are measured by an alignment")
                measured_ns, rates = self._dark_rates
                return UnitReading(rates[i], (now_ns - measured_ns) / 1e9)
            case _:
                raise KeyError(name)

    def _count_rate(self, name: str, i: int) -> float:
        if not self.efficiency(i):
            return 0.0
        light = self.light
        seen = light.count_rates if light is not None and self.shutter_open else ()
        rate = (seen[i] if i < len(seen) else 0.0) or self.DARK_RATE
        return max(self.noise.around(name, rate, rate**0.5, self.now_ns), 0.0)
