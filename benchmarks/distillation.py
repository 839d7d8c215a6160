"""Speed and memory of distillation, both ends in one process: the whole chain, from raw detections to released keys.

Speeds are of this process's CPU, both ends together. Yardsticks of the same run say what the machine is worth: NumPy's
real transforms of the block's length for privacy amplification, and for error correction two public projects, which
correct a key in one process without messages. Where a folder is not named, its rows are left away:

    git clone https://github.com/brunorijsman/cascade-cpp F
    g++ -O2 -std=c++14 -pthread -IF/include benchmarks/cascade_yardstick.cpp F/cascade/*.cpp -o F/cascade_yardstick
    TOKAIDO_BENCH_CASCADE_CPP=F

    git clone https://github.com/brunorijsman/cascade-python G
    TOKAIDO_BENCH_CASCADE_PYTHON=G
"""

from __future__ import annotations

import dataclasses
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import numpy as np

from measuring import Figure, in_turns, show, spread

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "_support"))

from tokaido.emulators.distillation import AcceptedBlock, DistillationSettings
from tokaido.emulators.distillation._amplification import fft_length, toeplitz_hash
from tokaido.emulators.distillation._reconciliation import (
    BlockQuestion,
    Corrector,
    ParityTables,
    block_positions,
    block_sizes,
    entropy,
)
from tokaido.emulators.optics import Fibre
from tokaido_testing.distillation import SMALL, feed, pair, portions, raw_data, round_trips, run_pair

BLOCK = 1_000_000
FRAME = DistillationSettings().frame_bits
SETTINGS = msgspec.structs.replace(SMALL, block_bits=BLOCK, frame_bits=FRAME, eps_sec=1e-10, eps_cor=1e-15)
LOW_LEAK = msgspec.structs.replace(SETTINGS, schedule="low_leak")
LONG = msgspec.structs.replace(SETTINGS, block_bits=10 * BLOCK)


def distil(
    qber: float, settings: DistillationSettings = SETTINGS, *, blocks: int = 2, rounds: int = 4
) -> list[tuple[float, float, float]]:
    """Return for each round sifted Mb/s and key Mb/s of CPU time, and the mean efficiency f."""
    bits = blocks * (settings.block_bits + 2000)
    stretches = list(portions(raw_data(bits, qber, settings=settings, check_share=0.1)))
    runs = []
    for _ in range(1 + rounds):
        alice, bob = pair(settings, seed=None)
        start = time.process_time()
        outcome = feed(alice, bob, stretches)
        elapsed = time.process_time() - start
        accepted = [block for block in outcome.alice if isinstance(block, AcceptedBlock)]
        first, second = outcome.accepted()
        if len(accepted) != blocks or first != second:
            raise RuntimeError(f"{len(accepted)} of {blocks} blocks were accepted: {outcome.alice}")
        key_bits = sum(block.key.bits for block in accepted)
        efficiency = float(np.mean([block.efficiency for block in accepted]))
        runs.append((sum(block.n for block in accepted) / elapsed / 1e6, key_bits / elapsed / 1e6, efficiency))
    return runs[1:]  # the first round warms up


def chain(qber: float, name: str, settings: DistillationSettings, goals: tuple[str, str], **how: int) -> list[Figure]:
    """Return the rows of the whole chain at one error rate."""
    sifted, key, efficiency = (spread(column) for column in zip(*distil(qber, settings, **how), strict=True))
    return [
        sifted.figure(f"distillation, {name}both ends on one core, QBER {qber:.0%}, sifted", "Mb/s", goals[0]),
        key.figure(f"distillation, {name}both ends on one core, QBER {qber:.0%}, key", "Mb/s"),
        efficiency.figure(f"Cascade efficiency f, {name}QBER {qber:.0%}", "", goals[1]),
    ]


def amplification(n: int, rounds: int) -> list[Figure]:
    """Return the rows of privacy amplification at one end, 30 % of n bits kept, and of NumPy's transforms beside it.

    The yardstick is the three real transforms of double precision that a hash of n bits with one bit a sample cannot do
    without: of the seed, of the key, and back.
    """
    rng = np.random.default_rng(1)
    bits, seed = (rng.integers(0, 2, size, dtype=np.uint8) for size in (n, n - 1))
    size = fft_length(n - 1)
    samples = rng.standard_normal(size)
    spectrum = np.fft.rfft(samples)

    def transforms() -> None:
        np.fft.rfft(samples)
        np.fft.rfft(samples)
        np.fft.irfft(spectrum, size)

    ours, yardstick = in_turns(
        (lambda: toeplitz_hash(bits, seed, 3 * n // 10), transforms), rounds=rounds, repeats=max(1, 2_000_000 // n)
    )
    of = f"n = 1e{len(str(n)) - 1}"
    return [
        spread(n / us for us in ours.cpu).figure(f"privacy amplification of one end, {of}", "Mb/s"),
        spread(n / us for us in yardstick.cpu).figure(f"yardstick: three numpy.fft transforms, {of}", "Mb/s"),
        spread(a / b for a, b in zip(ours.cpu, yardstick.cpu, strict=True)).figure(
            f"privacy amplification over three numpy.fft transforms, {of}", ""
        ),
    ]


def correct(qber: float) -> tuple[float, float]:
    """Return Mb/s of CPU time and f of error correction alone, both ends, of one frame."""
    rng = np.random.default_rng()
    alice = rng.integers(0, 2, FRAME, dtype=np.uint8)
    bob = alice ^ (rng.random(FRAME) < qber).astype(np.uint8)
    errors = np.count_nonzero(alice != bob)
    seed = os.urandom(32)
    start = time.process_time()
    tables = ParityTables(alice, seed, 0)
    corrector = Corrector(bob, block_sizes("standard", FRAME, qber), seed, 0)
    while (question := corrector.question()) is not None:
        if isinstance(question, BlockQuestion):
            tables.open_pass()
            positions = block_positions(question.number, question.size, FRAME)
        else:
            positions = question.positions
        corrector.answer(tables.parities(question.number, positions))
    elapsed = time.process_time() - start
    return FRAME / elapsed / 1e6, corrector.leaked / (FRAME * entropy(errors / FRAME))


def public_cascade(command: list[str], bits: int, **environment: str) -> list[tuple[float, float]]:
    """Return for each round Mb/s of CPU time and f of a program that prints CPU seconds, f and wrong bits a line."""
    done = subprocess.run(command, capture_output=True, check=True, text=True, env=os.environ | environment)
    rounds = [tuple(map(float, line.split())) for line in done.stdout.splitlines()][1:]
    return [(bits / seconds / 1e6, efficiency) for seconds, efficiency, _ in rounds]


PYTHON_CASCADE = """
import sys, time
from cascade.key import Key
from cascade.mock_classical_channel import MockClassicalChannel
from cascade.reconciliation import Reconciliation
for _ in range(4):
    alice = Key.create_random_key(int(sys.argv[1]))
    bob = alice.copy(float(sys.argv[2]), Key.ERROR_METHOD_EXACT)
    start = time.process_time()
    run = Reconciliation("original", MockClassicalChannel(alice), bob, float(sys.argv[2]))
    key = run.reconcile()
    print(time.process_time() - start, run.stats.efficiency, alice.difference(key))
"""


def correction() -> list[Figure]:
    """Return the rows of error correction alone at 3 %, and of the public projects beside it."""
    sides = [("error correction alone, both ends", [correct(0.03) for _ in range(21)][1:])]
    sides.append(("error correction alone, both ends, QBER 8 %", [correct(0.08) for _ in range(10)]))
    if folder := os.environ.get("TOKAIDO_BENCH_CASCADE_CPP"):
        program = str(Path(folder) / "cascade_yardstick")
        for algorithm in ("original", "yanetal"):
            command = [program, algorithm, str(FRAME), "0.03", "11"]
            sides.append((f"yardstick: Cascade in C++ ({algorithm})", public_cascade(command, FRAME)))
    if folder := os.environ.get("TOKAIDO_BENCH_CASCADE_PYTHON"):
        command = [sys.executable, "-c", PYTHON_CASCADE, "10000", "0.03"]
        sides.append(("yardstick: Cascade in Python (original)", public_cascade(command, 10_000, PYTHONPATH=folder)))
    rows = []
    for name, rounds in sides:
        speed, efficiency = (spread(column) for column in zip(*rounds, strict=True))
        rows += [speed.figure(name, "Mb/s"), efficiency.figure(f"{name}, f", "")]
    return rows


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
        shift, turn = portion * span, np.uint8(portion & 1)  # every other portion turned, so that 0 and 1 stay even
        portion += 1
        sent = dataclasses.replace(transmitter, slots=transmitter.slots + shift, bit=transmitter.bit ^ turn)
        got = dataclasses.replace(receiver, slots=receiver.slots + shift, bit=receiver.bit ^ turn)
        alice.add(sent, portion * span)
        bob.add(got, portion * span)
        while (from_alice := alice.outgoing()) + (from_bob := bob.outgoing()):
            for message in from_alice:
                bob.receive(message)
            for message in from_bob:
                alice.receive(message)
        for block in alice.results():
            if not isinstance(block, AcceptedBlock):
                raise RuntimeError(f"no key: {block}")  # noqa: TRY004 - the figure's fault, not the caller's
            blocks += 1
        if portion > 5 * block_bits // 50_000:
            raise RuntimeError(f"{blocks} blocks came of {portion} portions")
    return peak_mb() - before


def memory_afresh(block_bits: int) -> float:
    """Return `memory` of a process of its own."""
    command = [sys.executable, __file__, str(block_bits)]
    return float(subprocess.run(command, capture_output=True, check=True, text=True).stdout)


def measure() -> list[Figure]:
    """Return the figures.

    Blocks of 1e6 bits give no key at 5 %, so that figure is of a block of 1e7. At 8 % in both bases none of any length
    gives one: there only error correction is measured.
    """
    rows = chain(0.01, "", SETTINGS, ("", ""))
    rows += chain(0.03, "", SETTINGS, (">= 4", "<= 1.10"))
    rows += chain(0.03, "low-leak schedule, ", LOW_LEAK, (">= 2", "<= 1.05"))
    rows += chain(0.05, "block of 1e7, ", LONG, ("", ""), blocks=1, rounds=2)
    for settings, name in ((SETTINGS, ""), (LOW_LEAK, "low-leak schedule, ")):
        value = throughput(settings, 100)
        rows.append(Figure(f"distillation, {name}100 km, what round trips allow", value, "Mb/s"))
    rows += amplification(1_000_000, 9)
    rows += amplification(10_000_000, 2)
    rows += correction()
    for block_bits, limit in ((1_000_000, "<= 200"), (10_000_000, "<= 700")):
        name = f"memory of both ends of a link, blocks of 1e{len(str(block_bits)) - 1}"
        rows.append(Figure(name, memory_afresh(block_bits), "MB", limit))
    return rows


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(memory(int(sys.argv[1])))
    else:
        show(measure())
