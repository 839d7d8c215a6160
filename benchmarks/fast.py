"""What the extra `fast` gains: its kernels and the whole, with and without it in turn, and what it costs to start.

All of CPU time. Rows of the whole are measured with an older checkout too, which has no kernels; rows that compare are
left away there, and where numba is not installed.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from measuring import Figure, in_turns, show, spread

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "_support"))

from live_link import FIELD, Live
from tokaido.emulators.distillation import AcceptedBlock, DistillationSettings
from tokaido.emulators.optics import QuantumChannel, preset
from tokaido_testing.distillation import SMALL, feed, pair, portions, raw_data

try:
    from tokaido.emulators import fast
except ImportError:  # an older checkout
    fast = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

FRAME = DistillationSettings().frame_bits
ROUNDS = 9

Calls = tuple[str, float, str, "Callable[[], object]"]
"""What is measured, how many of which unit one call does, and the call."""


def kernels(on: bool) -> AbstractContextManager[None]:
    """Turn kernels on or off, where there are any."""
    return fast.using(kernels=on) if fast else contextlib.nullcontext()


def both(call: Callable[[], object], rounds: int = ROUNDS, repeats: int = 1) -> tuple[list[float], list[float]]:
    """Return us of CPU time of each round without kernels and with them, in turn."""

    def side(on: bool) -> Callable[[], None]:
        def run() -> None:
            with kernels(on):
                call()

        return run

    plain, compiled = in_turns([side(False), side(True)], rounds=rounds, repeats=repeats)
    return plain.cpu, compiled.cpu


# --- kernels by themselves ------------------------------------------------------------------------------------------


def by_themselves() -> list[Calls]:
    """Return the kernels, each on data of its usual size."""
    from tokaido.emulators.distillation._amplification import toeplitz_hash
    from tokaido.emulators.distillation._pass_bits import pass_bits
    from tokaido.emulators.distillation._permutation import Permutation
    from tokaido.emulators.distillation._sift_kernels import select
    from tokaido.emulators.optics._click_kernel import registered_clicks

    rng = np.random.default_rng(1)
    calls: list[Calls] = []
    bits, seed = (rng.integers(0, 2, size, dtype=np.uint8) for size in (1_000_000, 999_999))
    name = "privacy amplification, n = 1e6"
    calls.append((name, 1_000_000, "ns/bit", partial(toeplitz_hash, bits, seed, 300_000)))
    frame = rng.integers(0, 2, FRAME, dtype=np.uint8)
    shuffle, edges = Permutation(bytes(32), 0, 1, FRAME), np.arange(0, FRAME + 1, 24)
    calls.append(
        ("permutation and parity of a frame", FRAME, "ns/bit", lambda: pass_bits(frame, shuffle).parities(edges))
    )
    mask = (rng.random(1 << 17) < 0.6).astype(np.uint8)
    values = rng.integers(0, 2, 1 << 17, dtype=np.uint8)
    calls.append(("sifting one column", 1 << 17, "ns/detection", lambda: select(values, mask)))
    draws = rng.standard_exponential(80_000)
    parents = np.flatnonzero(rng.random(80_000) < 0.05)
    delays = (rng.standard_exponential(parents.size) * 50).astype(np.int64)
    calls.append(
        (
            "registered clicks of given draws",
            80_000,
            "ns/click",
            lambda: registered_clicks(draws, 250.0, np.inf, parents, delays, 10, 0),
        )
    )
    return calls


# --- the whole ------------------------------------------------------------------------------------------------------


def distillation(block_bits: int, blocks: int) -> Callable[[], float]:
    """Return a call that distils blocks at 3 % QBER at both ends and returns the sifted bits."""
    settings = msgspec.structs.replace(SMALL, block_bits=block_bits, frame_bits=FRAME, eps_sec=1e-10, eps_cor=1e-15)
    records = raw_data(blocks * (block_bits + 2000), 0.03, settings=settings, check_share=0.1)
    stretches = list(portions(records))

    def distil() -> float:
        outcome = feed(*pair(settings, seed=None), stretches)
        accepted = [block for block in outcome.alice if isinstance(block, AcceptedBlock)]
        if len(accepted) != blocks:
            raise RuntimeError(f"{len(accepted)} of {blocks} blocks were accepted")
        return float(sum(block.n for block in accepted))

    return distil


def emulation(loss_db: float) -> Callable[[], float]:
    """Return a call that emulates the T12 link and returns its clicks, some 1.5e6."""
    params = preset("t12", settings="short-block", channel_loss_db=loss_db)
    channel = QuantumChannel(params, physics=np.random.default_rng(1))
    pulses = round(20_000_000 * 10 ** ((loss_db - 10) / 10))
    return lambda: float(sum(channel.expose(pulses).receiver.slots.size for _ in range(20)))


def whole() -> list[Figure]:
    """Return the rows of distillation, optics and a live link."""
    figures: list[Figure] = []
    for name, call, rounds, goal in (
        ("distillation, both ends, 3 %, blocks of 1e6", distillation(1_000_000, 2), 9, "before / 3"),
        ("distillation, both ends, 3 %, blocks of 1e7", distillation(10_000_000, 1), 2, "before / 3"),
        ("emulated T12 link, 10 dB", emulation(10.0), 9, "before / 2.2"),
    ):
        amount = call()
        plain, compiled = both(call, rounds)
        unit, scale = ("ns/click", 1000 / amount) if "link" in name else ("ns/sifted bit", 1000 / amount)
        figures.append(spread(us * scale for us in compiled).figure(f"with `fast`: {name}", unit, goal))
        if ready():
            figures.append(_gain(name, plain, compiled))
    return [*figures, *live()]


def live() -> list[Figure]:
    """Return how much faster than real time a link of blocks of 1e7 makes keys."""
    from time import process_time

    with kernels(True):
        link = Live(FIELD, 10_000_000)
        link.next_key()
        speeds = []
        for _ in range(2):
            begin = process_time()
            emulated_s = link.next_key()
            speeds.append(emulated_s / (process_time() - begin))
        link.link.close()
    return [spread(speeds).figure("with `fast`: live link that makes keys, 14.5 dB, 1e7", "x real time", ">= 3")]


# --- to start -------------------------------------------------------------------------------------------------------

LOAD = """
import time
import numpy, tokaido.emulators.optics, tokaido.emulators.distillation
begin = time.process_time()
import numba
numba.njit
imported = time.process_time()
from tokaido.emulators.optics import _fast_clicks
from tokaido.emulators.distillation import _fast_amplification, _fast_cascade, _fast_sifting
print(imported - begin, time.process_time() - imported)
"""


def start() -> list[Figure]:
    """Return what kernels cost a process that uses all of them: the first time on a machine, and later."""
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"NUMBA_CACHE_DIR": str(Path(folder) / "machine code")}
        times = []
        for _ in range(6):
            command = [sys.executable, "-c", LOAD]
            done = subprocess.run(command, env=environment, capture_output=True, check=True, text=True)
            times.append([1000 * float(part) for part in done.stdout.split()])
    imports, loads = zip(*times, strict=True)
    return [
        spread(imports[1:]).figure("numba, import", "ms CPU"),
        spread(loads[1:]).figure("kernels, all of them, from the cache", "ms CPU"),
        Figure("kernels, all of them, compiled", loads[0], "ms CPU"),
    ]


def ready() -> bool:
    """Whether there are kernels to compare with."""
    if not fast:
        return False
    with kernels(True):
        return fast.enabled()


def measure() -> list[Figure]:
    """Return the figures."""
    if not ready():
        return whole()
    figures = start()
    for name, count, unit, call in by_themselves():
        plain, compiled = both(call, repeats=3 if count < 1e6 else 1)
        figures.append(spread(us * 1000 / count for us in compiled).figure(f"kernel: {name}", unit))
        figures.append(_gain(f"kernel: {name}", plain, compiled))
    return [*figures, *whole()]


def _gain(name: str, plain: list[float], compiled: list[float]) -> Figure:
    return spread(a / b for a, b in zip(plain, compiled, strict=True)).figure(f"{name}, numpy over `fast`", "x")


if __name__ == "__main__":
    show(measure())
