"""Speed and memory of distillation, both ends in one process: the whole chain, from raw detections to released keys."""

from __future__ import annotations

import dataclasses
import resource
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "_support"))

from tokaido.emulators.distillation import AcceptedBlock, DistillationSettings
from tokaido.emulators.distillation._amplification import toeplitz_hash
from tokaido.emulators.optics import Fibre
from tokaido_testing.distillation import SMALL, feed, pair, portions, raw_data, round_trips, run_pair

BLOCK = 1_000_000
FRAME = DistillationSettings().frame_bits
SETTINGS = msgspec.structs.replace(SMALL, block_bits=BLOCK, frame_bits=FRAME, eps_sec=1e-10, eps_cor=1e-15)
LOW_LEAK = msgspec.structs.replace(SETTINGS, schedule="low_leak")


def distil(qber: float, blocks: int, settings: DistillationSettings = SETTINGS) -> tuple[float, float, float]:
    """Return sifted Mb/s and key Mb/s of CPU time, and the mean efficiency f."""
    stretches = list(portions(raw_data(blocks * (BLOCK + 2000), qber, settings=settings, check_share=0.1)))
    alice, bob = pair(settings, seed=None)
    start = time.process_time()
    outcome = feed(alice, bob, stretches)
    elapsed = time.process_time() - start
    accepted = [block for block in outcome.alice if isinstance(block, AcceptedBlock)]
    first, second = outcome.accepted()
    if len(accepted) != blocks or first != second:
        raise RuntimeError(f"{len(accepted)} of {blocks} blocks were accepted")
    key_bits = sum(block.key.bits for block in accepted)
    efficiency = float(np.mean([block.efficiency for block in accepted]))
    return sum(block.n for block in accepted) / elapsed / 1e6, key_bits / elapsed / 1e6, efficiency


def amplify() -> float:
    """Return Mb/s of input of privacy amplification at one end, 30 % of the bits kept."""
    rng = np.random.default_rng(1)
    bits, seed = (rng.integers(0, 2, size, dtype=np.uint8) for size in (BLOCK, BLOCK - 1))
    toeplitz_hash(bits, seed, 300_000)
    start = time.process_time()
    for _ in range(3):
        toeplitz_hash(bits, seed, 300_000)
    return 3 * BLOCK / (time.process_time() - start) / 1e6


def round_trip_s(length_km: float) -> float:
    """Return how long a question and its answer take through a fibre of this length."""
    return 2 * Fibre(length_km=length_km, loss_db_per_km=0.2).delay_s


def throughput(settings: DistillationSettings, length_km: float) -> float:
    """Return the sifted Mb/s that the round trips alone allow: from the end of a block's pulses to its key."""
    alice, bob = pair(settings, seed=None)
    run_pair(alice, bob)
    for sent, got, until in portions(raw_data(BLOCK + 2000, 0.03, settings=settings, check_share=0.1)):
        alice.add(sent, until)
        bob.add(got, until)
        trips = round_trips(alice, bob)
        if bob.results():
            return BLOCK / (trips * round_trip_s(length_km)) / 1e6
    raise RuntimeError("no block came")


def peak_mb() -> float:
    """Return the peak memory of this process in MB. That of `getrusage` would begin with the peak of its parent."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024 / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6  # macOS counts in bytes


def memory(block_bits: int) -> float:
    """Return the growth in MB of the peak memory of this process over two blocks at both ends, fed in small portions.

    Call it in a fresh process: the peak of a process never falls.
    """
    settings = msgspec.structs.replace(SETTINGS, block_bits=block_bits)
    alice, bob = pair(settings, seed=None)
    transmitter, receiver = raw_data(50_000, 0.03, settings=settings, check_share=0.1)
    span = int(transmitter.slots[-1]) + 1
    before = peak_mb()
    blocks = portion = 0
    run_pair(alice, bob)
    while blocks < 2:
        shift = portion * span
        portion += 1
        alice.add(dataclasses.replace(transmitter, slots=transmitter.slots + shift), portion * span)
        bob.add(dataclasses.replace(receiver, slots=receiver.slots + shift), portion * span)
        while (from_alice := alice.outgoing()) + (from_bob := bob.outgoing()):
            for message in from_alice:
                bob.receive(message)
            for message in from_bob:
                alice.receive(message)
        blocks += sum(isinstance(block, AcceptedBlock) for block in alice.results())
    return peak_mb() - before


def memory_afresh(block_bits: int) -> float:
    """Return `memory` of a process of its own."""
    command = [sys.executable, __file__, str(block_bits)]
    return float(subprocess.run(command, capture_output=True, check=True, text=True).stdout)


def measure() -> list[tuple[str, float, str, str]]:
    """Return (name, value, unit of measure, goal) of each figure."""
    rows: list[tuple[str, float, str, str]] = []
    distil(0.03, 1)
    for settings, name, qbers, goals in (
        (SETTINGS, "", (0.01, 0.03), (">= 4", "<= 1.10")),
        (LOW_LEAK, "low-leak schedule, ", (0.03,), (">= 2", "<= 1.05")),
    ):
        for qber in qbers:
            runs = [distil(qber, 2, settings) for _ in range(3)]
            sifted, key, efficiency = (float(np.median(column)) for column in zip(*runs, strict=True))
            goal = goals if qber == 0.03 else ("", "")
            rows.append(
                (f"distillation, {name}both ends on one core, QBER {qber:.0%}, sifted", sifted, "Mb/s", goal[0])
            )
            rows.append((f"distillation, {name}both ends on one core, QBER {qber:.0%}, key", key, "Mb/s", ""))
            rows.append((f"Cascade efficiency f, {name}QBER {qber:.0%}", efficiency, "", goal[1]))
    for settings, name in ((SETTINGS, ""), (LOW_LEAK, "low-leak schedule, ")):
        rows.append((f"distillation, {name}100 km, what round trips allow", throughput(settings, 100), "Mb/s", ""))
    rows.append(("privacy amplification of one end, n = 1e6", amplify(), "Mb/s", ""))
    for block_bits, limit in ((1_000_000, "<= 200"), (10_000_000, "<= 700")):
        name = f"memory of both ends of a link, blocks of 1e{len(str(block_bits)) - 1}"
        rows.append((name, memory_afresh(block_bits), "MB", limit))
    return rows


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(memory(int(sys.argv[1])))
    else:
        for name, value, unit, goal in measure():
            print(f"{name:<72} {value:8.3f} {unit:<5} {goal}")
