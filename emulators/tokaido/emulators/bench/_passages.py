"""Devices that let light through: an attenuator, a filter, a shutter, whatever a package brings."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from tokaido.emulators.bench._elements import BANDS, Element, Stop, Way, tell_light

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tokaido.emulators._light import Band, Beam
    from tokaido.emulators._model import DeviceModel

Ray = tuple[str, "Band"]
"""Light of a band at a port of a device, by the device's own name of the port."""


class Passage(Element):
    """A device that lets light through: `voa.in`, `voa.out`, as its model says.

    `look` notes where light goes that enters by the ports that are joined; what changed between two looks is
    remembered, also if it changed back. Another loss does not interrupt: light goes on, weaker or stronger.

    Args:
        name: Its name.
        model: What says where light goes.
    """

    stands_as_told = True

    def __init__(self, name: str, model: DeviceModel) -> None:
        super().__init__(name)
        self.model = model
        self._ports = {f"{name}.{port}": port for port in model.optical_ports}
        self._joined: set[str] = set()
        self._ways: dict[Ray, tuple[str, float]] = {}
        self._changes: Counter[Ray] = Counter()
        self._partners: dict[Ray, str] = {}  # the last port that light went to, in the dark too
        self._diversions: Counter[Ray] = Counter()

    @property
    def ports(self) -> tuple[str, ...]:
        """Every port that its model names."""
        return tuple(self._ports)

    def look(self) -> None:
        """Note where light goes now. Hold the model."""
        found: dict[Ray, tuple[str, float]] = {}
        for port in sorted(self._joined):
            for band in BANDS:
                way = self.model.through(port, band)
                if way is not None:
                    found[port, band] = way
        for ray in found.keys() | self._ways.keys():
            self._changes[ray] += _exit(found, ray) != _exit(self._ways, ray)
        for (port, band), (left, _) in found.items():
            for here, there in ((port, left), (left, port)):
                self._diversions[here, band] += self._partners.get((here, band), there) != there
                self._partners[here, band] = there
        self._ways = found

    def follow(self, port: str, band: Band) -> Way | Stop:
        """Return where light went at the last look."""
        ray = self._ports[port], band
        if ray not in self._ways:
            return Stop(f"{self.name} lets no {band} light through at {port}")
        left, loss_db = self._ways[ray]
        diversions = self._diversions[ray] + self._diversions[left, band]
        return Way(f"{self.name}.{left}", loss_db, self._changes[ray], diversions)

    def note_join(self, port: str, *, joined: bool) -> None:
        """Take note that a port was joined, or that its connector was pulled; only ports that are joined count."""
        (self._joined.add if joined else self._joined.discard)(self._ports[port])

    def tell(self, beams: Mapping[str, Sequence[Beam]]) -> None:
        """Tell the model which light enters by its ports, by full name of the port. Hold it."""
        tell_light(self.model, self._ports, beams)


def _exit(ways: Mapping[Ray, tuple[str, float]], ray: Ray) -> str | None:
    return ways[ray][0] if ray in ways else None
