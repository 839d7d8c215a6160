"""What the bench keeps beside each unit: its lock, its distillation, and what it knows of its light."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokaido.emulators.bench._distilling import DistillingEnd
from tokaido.emulators.bench._pulses import built_as
from tokaido.emulators.distillation import ReceiverDistiller, TransmitterDistiller
from tokaido.emulators.ends import SharedModel

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokaido.emulators._model import DeviceModel
    from tokaido.emulators.bench._elements import Element
    from tokaido.emulators.bench._path import LightPath
    from tokaido.emulators.bench._quantum_path import QuantumPath
    from tokaido.emulators.optics import LinkParameters
    from tokaido.emulators.units import ReceiverUnit, TransmitterUnit
    from tokaido.hal import Clock


class TransmitterPlace:
    """A transmitter on the bench.

    Args:
        name: Its name.
        model: The unit.
        secret: Where its raw bits come from.
    """

    def __init__(self, name: str, model: TransmitterUnit, secret: Callable[[int], bytes]) -> None:
        self.name = name
        self.model = model
        self.secret = secret
        self.shared = SharedModel(model)
        self.end: DistillingEnd[TransmitterDistiller] = DistillingEnd(
            self.shared, model, lambda settings, pool, chance: TransmitterDistiller(settings, pool, secret=chance)
        )
        self.quantum: LightPath | None = None
        """Where its pulses went at the last look, and"""
        self.clock: LightPath | None = None
        """where its clock light went."""
        self.steady = False
        """Whether they went the same way, without a break, since the look before."""


class ReceiverPlace:
    """A receiver on the bench.

    Args:
        name: Its name.
        model: The unit.
    """

    def __init__(self, name: str, model: ReceiverUnit) -> None:
        self.name = name
        self.model = model
        self.shared = SharedModel(model)
        self.end: DistillingEnd[ReceiverDistiller] = DistillingEnd(
            self.shared, model, lambda settings, pool, chance: ReceiverDistiller(settings, pool, secret=chance)
        )
        self.optics: dict[str, LinkParameters] = {}
        """What it and a transmitter, by name, are built of, where that was said."""
        self.paths: dict[tuple[str, str], QuantumPath] = {}
        """The ways that light ever took to it, by serial number of the transmitter and id of the path."""
        self.way: tuple[str, str] | None = None
        """The way by which it last had clock light."""
        self.pulses_way: tuple[str, str] | None = None
        """The way by which pulses last led to it while it had clock light: name of the transmitter, id of the path."""
        self.diversions: tuple[int, ...] = ()
        """What the switches on the way of its clock light had counted."""
        self.count_rates: tuple[float, ...] | None = None
        """Clicks of its detectors in the session that is exposed, 1/s; None without one."""

    def built_with(self, transmitter: str) -> LinkParameters:
        """Return what it and a transmitter are built of: as was said, or as its kind is."""
        said = self.optics.get(transmitter) or next(iter(self.optics.values()), None)
        return said or built_as(self.model)

    @property
    def path(self) -> QuantumPath | None:
        """The way by which it last had clock light."""
        return None if self.way is None else self.paths[self.way]


UnitPlaceOnBench = TransmitterPlace | ReceiverPlace


class WatchedModel(SharedModel):
    """A device in the light path, with its lock and its time. Bringing it to the present also notes how it stands.

    So a move is seen even if another one takes it back before the bench looks: wires do so before every message.
    """

    def __init__(self, model: DeviceModel, place: Element, clock: Clock | None, speed: float) -> None:
        super().__init__(model, clock=clock, speed=speed)
        self._place = place

    def catch_up(self) -> None:
        """Advance the device to the present, and note how it stands. Call it under the lock."""
        super().catch_up()
        self._place.look()
