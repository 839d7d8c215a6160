"""A live link that makes keys: how much faster than real time it runs on one core, and what the time goes into.

Two Toshiba-style units on a bench over the field link of `tokaido demo --scenario link` (45 km, 14.5 dB), stepped by
hand in one thread: light, sifting and distillation at both ends, drift and loops, monitors, alarms and key stores. No
wires and no hosts, which the demonstration has in other threads. A figure is that of one whole block, from key to key.
"""

from __future__ import annotations

import contextlib
import dataclasses
import time
from typing import TYPE_CHECKING, Any

from measuring import Figure, show, spread
from tokaido.emulators import QkdLink
from tokaido.emulators.distillation import ReceiverDistiller, TransmitterDistiller
from tokaido.emulators.optics import FIELD_FIBRE, LinkParameters, QuantumChannel, preset
from tokaido.emulators.toshiba import ReceiverModel, TransmitterModel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

STEP_NS = 50_000_000
LIMIT_S = 200.0
"""Emulated time within which each key and each state must come."""
LOSS_DB = FIELD_FIBRE.total_loss_db
FIELD = preset("t12", settings="short-block", channel_loss_db=LOSS_DB)
SHORT = dataclasses.replace(  # as in the demonstration: made for blocks of 1e6 bits
    FIELD,
    intensities=(0.45, 0.20, 0.001),
    probabilities=(0.50, 0.30, 0.20),
    key_basis_probability_transmitter=0.65,
    key_basis_probability_receiver=0.65,
)


class Live:
    """The link, ready to exchange keys."""

    def __init__(self, parameters: LinkParameters, block_bits: int) -> None:
        self.units = TransmitterModel(seed=1), ReceiverModel(seed=1)
        self.link = QkdLink(*self.units, fibre=FIELD_FIBRE, parameters=parameters, seed=1)
        self.link.bench.set_up("transmitter", "receiver", parameters, block_bits=block_bits)
        self.link.load_preshared_key(bytes(range(256)) * 16)
        for unit in self.units:
            unit.warm()
        self.until(lambda: all(str(unit.state) == "STANDBY" for unit in self.units))
        for unit in self.units:
            unit.orders.obey("start", called="start")

    @property
    def blocks(self) -> int:
        """Key blocks that both ends have."""
        return min(unit.store.waiting for unit in self.units)

    def until(self, done: Callable[[], bool]) -> None:
        """Let time pass until something is so."""
        for _ in range(round(LIMIT_S * 1e9 / STEP_NS)):
            if done():
                return
            self.link.step(STEP_NS)
        raise RuntimeError(f"nothing came in {LIMIT_S:g} s: {[str(unit.state) for unit in self.units]}")

    def next_key(self) -> float:
        """Go on to the next key at both ends; return how many emulated seconds that took."""
        had, begin_s = self.blocks, self.link.emulated_s
        self.until(lambda: self.blocks > had)
        return self.link.emulated_s - begin_s


class Spent:
    """CPU time in ns that went into some methods."""

    def __init__(self) -> None:
        self.ns = 0
        self._within = False

    @contextlib.contextmanager
    def in_methods(self, *methods: tuple[type, str]) -> Iterator[None]:
        """Count what calls of these take, one within another once."""
        originals = [(owner, name, getattr(owner, name)) for owner, name in methods]
        for owner, name, original in originals:
            setattr(owner, name, self._counted(original))
        try:
            yield
        finally:
            for owner, name, original in originals:
                setattr(owner, name, original)

    def _counted(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **options: Any) -> Any:
            if self._within:
                return original(*arguments, **options)
            self._within, begin = True, time.process_time_ns()
            try:
                return original(*arguments, **options)
            finally:
                self._within = False
                self.ns += time.process_time_ns() - begin

        return counted


DISTILLERS = TransmitterDistiller, ReceiverDistiller
DISTILLING = [(owner, name) for owner in DISTILLERS for name in ("add", "receive", "outgoing", "results")]


def run(name: str, parameters: LinkParameters, block_bits: int, blocks: int, goal: str = "") -> list[Figure]:
    """Return the figures of so many blocks after the first one."""
    live = Live(parameters, block_bits)
    live.next_key()
    of_cpu: list[float] = []
    of_wall: list[float] = []
    optics, distilling = [], []
    light, distillation = Spent(), Spent()
    with light.in_methods((QuantumChannel, "expose")), distillation.in_methods(*DISTILLING):
        for _ in range(blocks):
            light.ns = distillation.ns = 0
            cpu, wall = time.process_time(), time.perf_counter()
            emulated_s = live.next_key()
            spent_s = time.process_time() - cpu
            of_cpu.append(emulated_s / spent_s)
            of_wall.append(emulated_s / (time.perf_counter() - wall))
            optics.append(light.ns / spent_s / 1e7)
            distilling.append(distillation.ns / spent_s / 1e7)
    live.link.close()
    title = f"live link that makes keys, {LOSS_DB:g} dB, blocks of {name}"
    return [
        spread(of_cpu).figure(f"{title}, of CPU time", "x real time", goal),
        spread(of_wall).figure(f"{title}, on the wall", "x real time"),
        spread(distilling).figure(f"{title}, share of distillation", "%"),
        spread(optics).figure(f"{title}, share of optics", "%"),
    ]


def measure() -> list[Figure]:
    """Return how fast the field link of the demonstration runs, and one whose blocks are ten times shorter."""
    return [*run("1e7", FIELD, 10_000_000, 3, ">= 2"), *run("1e6", SHORT, 1_000_000, 8)]


if __name__ == "__main__":
    show(measure())
