"""The pulses of one session, in as many sub-channels as it uses, and what two units are built as together."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np

from tokaido.emulators.bench._quantum_path import detectors_of
from tokaido.emulators.optics import (
    DetectorCounts,
    Exposure,
    QuantumChannel,
    ReceiverRecord,
    TransmitterRecord,
    preset,
)
from tokaido.emulators.units import of_detector

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from tokaido.emulators.optics import Conditions, LinkParameters, PresetSettings
    from tokaido.emulators.units import ReceiverUnit, Session, TransmitterUnit

_FIRST_S: Final = 0.002
_LONGEST_S: Final = 0.05
"""What is exposed at a time: little at first, since a receiver plans its first block by what it detected before."""
_FEW_CLICKS: Final = 20_000
"""Of an exposure with fewer clicks, most time goes into the exposure itself: the next one may be twice as long."""
_LONGEST_OF_FEW_S: Final = 1.0


def built_as(receiver: ReceiverUnit, settings: PresetSettings = "short-block") -> LinkParameters:
    """Return what a receiver and a transmitter of its kind are built of; the loss of the path is not in it."""
    return preset(receiver.OPTICS, settings=settings, channel_loss_db=0.0)


def understands(receiver: ReceiverUnit, transmitter: TransmitterUnit, optics: LinkParameters) -> bool:
    """Whether a receiver of these optics makes sense of a transmitter's pulses: of its kind, and of its pulse rate."""
    return receiver.PULSES == transmitter.PULSES and optics.clock_rate_hz == transmitter.CLOCK_RATE_HZ


def common_channels(transmitter: TransmitterUnit, receiver: ReceiverUnit) -> tuple[int, ...]:
    """Return the sub-channels that are on at both ends, from 0."""
    return tuple(channel for channel in transmitter.channels_on if channel in receiver.channels_on)


class SessionPulses:
    """What a session sends and detects: one stream of pulses for each sub-channel. Slots count from 0.

    Args:
        session: Gives intensities and probabilities.
        transmitter: Who sends.
        receiver: Who detects.
        parameters: What the two are built of.
        loss_db: Loss of the path now, in dB.
        physics: Decides what the light does.
        secret: Where the transmitter's raw bits come from.
    """

    def __init__(
        self,
        session: Session,
        transmitter: TransmitterUnit,
        receiver: ReceiverUnit,
        parameters: LinkParameters,
        loss_db: float,
        *,
        physics: np.random.Generator,
        secret: Callable[[int], bytes],
    ) -> None:
        self.channels = common_channels(transmitter, receiver)
        """The sub-channels that are used, from 0."""
        self.loss_db = loss_db
        """Loss of the path when the session began; conditions count from here."""
        self.count_rates = (0.0,) * len(receiver.detectors)
        """Clicks of each detector over the last exposure, 1/s."""
        self._clock_rate_hz = parameters.clock_rate_hz
        self._longest_s = _FIRST_S
        common = replace(
            parameters,
            intensities=session.intensities,
            probabilities=session.probabilities,
            key_basis_probability_transmitter=transmitter.settings["key_basis_probability"],
            key_basis_probability_receiver=receiver.settings["key_basis_probability"],
            channel_loss_db=loss_db,
        )
        self._streams: list[QuantumChannel] = []
        for channel in self.channels:
            dead_ns = max(receiver.settings[of_detector(i, "dead_time")] for i in detectors_of(channel))
            optics = replace(common, dead_time_s=dead_ns * 1e-9)
            self._streams.append(QuantumChannel(optics, physics=physics, secret=secret))

    def expose(self, step_ns: int, conditions: Sequence[Conditions]) -> list[Exposure]:
        """Return the detections of `step_ns`, in exposures that are kind to memory. Needs no unit held.

        The slots of n sub-channels are counted together: n k + c is slot k of the c-th.
        """
        exposures: list[Exposure] = []
        clicks = [0] * len(self.count_rates)
        pulses = round(step_ns * self._clock_rate_hz / 1e9) if self._streams else 0
        while pulses > 0:
            now = min(pulses, max(round(self._longest_s * self._clock_rate_hz), 1))
            pulses -= now
            parts = [stream.expose(now, met) for stream, met in zip(self._streams, conditions, strict=True)]
            for channel, part in zip(self.channels, parts, strict=True):
                for i, count in zip(detectors_of(channel), part.counts.clicks, strict=True):
                    clicks[i] += count
            few = sum(sum(part.counts.clicks) for part in parts) < _FEW_CLICKS
            self._longest_s = min(2 * self._longest_s, _LONGEST_OF_FEW_S if few else _LONGEST_S)
            exposures.append(parts[0] if len(parts) == 1 else _interleaved(parts))
        self.count_rates = tuple(count / (step_ns / 1e9) for count in clicks)
        return exposures


def click_chance(transmitter: TransmitterUnit, optics: LinkParameters, loss_db: float) -> float:
    """Return the chance per gate that light of a transmitter makes a click: what it is to whom it was not sent.

    That of the brightest sub-channel, where they differ.
    """
    of = transmitter.settings
    decoy, vacuum = of["decoy_probability"], of["vacuum_probability"]
    mean = of["signal_mean_photon_number"] * (1 - decoy - vacuum)
    mean += of["decoy_mean_photon_number"] * decoy + of["vacuum_mean_photon_number"] * vacuum
    excess = [10 ** (transmitter.excess_light_db(channel) / 10) for channel in transmitter.channels_on]
    arriving = mean * 10 ** (-loss_db / 10) * max(excess, default=0.0)
    return -math.expm1(-optics.receiver_transmittance * arriving)


def _interleaved(parts: Sequence[Exposure]) -> Exposure:
    """Return the records of several sub-channels as one, in the order of their common slots."""
    slots = np.concatenate([len(parts) * part.receiver.slots + number for number, part in enumerate(parts)])
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
