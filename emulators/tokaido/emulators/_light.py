"""The quantum path of one link: what light meets between two boxes, and who listens on the way."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np

from tokaido.emulators.optics import (
    Conditions,
    DetectorCounts,
    Drift,
    Exposure,
    QuantumChannel,
    ReceiverRecord,
    TransmitterRecord,
)
from tokaido.emulators.units import Light, of_detector

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from tokaido.emulators.optics import Fibre, InterceptResend, LinkParameters
    from tokaido.emulators.units import ReceiverUnit, Session, TransmitterUnit

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
        self.way = ""
        """Name of the way that the light takes; another name is another way, and slots are counted anew."""
        self.extra_loss_db = 0.0
        """Loss that came on top of the fibre's own, in dB."""
        self.eavesdropper: InterceptResend | None = None
        self.bright = False
        """Whether somebody shines bright light into the receiver."""
        self._physics = physics
        self._secret = secret
        self._streams: dict[int, QuantumChannel] = {}  # by sub-channel
        self._count_rates: tuple[float, ...] = ()

    @property
    def loss_db(self) -> float:
        """Loss of the fibre as it is now, in dB."""
        return self.fibre.total_loss_db + self.extra_loss_db

    def advance(self, seconds: float, receiver: ReceiverUnit) -> None:
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

    def light(self, transmitter: TransmitterUnit) -> Light | None:
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
            source=transmitter.serial_number,
            path=self.way,
        )

    def begin(self, session: Session, transmitter: TransmitterUnit, receiver: ReceiverUnit) -> None:
        """Set the optics as the boxes are set for a session; slots count from 0."""
        parameters = replace(
            self.parameters,
            intensities=session.intensities,
            probabilities=session.probabilities,
            key_basis_probability_transmitter=transmitter.settings["key_basis_probability"],
            key_basis_probability_receiver=receiver.settings["key_basis_probability"],
            channel_loss_db=self.fibre.total_loss_db,
        )
        self._streams = {}
        for channel in sorted({*transmitter.channels_on} & {*receiver.channels_on}):
            dead_ns = max(receiver.settings[of_detector(i, "dead_time")] for i in _detectors(channel))
            optics = replace(parameters, dead_time_s=dead_ns * 1e-9)
            self._streams[channel] = QuantumChannel(optics, physics=self._physics, secret=self._secret)

    def rest(self) -> None:
        """Be without a session."""
        self._streams = {}
        self._count_rates = ()

    def conditions(self, transmitter: TransmitterUnit, receiver: ReceiverUnit) -> dict[int, Conditions]:
        """Return what the light of each sub-channel in use meets now. Call it with both units held."""
        return {channel: self._conditions(transmitter, receiver, channel) for channel in self._streams}

    def _conditions(self, transmitter: TransmitterUnit, receiver: ReceiverUnit, channel: int) -> Conditions:
        efficiency = sum(receiver.efficiency(i) for i in _detectors(channel)) / 2
        detuned_db = 10 * math.log10(receiver.WORKING_EFFICIENCY / efficiency) if efficiency else 100.0
        follows_polarisation = "POL" in receiver.ALIGNMENT  # a receiver without the step does not depend on it
        return Conditions(
            laser_on=transmitter.sends_light,
            shutter_open=receiver.shutter_open and not self.cut,
            extra_loss_db=self.extra_loss_db + transmitter.excess_attenuation + detuned_db,
            phase_error_rad=self.drift.phase_error_rad + receiver.phase_offset_rad,
            polarisation_error_rad=self.drift.polarisation_error_rad if follows_polarisation else 0.0,
            delay_offset_ps=self.drift.delay_offset_ps + receiver.delay_offset_ps(channel),
            eavesdropper=self.eavesdropper,
        )

    def expose(self, step_ns: int, conditions: Mapping[int, Conditions]) -> list[Exposure]:
        """Return the detections of `step_ns`, in exposures that are kind to memory. Needs no unit held.

        The slots of n sub-channels are counted together: n k + c is slot k of the c-th of them.
        """
        if not self._streams:
            return []
        exposures: list[Exposure] = []
        clicks = [0] * (2 * max(self._streams) + 2)
        pulses = round(step_ns * self.parameters.clock_rate_hz / 1e9)
        longest = max(round(_LONGEST_NS * self.parameters.clock_rate_hz / 1e9), 1)
        while pulses > 0:
            now = min(pulses, longest)
            pulses -= now
            parts = [stream.expose(now, conditions[channel]) for channel, stream in self._streams.items()]
            for channel, part in zip(self._streams, parts, strict=True):
                for i, count in zip(_detectors(channel), part.counts.clicks, strict=True):
                    clicks[i] += count
            exposures.append(parts[0] if len(parts) == 1 else _interleaved(parts))
        self._count_rates = tuple(count / (step_ns / 1e9) for count in clicks)
        return exposures


def _detectors(channel: int) -> tuple[int, int]:
    return 2 * channel, 2 * channel + 1


def _interleaved(parts: Sequence[Exposure]) -> Exposure:
    """Return the records of several sub-channels as one, in the order of their common slots."""
    slots = np.concatenate([len(parts) * part.receiver.slots + channel for channel, part in enumerate(parts)])
    order = np.argsort(slots)

    def joined(column: Callable[[Exposure], NDArray[np.uint8]]) -> NDArray[np.uint8]:
        return np.concatenate([column(part) for part in parts])[order]

    return Exposure(
        TransmitterRecord(
            slots=slots[order],
            basis=joined(lambda part: part.transmitter.basis),
            bit=joined(lambda part: part.transmitter.bit),
            intensity=joined(lambda part: part.transmitter.intensity),
        ),
        ReceiverRecord(
            slots=slots[order],
            basis=joined(lambda part: part.receiver.basis),
            bit=joined(lambda part: part.receiver.bit),
        ),
        pulses=sum(part.pulses for part in parts),
        counts=DetectorCounts(
            (sum(part.counts.clicks[0] for part in parts), sum(part.counts.clicks[1] for part in parts)),
            sum(part.counts.coincidences for part in parts),
        ),
    )
