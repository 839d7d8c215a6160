"""The quantum path of one link: what light meets between two boxes, and who listens on the way."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np

from tokaido.emulators.optics import Conditions, Drift, QuantumChannel
from tokaido.emulators.toshiba._receiver import EFFICIENCY, Light

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokaido.emulators.optics import Exposure, Fibre, InterceptResend, LinkParameters
    from tokaido.emulators.toshiba import ReceiverModel, TransmitterModel
    from tokaido.emulators.toshiba._session import Session

CLOCK_LIGHT_DBM: Final = -1.0
"""Power of the clock light where it enters the fibre."""
VISIBILITY: Final = 0.985
"""Of two interferometers in order."""
_LONGEST_NS: Final = 50_000_000


class QuantumPath:
    """A fibre between a transmitter and a receiver, with its drift, its mishaps and its eavesdropper.

    Args:
        parameters: What the two boxes are built of; intensities, probabilities and loss are set anew for each session.
        fibre: The fibre.
        physics: Decides what the light does.
        secret: Where the transmitter's raw bits come from.
    """

    def __init__(
        self,
        parameters: LinkParameters,
        fibre: Fibre,
        *,
        physics: np.random.Generator,
        secret: Callable[[int], bytes],
    ) -> None:
        self.parameters = parameters
        self.fibre = fibre
        self.drift = Drift(physics)
        self.cut = False
        """Whether the fibre is cut."""
        self.extra_loss_db = 0.0
        """Loss that came on top of the fibre's own, in dB."""
        self.eavesdropper: InterceptResend | None = None
        self.bright = False
        """Whether somebody shines bright light into the receiver."""
        self._physics = physics
        self._secret = secret
        self._channel: QuantumChannel | None = None
        self._count_rates = (0.0, 0.0)

    @property
    def loss_db(self) -> float:
        """Loss of the fibre as it is now, in dB."""
        return self.fibre.total_loss_db + self.extra_loss_db

    def advance(self, seconds: float, receiver: ReceiverModel) -> None:
        """Let the path drift, and let the receiver's controllers act on it."""
        self.drift.advance(seconds, phase_locked=receiver.locked)
        steps, receiver.aligned_steps = receiver.aligned_steps, []
        for step in steps:
            if step == "POL":
                self.drift.trim_polarisation(-self.drift.polarisation_error_rad)
            elif step == "DELAY":
                self.drift.trim_delay(-self.drift.delay_offset_ps)
            elif step == "PHASE":
                self.drift.trim_phase(-self.drift.phase_error_rad)

    def light(self, transmitter: TransmitterModel) -> Light | None:
        """Return what the receiver's instruments see of the light, or None in the dark."""
        if self.cut or not transmitter.sends_light:
            return None
        return Light(
            clock_power_dbm=CLOCK_LIGHT_DBM - self.loss_db,
            loss_db=self.loss_db,
            phase_error_rad=self.drift.phase_error_rad,
            visibility=VISIBILITY * abs(math.cos(self.drift.phase_error_rad)),
            count_rates=self._count_rates,
            bright=self.bright,
        )

    def begin(self, session: Session, transmitter: TransmitterModel, receiver: ReceiverModel) -> None:
        """Set the optics as the boxes are set for a session; slots count from 0."""
        parameters = replace(
            self.parameters,
            intensities=session.intensities,
            probabilities=session.probabilities,
            key_basis_probability_transmitter=transmitter.settings["BAS"],
            key_basis_probability_receiver=receiver.settings["BAS"],
            channel_loss_db=self.fibre.total_loss_db,
            dead_time_s=max(receiver.settings[f"DET{i}:DEAD"] for i in (0, 1)) * 1e-9,
        )
        self._channel = QuantumChannel(parameters, physics=self._physics, secret=self._secret)

    def rest(self) -> None:
        """Be without a session."""
        self._channel = None
        self._count_rates = (0.0, 0.0)

    def conditions(self, transmitter: TransmitterModel, receiver: ReceiverModel) -> Conditions:
        """Return the conditions that light meets now. Call it with both units held."""
        efficiency = sum(receiver.efficiency(i) for i in (0, 1)) / 2
        detuned_db = 10 * math.log10(EFFICIENCY / efficiency) if efficiency else 100.0
        return Conditions(
            laser_on=transmitter.sends_light,
            shutter_open=receiver.shutter_open and not self.cut,
            extra_loss_db=self.extra_loss_db + transmitter.excess_attenuation + detuned_db,
            phase_error_rad=self.drift.phase_error_rad,
            polarisation_error_rad=self.drift.polarisation_error_rad,
            delay_offset_ps=self.drift.delay_offset_ps + receiver.delay_offset_ps,
            eavesdropper=self.eavesdropper,
        )

    def expose(self, step_ns: int, conditions: Conditions) -> list[Exposure]:
        """Return the detections of `step_ns`, in exposures that are kind to memory. Needs no unit held."""
        if self._channel is None:
            return []
        exposures: list[Exposure] = []
        clicks = [0, 0]
        pulses = round(step_ns * self.parameters.clock_rate_hz / 1e9)
        longest = max(round(_LONGEST_NS * self.parameters.clock_rate_hz / 1e9), 1)
        while pulses > 0:
            exposure = self._channel.expose(min(pulses, longest), conditions)
            pulses -= exposure.pulses
            for i in (0, 1):
                clicks[i] += exposure.counts.clicks[i]
            exposures.append(exposure)
        self._count_rates = clicks[0] / (step_ns / 1e9), clicks[1] / (step_ns / 1e9)
        return exposures
