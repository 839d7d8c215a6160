"""The receivers TB-RX8S and TB-RX8A: shutter, interferometer, detectors (docs/protocols/nec.md section 4.3)."""

from __future__ import annotations

import hashlib
import math
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from tokaido.emulators.nec._commands import COMMON, Detectors, receiver_rows
from tokaido.emulators.nec._cryostat import Cryostat
from tokaido.emulators.nec._detectors import KINDS
from tokaido.emulators.nec._unit import NecUnit, of_channel
from tokaido.emulators.units import MODEL_FAULTS, TICK_NS, Body, Light, ReceiverUnit, UnitReading, no_data, of_detector
from tokaido.hal import ConfigurationError

if TYPE_CHECKING:
    from tokaido.emulators.nec._commands import Command

PHASE_PER_DEGREE: Final = 3.4
"""How far the phase moves with the temperature of the interferometer, rad/degC."""
SETTLED: Final = 0.005
"""Distance from its set point, in degC, within which the interferometer's temperature counts as found."""
INTERFEROMETER_TAU_S: Final = 3.0
"""Time constant of the interferometer's temperature, s (assumed)."""
SET_POINT_SPREAD: Final = 0.1
"""How far the set points that alignments find lie apart, +-degC (assumed)."""


class ReceiverModel(NecUnit, ReceiverUnit):
    """An NEC-style receiver.

    Args:
        serial_number: 4 to 24 of `A-Z0-9-`.
        detectors: "nanowire" or "avalanche".
        options: `sub_channels`, how many it has, 1 to 8; `seed` and `secrets`; see `UnitModel`.

    Raises:
        ConfigurationError: There is no such receiver.
    """

    SERIAL_NUMBER = "TKNR0001"
    MODEL = "TB-RX8S"
    MODEL_FAULTS = {**MODEL_FAULTS["receiver"], "cryostat_warm": "DET_TEMP"}  # noqa: RUF012
    FAULTS = tuple(MODEL_FAULTS)

    def __init__(
        self, serial_number: str | None = None, *, detectors: Detectors = "nanowire", **options: object
    ) -> None:
        if detectors not in KINDS:
            raise ConfigurationError(f"there are no {detectors!r} detectors", remedy=f"Give {' or '.join(KINDS)}")
        self.detector_kind: Detectors = detectors
        """What its detectors are."""
        self._kind = KINDS[detectors]
        self.OPTICS = self._kind.optics
        self.WARMUP_LIMIT_S = self._kind.warmup_limit_s
        self.TEMPERATURE_LIMIT = self._kind.temperature_limit
        self.RUNAWAY = self._kind.runaway
        self.WORKING_BIAS = self._kind.working_bias
        self.WORKING_EFFICIENCY = self._kind.working_efficiency
        self.DARK_RATE = self._kind.dark_rate
        self.phase_found_at = 30.0
        """Temperature of the interferometer, in degC, at which the last step PHASE found the right phase."""
        self._alignments = 0
        self._seen: tuple[Light, float, Light] | None = None  # light as it comes, phase offset, light as it is seen
        super().__init__(serial_number, **options)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

    def _rows(self) -> tuple[Command, ...]:
        return COMMON + receiver_rows(self.detector_kind)

    def _model(self) -> str:
        return f"TB-RX{self.channels}{self._kind.letter}"

    # --- hardware ---------------------------------------------------------------------------------------------------

    def _build_detectors(self) -> tuple[Body, ...]:
        if self.detector_kind == "nanowire":
            return (Cryostat(),) * (2 * self.channels)
        return tuple(Body(-50.0, 10.8 + 0.05 * i, settled_within=0.5) for i in range(2 * self.channels))

    def _build_interferometer(self) -> Body:
        return Body(30.0, INTERFEROMETER_TAU_S, settled_within=0.1)

    def bodies(self) -> tuple[Body, ...]:
        """Everything whose temperature must settle; a cryostat holds all detectors at once."""
        return (*self._critical_bodies(), self.interferometer)

    def _critical_bodies(self) -> tuple[Body, ...]:
        return self.detectors[:1] if self.detector_kind == "nanowire" else self.detectors

    def efficiency_at(self, bias: float) -> float:
        """Return the detection efficiency at a bias in uA (nanowires) or V (avalanche photodiodes)."""
        return self._kind.efficiency_at(bias)

    def delay_offset_ps(self, channel: int) -> float:
        """Return how far the gates of a sub-channel are off those of the last alignment, in ps; nanowires have none."""
        if self.detector_kind == "nanowire":
            return 0.0
        gates = (2 * channel, 2 * channel + 1)
        return sum(self.settings[of_detector(i, "gate_delay")] - _working_delay_ps(i) for i in gates) / 2

    def put(self, name: str, value: float | str) -> None:
        """Put a setting into force; the interferometer begins to follow its set point."""
        super().put(name, value)
        if name == "interferometer_set_point":
            self.interferometer.set_point = self.settings[name]

    def begin_phase_search(self) -> None:
        """Move the interferometer to the temperature that an alignment finds best, within 0.1 degC of 30."""
        self._alignments += 1
        digest = hashlib.blake2b(
            f"{self.seed}/{self.serial_number}/{self._alignments}".encode(), digest_size=2
        ).digest()
        fraction = int.from_bytes(digest, "big") / 65535
        self.put("interferometer_set_point", round(30.0 + SET_POINT_SPREAD * (2 * fraction - 1), 3))

    def _step_possible(self, step: str) -> bool:
        ends = step == "PHASE" and self._step_ns + TICK_NS >= self.ALIGNMENT[step] * 1e9
        return super()._step_possible(step) and not (ends and abs(self.interferometer.deviation) > SETTLED)

    def step_done(self, step: str) -> None:
        """Take over what a step of the alignment found."""
        if step == "DELAY":
            if self.detector_kind == "avalanche":
                for i in range(len(self.detectors)):
                    self.settings[of_detector(i, "gate_delay")] = _working_delay_ps(i)
            self.begin_phase_search()
        elif step == "PHASE":
            if abs(self.interferometer.deviation) > SETTLED:  # only in a scene that is set up at once
                self.interferometer.settle()
            self.phase_found_at = self.interferometer.temperature
        super().step_done(step)

    def _hardware_fault(self, name: str, *, present: bool) -> None:
        super()._hardware_fault(name, present=present)
        if name == "cryostat_warm":
            for body in self._critical_bodies():
                body.stuck = present

    # --- light ------------------------------------------------------------------------------------------------------

    @property
    def phase_offset_rad(self) -> float:
        """How far the interferometer's temperature moved the phase since the last step PHASE, in rad.

        What the light meets is this and the phase of the way together. `incoming` is without it.
        """
        return PHASE_PER_DEGREE * (self.interferometer.temperature - self.phase_found_at)

    @property
    def light(self) -> Light | None:
        """The light as the receiver's instruments see it: faults and the interferometer's temperature included."""
        light, offset_rad = super().light, self.phase_offset_rad
        if light is None:
            return None
        if self._seen is None or self._seen[0] is not light or self._seen[1] != offset_rad:
            self._seen = light, offset_rad, self._disturbed(light, offset_rad)
        return self._seen[2]

    @staticmethod
    def _disturbed(light: Light, offset_rad: float) -> Light:
        """Return light as it is seen behind an interferometer that is off by a phase."""
        phase_rad = math.remainder(light.phase_error_rad + offset_rad, 2 * math.pi)
        contrast = abs(math.cos(phase_rad)) / max(abs(math.cos(light.phase_error_rad)), 1e-3)
        return Light(
            light.clock_power_dbm,
            light.loss_db,
            phase_rad,
            min(light.visibility * contrast, 1.0),
            light.count_rates,
            light.bright,
            light.source,
            light.path,
        )

    def imagine_light(self) -> None:
        """Suppose light that suits every state, on the sub-channels that are on."""
        super().imagine_light()
        if self.incoming is not None:
            on = [float(i // 2 in self.channels_on) for i in range(len(self.detectors))]
            rates = tuple(rate * share for rate, share in zip(self.incoming.count_rates, on, strict=True))
            self.incoming = replace(self.incoming, count_rates=rates)

    # --- readings ---------------------------------------------------------------------------------------------------

    def reading(self, name: str) -> UnitReading:
        """Return a reading of this unit; NO_DATA in the dark for what only light shows."""
        if name == "visibility":
            seen = [float(self.reading(of_channel(c, name)).value) for c in self.channels_on]
            if not seen:
                raise no_data("no sub-channel is on")
            return UnitReading(math.fsum(seen) / len(seen))
        return super().reading(name)

    def _channel_reading(self, name: str, channel: int, what: str) -> UnitReading:
        match what:
            case "visibility":
                light = self.light
                if light is None or not self.shutter_open:
                    raise no_data("no light")
                if channel not in self.channels_on:
                    raise no_data("the sub-channel is off")
                return UnitReading(min(self.noise.around(name, light.visibility, 0.0005, self.now_ns), 1.0))
            case "count_rate":
                both = (of_detector(i, what) for i in (2 * channel, 2 * channel + 1))
                return UnitReading(math.fsum(float(self.reading(detector).value) for detector in both))
            case _:
                return super()._channel_reading(name, channel, what)


def _working_delay_ps(detector: int) -> float:
    return 400.0 + 7.0 * detector
