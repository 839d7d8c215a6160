"""What a model says that it is on a bench."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokaido.emulators.bench._elements import SwitchPlace, UnitPlace
from tokaido.emulators.bench._passages import Passage

if TYPE_CHECKING:
    from tokaido.emulators._model import DeviceModel
    from tokaido.emulators.bench._elements import Element, SwitchModel
    from tokaido.emulators.units import ReceiverUnit, TransmitterUnit


class Standing:
    """Asks a model what it is on a bench, and holds the answer; it is the `BenchSpot` that a model takes its place on.

    Args:
        name: What the model is called on the bench.
        model: The model.

    Raises:
        ConfigurationError: The name is none.
    """

    def __init__(self, name: str, model: DeviceModel) -> None:
        self.element: Element | None = None
        """Where light meets it; None for a device in the dark."""
        self.sends: TransmitterUnit | None = None
        """The model as the transmitter that it is, or None."""
        self.detects: ReceiverUnit | None = None
        """The model as the receiver that it is, or None."""
        self.told: Passage | None = None
        """The element, if it is to be told which light enters it."""
        self._name = name
        model.take_place(self)

    @property
    def is_unit(self) -> bool:
        """Whether it is one end of a QKD link."""
        return self.sends is not None or self.detects is not None

    def passage(self, model: DeviceModel) -> None:
        """Light goes through it."""
        self.element = self.told = Passage(self._name, model)

    def switch(self, model: SwitchModel) -> None:
        """Light goes as its mirrors stand."""
        self.element = SwitchPlace(self._name, model)

    def transmitter(self, unit: TransmitterUnit) -> None:
        """Light begins in it."""
        self.element, self.sends = UnitPlace(self._name), unit

    def receiver(self, unit: ReceiverUnit) -> None:
        """Light ends in it."""
        self.element, self.detects = UnitPlace(self._name), unit
