"""Faults that a test adds and removes while it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tokaido.emulators.testing._world import World

NAMES = {"transmitter": "alice", "receiver": "bob", "optical_switch": "switch"}
"""Names on the bench, by fixture."""


class FaultBox:
    """Faults of wires, devices and light, in the words of `Bench.order` (docs/explanation/bench.md, Orders).

    A device is named by its fixture (`transmitter`, `receiver`, `optical_switch`) or by its name on the bench, which in
    a station is that of the file.

    Args:
        world: What the test has.
    """

    def __init__(self, world: World) -> None:
        self._world = world

    def order(self, *words: str) -> None:
        """Carry out an order: `faults.order("bend", "A", "3")`.

        Raises:
            ConfigurationError: There is no such order, fibre, device or fault.
        """
        if self._world.real:
            self._world.failing(f"{' '.join(words)!r} is for an emulator")
        named = [NAMES[word] if place == 1 and self._is_fixture(word) else word for place, word in enumerate(words)]
        self._world.bench.order(*named)

    def _is_fixture(self, word: str) -> bool:
        """Whether a word is the fixture of a device, and no name of a station's own."""
        return word in NAMES and word not in self._world.bench.devices

    def add(self, device: str, kind: str, **options: object) -> None:
        """Begin a fault of a device or of its wires: `faults.add("receiver", "drop", probability=0.5)`."""
        self.order("fault", device, kind, *(f"{key}={_word(value)}" for key, value in options.items()))

    def remove(self, device: str, kind: str = "") -> None:
        """End the faults of a device, or those of one kind."""
        self.order("mend", device, *([kind] if kind else []))

    def cut(self, fibre: str = "A") -> None:
        """Cut a fibre."""
        self.order("cut", fibre)

    def mend(self, fibre: str = "A") -> None:
        """Undo all that was done to a fibre."""
        self.order("mend", fibre)

    def attack(self, kind: str, fibre: str = "A", **options: object) -> None:
        """Put an eavesdropper into a fibre: `faults.attack("intercept_resend", fraction=0.3)`."""
        self.order("attack", fibre, kind, *(f"{key}={_word(value)}" for key, value in options.items()))

    def unplug(self, device: str) -> None:
        """Pull the plug of a device's control port."""
        self.order("unplug", device)

    def replug(self, device: str) -> None:
        """Put it back."""
        self.order("replug", device)


def _word(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (tuple, list)):
        return "/".join(map(_word, value))
    return value if isinstance(value, str) else repr(value)
