"""The scenario `switch`: a link loses its fibre, and goes on over another one of a diverse duct."""

from __future__ import annotations

import json
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import tokaido.hal as hal
from tokaido.console._demo_link import End, Outcome, Progress, compare, measure, read_key

if TYPE_CHECKING:
    from tokaido.console._demo_link import View
    from tokaido.emulators import Bench
    from tokaido.emulators.demonstrations import Demonstration

SPEED: Final = 20.0
"""Emulated seconds per second, while units align and distil."""
SLOW: Final = 4.0
"""The same while the fibre is lost and switches move: a matter of milliseconds, and what this machine takes for an
exchange counts as many times."""
SLOW_STEPS: Final = ("check", "prepare", "fence", "switch", "verify")
TIMEOUT_S: Final = 15.0
POLL_S: Final = 0.05
BLOCK_BITS: Final = 1_000_000
BLOCKS: Final = 2
"""Key blocks that are drawn over either fibre."""
LINK: Final = "west-east"
PORTS: Final = {"A": 1, "B": 2}
"""Output of the western switch, and input of the eastern one, that each fibre is on."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the fail-over and the time that it took."""

    step: str
    emulated_s: float
    wall_s: float


class Stopwatch:
    """Times steps on the emulated clock and on the wall's."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._clock = hal.SYSTEM_CLOCK
        self._open: tuple[str, float, int] | None = None
        self.steps: list[Step] = []

    def begin(self, step: str) -> None:
        """End the step that runs, and begin another."""
        self.end()
        self._open = step, self._bench.emulated_s, self._clock.monotonic_ns()

    def end(self) -> None:
        """End the step that runs, if there is one."""
        if self._open is not None:
            step, emulated_s, wall_ns = self._open
            wall_s = (self._clock.monotonic_ns() - wall_ns) / hal.NS_PER_S
            self.steps.append(Step(step, self._bench.emulated_s - emulated_s, wall_s))
            self._open = None


@dataclass(slots=True)
class PathOutcome:
    """What the link gave over one of its paths."""

    path: str
    length_km: float
    loss_db: float
    """Of the whole path, switches and connectors included."""
    outcome: Outcome


@dataclass(slots=True)
class SwitchOutcome:
    """What the scenario gave."""

    paths: list[PathOutcome] = field(default_factory=list)
    failover: list[Step] = field(default_factory=list)

    @property
    def speed(self) -> float:
        """Emulated seconds per second, over the fail-over."""
        wall_s = sum(step.wall_s for step in self.failover)
        return sum(step.emulated_s for step in self.failover) / wall_s if wall_s else 0.0

    @property
    def agree(self) -> bool:
        """Whether both ends hold the same keys over either path."""
        return len(self.paths) == len(PORTS) and all(path.outcome.agree for path in self.paths)


class SwitchRun:
    """Builds the plant, brings the link up over A, cuts A, moves the link to B, and draws keys again.

    Args:
        vendor: The family of the units.
        shown: Its fibres, and what its units are built of and set to.
        deadline: When to give up.
        view: What shows it.
        nonce: Under which the keys are compared.
    """

    def __init__(self, vendor: str, shown: Demonstration, deadline: hal.Deadline, view: View, nonce: bytes) -> None:
        self._vendor = vendor
        self._shown = shown
        self._nonce = nonce
        self._deadline = deadline
        self._view = view
        self._progress = Progress(wanted=BLOCKS)

    def run(self, seed: int) -> SwitchOutcome:
        """Do it all. Every key is wiped in the end.

        Raises:
            TokaidoError: It did not come so far in time, or a device refused.
        """
        from tokaido.emulators import Bench  # noqa: PLC0415 - numpy and ZeroMQ, when first needed

        outcome = SwitchOutcome()
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tokaido-")))
            bench = stack.enter_context(Bench(seed=seed, speed=SPEED))
            resources = self._build(bench)
            text = station_text(self._vendor, resources)
            station = stack.enter_context(hal.Station.from_text(text, base=folder))
            tx = station.device("alice", hal.Transmitter)
            rx = station.device("bob", hal.Receiver)
            self._progress.transmitter, self._progress.receiver = (
                bench.devices[name].serial_number for name in ("alice", "bob")
            )
            self._progress.block_bits = tx.block_bits
            self._load_keys(bench, tx, rx)
            bench.start()
            link = station.link(LINK)

            self._say("The link comes up over fibre A.")
            link.move("A", start=True, on_step=lambda step: self._show(step, tx, rx))
            outcome.paths.append(self._draw("A", bench, (tx, rx)))

            watch = Stopwatch(bench)
            self._say("Fibre A is cut.")
            bench.run_at(SLOW)
            bench.fibres["A"].add_cut()
            watch.begin("detect")
            self._show("detect", tx, rx)
            loss = link.wait_for_loss(self._deadline.remaining_s, poll=POLL_S)
            self._say(f"The receiver says {loss.reason}: the link is moved to fibre B.")

            def note(step: str) -> None:
                watch.end()
                self._show(step, tx, rx)
                bench.run_at(SLOW if step in SLOW_STEPS else SPEED)
                watch.begin(step)

            link.move("B", start=True, on_step=note)
            watch.begin("block")
            outcome.paths.append(self._draw("B", bench, (tx, rx), watch))
            outcome.failover = watch.steps
            self._show("done", tx, rx)
        return outcome

    # --- the plant ----------------------------------------------------------------------------------------------------

    def _build(self, bench: Bench) -> dict[str, dict[str, str]]:
        """Put units, switches and fibres on the bench, and return the resources of each device."""
        devices = {
            "alice": bench.device("alice", f"{self._vendor}.transmitter", warm=True),
            "bob": bench.device("bob", f"{self._vendor}.receiver", warm=True),
            "west": bench.device("west", "polatis.matrix", serial_number="002414", inputs=4, outputs=4),
            "east": bench.device("east", "polatis.matrix", serial_number="002415", inputs=4, outputs=4),
        }
        bench.join("alice", "west.in1")
        bench.join("east.out1", "bob")
        for name, fibre in zip(PORTS, self._shown.fibres, strict=True):
            bench.fibre(name, length_km=fibre.length_km, loss_db=fibre.total_loss_db)
            bench.join(f"west.out{PORTS[name]}", f"{name}.a")
            bench.join(f"{name}.b", f"east.in{PORTS[name]}")
        highest_db = max(fibre.total_loss_db for fibre in self._shown.fibres)
        bench.set_up("alice", "bob", self._shown.parameters(highest_db), block_bits=BLOCK_BITS)
        return {name: {key: str(place) for key, place in device.resources.items()} for name, device in devices.items()}

    def _load_keys(self, bench: Bench, tx: hal.Transmitter, rx: hal.Receiver) -> None:
        """Load a pre-shared key for the link over each fibre: two paths are two links."""
        first, second = self._progress.transmitter, self._progress.receiver
        for path in PORTS:
            file = bench.preshared_key("alice", "bob", path=path)
            for unit, peer in ((tx, second), (rx, first)):
                with read_key(file) as key:
                    unit.load_preshared_key(key, peer=peer, path=path)

    # --- keys ---------------------------------------------------------------------------------------------------------

    def _draw(
        self, path: str, bench: Bench, units: tuple[hal.Transmitter, hal.Receiver], watch: Stopwatch | None = None
    ) -> PathOutcome:
        """Draw the first blocks that both ends made over `path`; `watch` is stopped when each end has its first one."""
        tx, rx = units
        progress, ends = self._progress, (End(tx, path=path), End(rx, path=path))
        begun_emulated_s, begun_wall_s = bench.emulated_s, bench.wall_s
        progress.drawn = 0
        with ExitStack() as stack:
            for end in ends:
                stack.callback(end.wipe)
            while progress.drawn < BLOCKS:
                self._check_time(f"a key block over fibre {path}")
                for end in ends:
                    end.draw(BLOCKS - len(end.blocks))
                progress.drawn = min(len(end.blocks) for end in ends)
                if watch is not None and progress.drawn:
                    watch.end()
                measure(progress, rx)
                progress.emulated_s = bench.emulated_s - begun_emulated_s
                progress.exchange_wall_s = bench.wall_s - begun_wall_s
                self._show(f"exchanging keys over fibre {path}", tx, rx)
                hal.SYSTEM_CLOCK.wait(POLL_S)
            first, second, agree = compare(*ends, self._nonce)
            way = bench.path("alice", "bob")
            if way is None:
                raise hal.TokaidoError("no light goes from alice to bob")
            outcome = Outcome(
                progress=replace(progress),
                infos=[block.info for block in ends[0].blocks.values()],
                bits=sum(block.info.bits for block in ends[0].blocks.values()),
                nonce=self._nonce.hex(),
                digest_transmitter=first,
                digest_receiver=second,
                agree=agree,
            )
            return PathOutcome(path, way.length_km, way.loss_db, outcome)

    # --- what is shown ------------------------------------------------------------------------------------------------

    def _say(self, text: str) -> None:
        self._view.say(text)

    def _show(self, step: str, tx: hal.Unit, rx: hal.Unit) -> None:
        self._progress.step = step
        self._progress.transmitter_state = tx.state().value
        self._progress.receiver_state = rx.state().value
        self._view.update(self._progress)

    def _check_time(self, what: str) -> None:
        if self._deadline.passed:
            raise hal.DeviceTimeoutError(
                f"waited for {what}", elapsed_s=self._deadline.elapsed_s, remedy="Give it more time with --seconds"
            )


def station_text(vendor: str, resources: dict[str, dict[str, str]]) -> str:
    """Return the station file that an operator would write for this plant."""
    drivers = {"alice": f"{vendor}.transmitter", "bob": f"{vendor}.receiver"}
    lines = ["[station]", 'name = "west-east"', 'on_exit = "keep"', ""]
    for name, places in resources.items():
        lines += [f"[devices.{name}]", f"driver = {json.dumps(drivers.get(name, 'polatis.matrix'))}"]
        lines += [f"timeout = {TIMEOUT_S}"]
        lines += [f"{port} = {json.dumps(place)}" for port, place in places.items()] + [""]
    lines += [f"[links.{LINK}]", 'transmitter = "alice"', 'receiver = "bob"', 'lease_file = "leases.sqlite"', ""]
    for path, port in PORTS.items():
        lines += [f"[links.{LINK}.paths.{path}]", f"west = [[1, {port}]]", f"east = [[{port}, 1]]", ""]
    return "\n".join(lines)
