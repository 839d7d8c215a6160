"""Raw data of an imaginary link, a pair of distillers, and a pump that carries their messages."""

from __future__ import annotations

import contextlib
import multiprocessing.connection
import os
import random
import socket
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tokaido.emulators.distillation import (
    AcceptedBlock,
    BlockResult,
    DistillationSettings,
    Distiller,
    ReceiverDistiller,
    TransmitterDistiller,
)
from tokaido.emulators.distillation import _messages as messages
from tokaido.emulators.distillation._messages import AnyMessage, decode
from tokaido.emulators.optics import ReceiverRecord, TransmitterRecord
from tokaido.hal import KeyMaterial
from tokaido.hal.authentication import AuthenticationPool

__all__ = [
    "NONCE",
    "PRE_SHARED",
    "SMALL",
    "Outcome",
    "Portion",
    "count_in_memory",
    "distil",
    "feed",
    "in_block",
    "messages",
    "pair",
    "portions",
    "raw_data",
    "run_pair",
    "serve_side",
]

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.connection import Connection

    from numpy.typing import NDArray

PRE_SHARED = bytes(i * 89 % 251 for i in range(4096))
NONCE = b"a public nonce for two ends"
SMALL = DistillationSettings(
    block_bits=60_000,
    frame_bits=60_000,
    eps_sec=1e-6,
    eps_cor=1e-12,
    intensities=(0.5, 0.2, 0.001),
    probabilities=(0.6, 0.3, 0.1),
)
"""A block small enough for many tests, and yet with key at 3 % QBER."""


def raw_data(
    key_bits: int,
    qber_key: float = 0.03,
    *,
    qber_check: float | None = None,
    settings: DistillationSettings = SMALL,
    check_share: float = 0.5,
    seed: int = 1,
    spacing: float = 40.0,
    background: float = 1e-7,
) -> tuple[TransmitterRecord, ReceiverRecord]:
    """Return what each end holds after about `key_bits` sifted key bits, and some more to plan a first block by.

    Intensities follow the gains of a 10 dB link, vacuum pulses click at random, and bases are chosen so that
    `check_share` of the sifted detections are in the check basis.
    """
    rng = np.random.default_rng(seed)
    odds = np.sqrt(check_share / (1 - check_share))
    check = odds / (1 + odds)
    count = int(key_bits / (1 - check) ** 2 * 1.12) + 2000
    gains = np.array([p * (1 - np.exp(-0.1 * k) + background) for p, k in
                      zip(settings.probabilities, settings.intensities, strict=True)])  # fmt: skip
    intensity = rng.choice(3, count, p=gains / gains.sum()).astype(np.uint8)
    slots = np.cumsum(rng.geometric(1 / spacing, count)).astype(np.int64) + 7
    basis_a = (rng.random(count) < check).astype(np.uint8)
    basis_b = (rng.random(count) < check).astype(np.uint8)
    bit_a = rng.integers(0, 2, count, dtype=np.uint8)
    rate = np.where(basis_a == 1, qber_key if qber_check is None else qber_check, qber_key)
    rate = np.where(basis_a != basis_b, 0.5, rate)
    flips = rng.random(count) < rate
    bit_b = bit_a ^ flips.astype(np.uint8)
    return TransmitterRecord(slots, basis_a, bit_a, intensity), ReceiverRecord(slots, basis_b, bit_b)


def pair(
    settings: DistillationSettings = SMALL,
    receiver_settings: DistillationSettings | None = None,
    *,
    pre_shared: bytes = PRE_SHARED,
    receiver_pre_shared: bytes | None = None,
    seed: int | None = 1,
) -> tuple[TransmitterDistiller, ReceiverDistiller]:
    """Return two ends with pools of the same pre-shared key, reproducible unless `seed` is None."""
    sources = [os.urandom if seed is None else random.Random(2 * seed + end).randbytes for end in (0, 1)]
    return (
        TransmitterDistiller(
            settings, AuthenticationPool(KeyMaterial(pre_shared), end="transmitter"), secret=sources[0]
        ),
        ReceiverDistiller(
            receiver_settings or settings,
            AuthenticationPool(KeyMaterial(receiver_pre_shared or pre_shared), end="receiver"),
            secret=sources[1],
        ),
    )


@dataclass(slots=True)
class Outcome:
    """What came of a run: the results of both ends, and the messages, (direction, message), as they were sent."""

    alice: list[BlockResult]
    bob: list[BlockResult]
    messages: list[tuple[int, bytes]]
    sent_at: list[int] = field(default_factory=list)
    """How many slots were over when each message was sent."""

    def accepted(self) -> tuple[dict[int, str], dict[int, str]]:
        """Return number -> digest of the accepted keys of each end; never the keys."""
        first, second = (
            {r.number: r.key.digest(NONCE) for r in side if isinstance(r, AcceptedBlock)}
            for side in (self.alice, self.bob)
        )
        return first, second


def run_pair(
    alice: Distiller,
    bob: Distiller,
    tamper: Callable[[int, bytes, AnyMessage], list[bytes]] | None = None,
) -> Outcome:
    """Carry messages until both ends are silent. `tamper` may replace each one by any list of messages.

    It gets the direction (0 from the transmitter), the bytes and the decoded message.
    """
    outcome = Outcome([], [], [])
    while True:
        moved = False
        for direction, source, sink in ((0, alice, bob), (1, bob, alice)):
            for data in source.outgoing():
                moved = True
                outcome.messages.append((direction, data))
                for carried in [data] if tamper is None else tamper(direction, data, decode(data)):
                    sink.receive(carried)
        outcome.alice += alice.results()
        outcome.bob += bob.results()
        if not moved:
            return outcome


def round_trips(alice: Distiller, bob: Distiller) -> int:
    """Carry messages until both ends are silent, and return how often both had to wait for each other."""
    trips = 0
    while (from_alice := alice.outgoing()) + (from_bob := bob.outgoing()):
        for message in from_alice:
            bob.receive(message)
        for message in from_bob:
            alice.receive(message)
        trips += 1
        assert trips < 2000
    return trips


Portion = tuple[TransmitterRecord, ReceiverRecord, int]


def portions(records: tuple[TransmitterRecord, ReceiverRecord], count: int = 60) -> Iterator[Portion]:
    """Cut records into stretches of equally many slots, each with the first slot after it."""
    transmitter, receiver = records
    end = int(transmitter.slots[-1]) + 1
    for number in range(count):
        until = end * (number + 1) // count
        bounds = end * number // count, until
        sent = slice(*(int(place) for place in np.searchsorted(transmitter.slots, bounds)))
        got = slice(*(int(place) for place in np.searchsorted(receiver.slots, bounds)))
        yield (
            TransmitterRecord(
                transmitter.slots[sent], transmitter.basis[sent], transmitter.bit[sent], transmitter.intensity[sent]
            ),
            ReceiverRecord(receiver.slots[got], receiver.basis[got], receiver.bit[got]),
            until,
        )


def feed(
    alice: TransmitterDistiller,
    bob: ReceiverDistiller,
    records: tuple[TransmitterRecord, ReceiverRecord] | Iterator[Portion] | list[Portion],
    tamper: Callable[[int, bytes, AnyMessage], list[bytes]] | None = None,
    *,
    sub_channels: int = 1,
) -> Outcome:
    """Let the slots of these records pass, the transmitter's first, and carry all messages after each stretch."""
    whole = run_pair(alice, bob, tamper)
    whole.sent_at = [0] * len(whole.messages)
    for sent, got, until in portions(records) if isinstance(records, tuple) else records:
        alice.add(sent, until)
        bob.add(got, until, sub_channels=sub_channels)
        outcome = run_pair(alice, bob, tamper)
        whole.alice += outcome.alice
        whole.bob += outcome.bob
        whole.messages += outcome.messages
        whole.sent_at += [until] * len(outcome.messages)
    return whole


def distil(
    settings: DistillationSettings,
    records: tuple[TransmitterRecord, ReceiverRecord],
    tamper: Callable[[int, bytes, AnyMessage], list[bytes]] | None = None,
    *,
    seed: int | None = 1,
) -> Outcome:
    """Run both ends over these records."""
    return feed(*pair(settings, seed=seed), records, tamper)


def in_block(slots: NDArray[np.int64], block: AcceptedBlock) -> NDArray[np.bool_]:
    """Return bool[n], which of n slots are in a block."""
    return (block.first_slot <= slots) & (slots < block.first_slot + block.pulses)


# --- two processes ------------------------------------------------------------------------------------------------


def serve_side(role: str, wire: socket.socket, bench: Connection) -> None:
    """Run one end in a process of its own: raw data come from the bench, messages cross the socket as bytes.

    The bench says how far time has come, in slots, and hears when this end has taken that in. It is sent a digest of
    the first key under `NONCE`; then this end holds still, with its raw data and every message that it got, until it is
    told to end.
    """
    columns = bench.recv()
    packed = [np.packbits(column == 1) for column in columns[1:]]  # held too, so that a scan for it can be seen to find
    pool = AuthenticationPool(KeyMaterial(PRE_SHARED), end="transmitter" if role == "transmitter" else "receiver")
    record_of = TransmitterRecord if role == "transmitter" else ReceiverRecord
    side: TransmitterDistiller | ReceiverDistiller = (
        TransmitterDistiller(SMALL, pool) if role == "transmitter" else ReceiverDistiller(SMALL, pool)
    )
    results: list[BlockResult] = []
    heard = []
    taken = 0
    with wire:
        while True:
            for data in side.outgoing():
                # A peer that is done with this block has left, and hears nothing of the next one.
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    wire.sendall(len(data).to_bytes(4, "big") + data)
            results += side.results()
            if results:
                break
            if wire in multiprocessing.connection.wait([wire, bench]):  # what the peer said is older than the time
                size = int.from_bytes(wire.recv(4, socket.MSG_WAITALL), "big")
                heard.append(wire.recv(size, socket.MSG_WAITALL))
                side.receive(heard[-1])
                continue
            until = bench.recv()
            end = int(np.searchsorted(columns[0], until))
            side.add(record_of(*(column[taken:end] for column in columns)), until)  # type: ignore[arg-type]
            taken = end
            for data in side.outgoing():
                wire.sendall(len(data).to_bytes(4, "big") + data)
            bench.send(until)
    block = results[0]
    bench.send(block.key.digest(NONCE) if isinstance(block, AcceptedBlock) else repr(block))
    while bench.recv() is not None:
        pass
    bench.close()
    del columns, packed, heard


def count_in_memory(pid: int, patterns: dict[str, bytes]) -> dict[str, int]:
    """Return how often each pattern occurs in the writable memory of another process, read from outside.

    Raises:
        PermissionError: The system lets nobody look into a process.
    """
    found = dict.fromkeys(patterns, 0)
    longest = max(map(len, patterns.values()))
    regions = [line.split() for line in Path(f"/proc/{pid}/maps").read_text().splitlines()]
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for region in regions:
            if not region[1].startswith("rw") or region[-1] in {"[vvar]", "[vsyscall]"}:
                continue
            low, high = (int(bound, 16) for bound in region[0].split("-"))
            tail = b""
            for start in range(low, high, 1 << 18):
                memory.seek(start)
                try:
                    view = tail + memory.read(min(1 << 18, high - start))
                except OSError:
                    break
                if view.strip(b"\0"):
                    for name, pattern in patterns.items():
                        found[name] += view.count(pattern)
                tail = view[1 - longest :]
    return found
