"""QKD links of tests: two open units, the fibres between them, and the switch if there is one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import tokaido.hal as hal
from tokaido.emulators.demonstrations import demonstration

if TYPE_CHECKING:
    from tokaido.emulators.testing._world import World

BLOCK_BITS: Final = 1_000_000
"""Key-basis bits of a block: the least that gives a key with the settings of the demonstrations."""
PATHS: Final = {"A": {1: 1, 3: 3}, "B": {1: 2, 4: 3}}
"""What the switch joins for each path."""
SWITCH: Final = "polatis.matrix"
POLL_S: Final = 0.5
"""How long a unit is left alone between two looks at its state, in s."""
STANDBY_S: Final = 180.0


class LinkInTest:
    """A QKD link: a transmitter "alice" and a receiver "bob", open, with a pre-shared key loaded.

    Without a switch they are joined by fibre A. With one, they are joined over it by fibre A or B.

    Args:
        world: What the test has.
        vendor: Family of the units, such as "toshiba": one with a demonstration, whose fibres and settings it has.
        switched: Whether the link goes over a switch and two fibres.
        name: Name of the link in a station, real or emulated; the only one if empty.
    """

    def __init__(self, world: World, vendor: str = "toshiba", *, switched: bool = False, name: str = "") -> None:
        self.world = world
        """What the test has."""
        self.optical_switch: hal.OpticalSwitch | None = None
        """The switch that the link goes over, if it does."""
        if world.station is not None:
            self._take_from(world.station, name, switched=switched)
        else:
            self._build(vendor, switched=switched)

    transmitter: hal.Transmitter
    """The transmitter."""
    receiver: hal.Receiver
    """The receiver."""

    def _take_from(self, station: hal.Station, name: str, *, switched: bool) -> None:
        links = {link.name: link for link in station.links.values()}
        if not name and len(links) != 1:
            self.world.failing(f"the station has {len(links)} links and none is named")
        if name and name not in links:
            self.world.failing(f"the station has no link {name!r}; it has {', '.join(links) or 'none'}")
        link = links[name or next(iter(links))]
        self.transmitter = station.device(link.transmitter, hal.Transmitter)
        self.receiver = station.device(link.receiver, hal.Receiver)
        if switched:
            switches = sorted({switch for needs in link.paths.values() for switch in needs})
            if not switches:
                self.world.failing(f"link {link.name} goes over no switch")
            self.optical_switch = station.device(switches[0], hal.OpticalSwitch)

    def _build(self, vendor: str, *, switched: bool) -> None:
        bench, names = self.world.bench, (f"{vendor}.transmitter", f"{vendor}.receiver")
        self.world.emulate("alice", names[0], warm=True)
        self.world.emulate("bob", names[1], warm=True)
        shown = demonstration(vendor)
        fibres = dict(zip(PATHS, shown.fibres, strict=True))
        paths = list(PATHS) if switched else ["A"]
        for path in paths:
            bench.fibre(path, length_km=fibres[path].length_km, loss_db=fibres[path].loss_db)
        if switched:
            self.world.emulate("switch", SWITCH, inputs=4, outputs=4)
            for one, other in (
                ("alice", "switch.in1"),
                ("switch.out1", "A.a"),
                ("switch.out2", "B.a"),
                ("A.b", "switch.in3"),
                ("B.b", "switch.in4"),
                ("switch.out3", "bob"),
            ):
                bench.join(one, other)
        else:
            bench.join("alice", "A.a")
            bench.join("A.b", "bob")
        parameters = shown.parameters(fibres["A"].total_loss_db)
        bench.set_up("alice", "bob", parameters, block_bits=BLOCK_BITS)
        for path in paths if switched else ("-",):
            bench.preshared_key("alice", "bob", path, load=True)
        self.world.start()
        self.transmitter = self.world.open(hal.Transmitter, "alice", names[0])
        self.receiver = self.world.open(hal.Receiver, "bob", names[1])
        if switched:
            self.optical_switch = self.world.open(hal.OpticalSwitch, "switch", SWITCH)
            self.use("A")

    # --- what a test does with it -------------------------------------------------------------------------------------

    @property
    def units(self) -> tuple[hal.Transmitter, hal.Receiver]:
        """Both units."""
        return self.transmitter, self.receiver

    def use(self, path: str) -> None:
        """Bring an emulated link onto a path, A or B: both units select it, the switch is set. It aligns afterwards."""
        if self.optical_switch is None or self.world.station is not None:
            self.world.failing("paths A and B are those of a switched link that no station describes")
        assert self.optical_switch is not None
        for unit in self.units:
            if unit.state() in hal.RUNNING:
                unit.stop()
        self.wait_for(hal.UnitState.AUTH, hal.UnitState.STANDBY, hal.UnitState.OFF, hal.UnitState.WARMUP)
        serials = [unit.identity().serial_number for unit in self.units]
        self.optical_switch.replace(PATHS[path])
        for end, peer in zip((self.transmitter, self.receiver), reversed(serials), strict=True):
            end.select_link(peer, path)

    def wait_for(self, *states: hal.UnitState, timeout: float = STANDBY_S) -> None:
        """Wait until each unit is in one of the states.

        Raises:
            StateError: One went to FAULT or SECURITY_HOLD instead.
            DeviceTimeoutError: It took longer than `timeout` s.
        """
        for unit in self.units:
            unit.wait_for(*states, timeout=timeout, poll=POLL_S)

    def start(self) -> None:
        """Begin to exchange keys, and wait until both units do."""
        for unit in self.units:
            unit.start()
        self.wait_for(hal.UnitState.RUN)

    def draw(self, timeout: float = 120.0) -> tuple[hal.KeyBlock, hal.KeyBlock]:
        """Draw the next key block at both ends, commit it, and return both.

        Raises:
            DeviceTimeoutError: None came within `timeout` s.
        """
        blocks = []
        for unit in self.units:
            block = next(iter(unit.key_blocks(timeout, limit=1)), None)
            if block is None:
                raise hal.DeviceTimeoutError(f"{unit.name} gave no key block within {timeout:g} s", device=unit.name)
            block.commit()
            blocks.append(block)
        return blocks[0], blocks[1]
