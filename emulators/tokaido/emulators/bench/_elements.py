"""What stands on the bench: elements with named ports, and how light passes each of them."""

from __future__ import annotations

import math
import re
from abc import ABC, abstractmethod
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final

from tokaido.emulators._light import Band, SwitchModel
from tokaido.emulators._model import DeviceModel
from tokaido.hal import ConfigurationError
from tokaido.hal.units_of_measure import to_dbm

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from tokaido.emulators._light import Beam
    from tokaido.emulators.optics import Eavesdropper, Fibre

BANDS: Final[tuple[Band, ...]] = ("quantum", "clock")
_NAME: Final = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class Way:
    """Light goes on: it leaves by `port`, weaker by `loss_db` dB."""

    port: str
    loss_db: float
    mark: int = 0
    """Counts how often this way was interrupted or another one."""
    diversions: int = 0
    """Counts how often light at either port had another way meanwhile."""


@dataclass(frozen=True, slots=True)
class Stop:
    """Light ends here, for a reason that a person reads."""

    reason: str
    arrived: bool = False
    """Whether it ends because this is a unit, which is where light is to go."""


class Element(ABC):
    """Something that light enters and leaves by ports.

    Args:
        name: Of letters, digits, `_` and `-`.

    Raises:
        ConfigurationError: The name has another form.
    """

    stands_as_told: ClassVar[bool] = False
    """Whether it is a device that can be told to let light through or not."""
    length_km: float = 0.0
    """Length of fibre in it, in km."""
    names_path: ClassVar[bool] = False
    """Whether a path is called by its name."""

    def __init__(self, name: str) -> None:
        if not _NAME.fullmatch(name):
            raise ConfigurationError(
                f"{name!r} is not a name for something on the bench", remedy="Take letters, digits, _ and -"
            )
        self.name = name

    @property
    @abstractmethod
    def ports(self) -> Sequence[str]:
        """Every port by its full name."""

    @property
    def described(self) -> str:
        """The ports as a person reads them."""
        return ", ".join(self.ports)

    @abstractmethod
    def follow(self, port: str, band: Band) -> Way | Stop:
        """Return where light of this band goes that enters by this port."""

    def excludes(self, port: str) -> Sequence[str]:
        """Return the ports that must be free while this one is joined."""
        del port
        return ()

    def note_join(self, port: str, *, joined: bool) -> None:  # noqa: B027 - few elements care
        """Take note that a port was joined, or that its connector was pulled."""

    def leaves_by(self, port: str, band: Band, joined: Collection[str]) -> str:
        """Return the port by which light of a band leaves that is said to leave by this one."""
        del band, joined
        return port

    def look(self) -> None:  # noqa: B027 - few elements move
        """Note how it stands now. Hold its model."""

    def pretend(self, pairs: Iterable[tuple[int, int]]) -> str:
        """Stand as a path needs it, whatever its model says; return why that is not possible, or nothing."""
        return f"{self.name} is not emulated as a switch" if list(pairs) else ""


class UnitPlace(Element):
    """A unit: port `alice` carries all its light; or `alice.quantum` and `alice.clock` carry one band each."""

    @property
    def ports(self) -> tuple[str, ...]:
        """The line, and the two separate ports."""
        return self.name, f"{self.name}.quantum", f"{self.name}.clock"

    def follow(self, port: str, band: Band) -> Stop:
        """Light ends in a unit; its filters let each band through at its own port alone."""
        own = port in (self.name, f"{self.name}.{band}")
        return Stop("" if own else f"{port} takes no {band} light", arrived=own)

    def leaves_by(self, port: str, band: Band, joined: Collection[str]) -> str:
        """Light of a unit leaves by its line, or by its port for this band if that one is joined."""
        own = f"{self.name}.{band}"
        return own if port == self.name and port not in joined and own in joined else port

    def excludes(self, port: str) -> tuple[str, ...]:
        """The line and the separate ports are two ways to build a unit."""
        return self.ports[1:] if port == self.name else (self.name,)


class FibreOnBench(Element):
    """A fibre with its ends `A.a` and `A.b`, and what happens to it. Each mishap can be taken back.

    Args:
        name: Its name: what a path is called by.
        fibre: Length and loss.
    """

    names_path = True

    def __init__(self, name: str, fibre: Fibre) -> None:
        super().__init__(name)
        self.fibre = fibre
        self.length_km = fibre.length_km
        self.broken = False
        """Whether it is cut."""
        self.bend_loss_db = 0.0
        """What a bend costs, in dB."""
        self.background = 0.0
        """Chance per gate, both detectors together, of a click by stray or Raman light at a receiver it leads to."""
        self.bright = False
        """Whether light in it blinds a receiver it leads to."""
        self.misalignment = 0.0
        """Chance that light that passes it takes the wrong detector for that."""
        self.eavesdropper: Eavesdropper | None = None
        """The eavesdropper in it: `InterceptResend`, `PhotonNumberSplitting`, `DetectorBlinding`, `TimeShift` or
        `TrojanHorse` of `tokaido.emulators.optics`."""
        self._breaks = 0

    @property
    def ports(self) -> tuple[str, str]:
        """Both ends."""
        return f"{self.name}.a", f"{self.name}.b"

    @property
    def loss_db(self) -> float:
        """Loss from end to end as it is now, in dB."""
        return self.fibre.total_loss_db + self.bend_loss_db

    def follow(self, port: str, band: Band) -> Way | Stop:
        """Return the other end, unless the fibre is cut."""
        del band
        if self.broken:
            return Stop(f"{self.name} is cut")
        first, second = self.ports
        return Way(second if port == first else first, self.loss_db, self._breaks)

    def add_cut(self) -> None:
        """Cut it: no light passes until `remove_cut`."""
        self._breaks += not self.broken
        self.broken = True

    def remove_cut(self) -> None:
        """Splice it as it was."""
        self.broken = False

    def add_bend(self, loss_db: float) -> None:
        """Bend it so that it costs `loss_db` dB on top of its own; a later bend replaces this one.

        Raises:
            ConfigurationError: The loss is not 0 to 100 dB.
        """
        if not 0 <= loss_db <= 100:
            raise ConfigurationError(f"a bend costs 0 to 100 dB, not {loss_db!r}")
        self.bend_loss_db = loss_db

    def remove_bend(self) -> None:
        """Straighten it."""
        self.bend_loss_db = 0.0

    def add_misalignment(self, chance: float) -> None:
        """Disturb the light so that it takes the wrong detector with this chance, whatever is trimmed.

        No monitor sees it: it raises the error rate of both bases, as a weak eavesdropper does.

        Raises:
            ConfigurationError: The chance is not 0 to 0.5.
        """
        if not 0 <= chance <= 0.5:
            raise ConfigurationError(f"misalignment is a chance of the wrong detector, 0 to 0.5, not {chance!r}")
        self.misalignment = chance

    def remove_misalignment(self) -> None:
        """Leave the light as it is."""
        self.misalignment = 0.0

    def add_light(self, background: float, *, bright: bool = False) -> None:
        """Let stray or Raman light into it, which leaves by both ends; later light replaces this one.

        Args:
            background: Chance per gate, both detectors together, of a click at a receiver that the light comes to.
            bright: Whether it is so strong that it blinds detectors.

        Raises:
            ConfigurationError: The chance is not 0 to 1.
        """
        if not 0 <= background < 1:
            raise ConfigurationError(f"background is a chance per gate, 0 to 1, not {background!r}")
        self.background = background
        self.bright = bright

    def remove_light(self) -> None:
        """Take all stray light away."""
        self.background = 0.0
        self.bright = False

    def add_eavesdropper(self, eavesdropper: Eavesdropper) -> None:
        """Put an eavesdropper to work in it, in place of any other one."""
        self.eavesdropper = eavesdropper

    def remove_eavesdropper(self) -> None:
        """Leave it to the units."""
        self.eavesdropper = None


class Panel(Element):
    """A patch panel: `P.front1` leads to `P.back1`, and so on.

    Args:
        name: Its name.
        positions: How many.
        loss_db: Loss of a position in dB; its connectors have theirs from the joins.
    """

    def __init__(self, name: str, positions: int, loss_db: float = 0.0) -> None:
        super().__init__(name)
        self._loss_db = loss_db
        self._other: dict[str, str] = {}
        for number in range(1, positions + 1):
            front, back = f"{name}.front{number}", f"{name}.back{number}"
            self._other |= {front: back, back: front}
        self.positions = positions

    @property
    def ports(self) -> tuple[str, ...]:
        """Front and back of every position."""
        return tuple(self._other)

    @property
    def described(self) -> str:
        """The ports as a person reads them."""
        return f"{self.name}.front1 to front{self.positions}, {self.name}.back1 to back{self.positions}"

    def follow(self, port: str, band: Band) -> Way:
        """Return the other side."""
        del band
        return Way(self._other[port], self._loss_db)


class Multiplexer(Element):
    """Joins the separate ports of a unit onto one line: `M.quantum` and `M.clock` to `M.line`, and back.

    Args:
        name: Its name.
        loss_db: Loss of either band in dB.
    """

    def __init__(self, name: str, loss_db: float) -> None:
        super().__init__(name)
        self._loss_db = loss_db

    @property
    def ports(self) -> tuple[str, ...]:
        """The line and one port for each band."""
        return f"{self.name}.line", *(f"{self.name}.{band}" for band in BANDS)

    def follow(self, port: str, band: Band) -> Way | Stop:
        """Return where a band goes; at the other band's port it is filtered out."""
        line, own = f"{self.name}.line", f"{self.name}.{band}"
        if port == line:
            return Way(own, self._loss_db)
        return Way(line, self._loss_db) if port == own else Stop(f"{port} takes no {band} light")


class SwitchPlace(Element):
    """A switch: `west.in1` to `west.inN` and `west.out1` to `west.outM`, as its model's mirrors stand.

    Mirrors do not mind which way light goes, so light that enters by an output leaves by its input. `look` notes how
    they stand at the inputs that are joined; what changed between two looks is remembered, also if it changed back.

    Args:
        name: Its name.
        model: What knows how the mirrors stand.
    """

    stands_as_told = True

    def __init__(self, name: str, model: SwitchModel) -> None:
        super().__init__(name)
        self.model = model
        self._joined: frozenset[int] = frozenset()
        self._pretended: dict[int, int] | None = None
        self._map: dict[int, tuple[int, float]] = {}
        self._changes: Counter[int] = Counter()
        self._partners: dict[tuple[str, int], int] = {}  # the last one that light went to, in the dark too
        self._diversions: Counter[tuple[str, int]] = Counter()

    @property
    def ports(self) -> tuple[str, ...]:
        """Every input, then every output."""
        sides = (("in", self.model.inputs), ("out", self.model.outputs))
        return tuple(f"{self.name}.{side}{n}" for side, number in sides for n in range(1, number + 1))

    @property
    def described(self) -> str:
        """The ports as a person reads them."""
        model = self.model
        return f"{self.name}.in1 to in{model.inputs}, {self.name}.out1 to out{model.outputs}"

    def tell(self, beams: Mapping[str, Sequence[Beam]]) -> None:
        """Tell the model which light enters it, by full name of the port. Hold the model."""
        if isinstance(self.model, DeviceModel):
            tell_light(self.model, {port: port.removeprefix(f"{self.name}.") for port in self.ports}, beams)

    def look(self) -> None:
        """Note how the mirrors stand now. Hold the model."""
        found: dict[int, tuple[int, float]] = {}
        for number in sorted(self._joined):
            path = self._light_path(number)
            if path is not None:
                found[number] = path
        if found == self._map:
            return
        for number in found.keys() | self._map.keys():
            self._changes[number] += found.get(number) != self._map.get(number)
        for number, (output, _) in found.items():
            for port, partner in ((("in", number), output), (("out", output), number)):
                self._diversions[port] += self._partners.get(port, partner) != partner
                self._partners[port] = partner
        self._map = found

    def pretend(self, pairs: Iterable[tuple[int, int]]) -> str:
        """Let the mirrors stand as a path needs them."""
        self._pretended = dict(pairs)
        size = self.model.inputs, self.model.outputs
        for pair in self._pretended.items():
            if pair[0] > size[0] or pair[1] > size[1]:
                return f"{list(pair)} does not exist; {self.name} is emulated as {size[0]} x {size[1]}"
        return ""

    def _light_path(self, number: int) -> tuple[int, float] | None:
        if self._pretended is None:
            return self.model.light_path(number)
        return (self._pretended[number], 0.0) if number in self._pretended else None

    def follow(self, port: str, band: Band) -> Way | Stop:
        """Return where light goes as the mirrors stood at the last look."""
        del band
        side, number = self._place(port)
        for entered, (output, loss_db) in self._map.items():
            if number == (entered if side == "in" else output):
                left = f"{self.name}.out{output}" if side == "in" else f"{self.name}.in{entered}"
                diversions = self._diversions["in", entered] + self._diversions["out", output]
                return Way(left, loss_db, self._changes[entered], diversions)
        return Stop(
            f"{self.name} " + (f"lets no light through at {port}" if side == "in" else f"joins nothing to {port}")
        )

    def note_join(self, port: str, *, joined: bool) -> None:
        """Take note that a port was joined, or that its connector was pulled; only inputs that are joined count."""
        side, number = self._place(port)
        if side == "in":
            self._joined = self._joined | {number} if joined else self._joined - {number}

    def _place(self, port: str) -> tuple[str, int]:
        where = port.removeprefix(f"{self.name}.")
        side = where.rstrip("0123456789")
        return side, int(where[len(side) :])


def tell_light(model: DeviceModel, ports: Mapping[str, str], beams: Mapping[str, Sequence[Beam]]) -> None:
    """Tell a model which light enters by its ports: their own names by their names on the bench. Hold the model."""
    lit = {own: tuple(beams[port]) for port, own in ports.items() if port in beams}
    model.note_beams(lit)
    model.note_light({port: to_dbm(math.fsum(beam.power_w for beam in met)) for port, met in lit.items()})
