"""What a model says that it is on a bench."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokaido.emulators.bench._elements import SwitchPlace, UnitPlace
from tokaido.emulators.bench._passages import Passage
from tokaido.emulators.units import ReceiverUnit, TransmitterUnit
from tokaido.hal import ConfigurationError

if TYPE_CHECKING:
    from tokaido.emulators._light import SwitchModel
    from tokaido.emulators._model import DeviceModel
    from tokaido.emulators.bench._elements import Element


class Standing:
    """Asks a model what it is on a bench, and holds the answer; it is the `BenchSpot` that a model takes its place on.

    Args:
        name: What the model is called on the bench.
        model: The model.

    Raises:
        ConfigurationError: The name is not one, or the model says that it is a unit and is not.
    """

    def __init__(self, name: str, model: DeviceModel) -> None:
        self.element: Element | None = None
        """Where light meets it; None for a device in the dark."""
        self.sends: TransmitterUnit | None = None
        """The model as the transmitter that it is, or None."""
        self.detects: ReceiverUnit | None = None
        """The model as the receiver that it is, or None."""
        self.told: Passage | SwitchPlace | None = None
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
        self.element = self.told = SwitchPlace(self._name, model)

    def transmitter(self, unit: DeviceModel) -> None:
        """Light begins in it."""
        if not isinstance(unit, TransmitterUnit):
            raise self._not_a(TransmitterUnit)
        self.element, self.sends = UnitPlace(self._name), unit

    def receiver(self, unit: DeviceModel) -> None:
        """Light ends in it."""
        if not isinstance(unit, ReceiverUnit):
            raise self._not_a(ReceiverUnit)
        self.element, self.detects = UnitPlace(self._name), unit

    def _not_a(self, kind: type) -> ConfigurationError:
        return ConfigurationError(
            f"{self._name} takes its place on the bench as a {kind.__name__}, and is not one",
            remedy=f"Let its model subclass tokaido.emulators.units.{kind.__name__}",
        )
