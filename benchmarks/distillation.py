"""Speed of distillation, both ends on one core: the whole chain, from raw detections to released keys."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import msgspec
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "_support"))

from tokaido.emulators.distillation import AcceptedBlock
from tokaido.emulators.distillation._amplification import toeplitz_hash
from tokaido_testing.distillation import SMALL, pair, raw_data, run_pair

BLOCK = 1_000_000
SETTINGS = msgspec.structs.replace(SMALL, block_bits=BLOCK, frame_bits=BLOCK, eps_sec=1e-10, eps_cor=1e-15)


def distil(qber: float, blocks: int) -> tuple[float, float, float]:
    """Return sifted Mb/s and key Mb/s of CPU time, and the mean efficiency f."""
    records = raw_data(blocks * (BLOCK + 2000), qber, settings=SETTINGS, check_share=0.1)
    alice, bob = pair(SETTINGS, seed=None)
    start = time.process_time()
    alice.add(records[0])
    bob.add(records[1])
    outcome = run_pair(alice, bob)
    elapsed = time.process_time() - start
    accepted = [block for block in outcome.alice if isinstance(block, AcceptedBlock)]
    first, second = outcome.accepted()
    if len(accepted) != blocks or first != second:
        raise RuntimeError(f"{len(accepted)} of {blocks} blocks were accepted")
    key_bits = sum(block.key.bits for block in accepted)
    efficiency = float(np.mean([block.efficiency for block in accepted]))
    return blocks * BLOCK / elapsed / 1e6, key_bits / elapsed / 1e6, efficiency


def amplify() -> float:
    """Return Mb/s of input of privacy amplification at one end, 30 % of the bits kept."""
    rng = np.random.default_rng(1)
    bits, seed = (rng.integers(0, 2, size, dtype=np.uint8) for size in (BLOCK, BLOCK - 1))
    toeplitz_hash(bits, seed, 300_000)
    start = time.process_time()
    for _ in range(3):
        toeplitz_hash(bits, seed, 300_000)
    return 3 * BLOCK / (time.process_time() - start) / 1e6


def measure() -> list[tuple[str, float, str, str]]:
    """Return (name, value, unit of measure, goal) of each figure."""
    rows: list[tuple[str, float, str, str]] = []
    distil(0.03, 1)
    for qber in (0.01, 0.03):
        runs = [distil(qber, 2) for _ in range(3)]
        sifted, key, efficiency = (float(np.median(column)) for column in zip(*runs, strict=True))
        goal = (">= 4", "<= 1.10") if qber == 0.03 else ("", "")
        rows.append((f"distillation, both ends on one core, QBER {qber:.0%}, sifted", sifted, "Mb/s", goal[0]))
        rows.append((f"distillation, both ends on one core, QBER {qber:.0%}, key", key, "Mb/s", ""))
        rows.append((f"Cascade efficiency f, QBER {qber:.0%}", efficiency, "", goal[1]))
    rows.append(("privacy amplification of one end, n = 1e6", amplify(), "Mb/s", ""))
    return rows


if __name__ == "__main__":
    for name, value, unit, goal in measure():
        print(f"{name:<58} {value:8.3f} {unit:<5} {goal}")
