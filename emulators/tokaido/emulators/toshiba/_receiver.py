"""The receiver T12-RX: its rating plate and its gated detectors (docs/protocols/toshiba.md section 6.3)."""

from __future__ import annotations

from tokaido.emulators.toshiba._commands import COMMON, RECEIVER
from tokaido.emulators.toshiba._unit import ToshibaUnit
from tokaido.emulators.units import Body, ReceiverUnit, of_detector

WORKING_DELAY_PS = (412.0, 437.0)
EFFICIENCY_PER_VOLT = 0.02


class ReceiverModel(ToshibaUnit, ReceiverUnit):
    """A Toshiba-style receiver."""

    MODEL = "T12-RX"
    SERIAL_NUMBER = "TKRX0001"
    ROWS = COMMON + RECEIVER
    WARMUP_LIMIT_S = 600.0
    TEMPERATURE_LIMIT = 2.0
    RUNAWAY = 5.0
    WORKING_BIAS = 54.0
    WORKING_EFFICIENCY = 0.205
    DARK_RATE = 21_000.0
    OPTICS = "t12"

    def _build_detectors(self) -> tuple[Body, ...]:
        return Body(-30.0, 11.8, settled_within=0.5), Body(-30.0, 11.6, settled_within=0.5)

    def _build_interferometer(self) -> Body:
        return Body(30.0, 11.0, settled_within=0.1)

    def efficiency_at(self, bias: float) -> float:
        """Return the detection efficiency at a bias in V, 0 below breakdown."""
        return min(max(self.WORKING_EFFICIENCY + EFFICIENCY_PER_VOLT * (bias - self.WORKING_BIAS), 0.0), 0.35)

    def delay_offset_ps(self, channel: int) -> float:
        """Return how far the gates are off those of the last alignment, in ps."""
        gates = (2 * channel, 2 * channel + 1)
        return sum(self.settings[of_detector(i, "gate_delay")] - WORKING_DELAY_PS[i] for i in gates) / 2

    def step_done(self, step: str) -> None:
        """Take over what a step of the alignment found: DELAY finds the gates."""
        if step == "DELAY":
            for i, delay_ps in enumerate(WORKING_DELAY_PS):
                self.settings[of_detector(i, "gate_delay")] = delay_ps
        super().step_done(step)
