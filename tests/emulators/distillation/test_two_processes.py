from __future__ import annotations

import multiprocessing
import socket
import sys

import numpy as np
import pytest

from tokaido_testing.distillation import raw_data, serve_side


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc/self/mem")
def test_two_processes_agree_over_a_socket_and_neither_holds_the_other_s_raw_data() -> None:
    transmitter, receiver = raw_data(61_000, 0.02)
    context = multiprocessing.get_context("spawn")
    wires = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    pipes = [context.Pipe() for _ in range(2)]
    sides = [
        context.Process(target=serve_side, args=(role, wire, pipe[1]), daemon=True)
        for role, wire, pipe in zip(("transmitter", "receiver"), wires, pipes, strict=True)
    ]
    for side in sides:
        side.start()
    for wire in wires:
        wire.close()
    columns = (
        (transmitter.slots, transmitter.basis, transmitter.bit, transmitter.intensity),
        (receiver.slots, receiver.basis, receiver.bit),
    )
    for (bench, _), own in zip(pipes, columns, strict=True):
        bench.send(own)
    digests = []
    for bench, _ in pipes:
        assert bench.poll(30)
        digests.append(bench.recv())
    assert len(digests[0]) == 64, digests
    assert digests[0] == digests[1]

    # Raw bits in slot order include those of unequal bases, which never cross the wire and are in no sifted key.
    canaries = [np.asarray(own[2][5000:5096]) for own in columns]
    assert (canaries[0] != canaries[1]).any()
    for owner, canary in enumerate(canaries):
        for holder, (bench, _) in enumerate(pipes):
            bench.send((1 - canary).tobytes())
            assert bench.poll(30)
            assert (bench.recv() > 0) is (holder == owner)
    for (bench, _), side in zip(pipes, sides, strict=True):
        bench.send(None)
        side.join(10)
        assert side.exitcode == 0
