"""A QKD link as a user meets it: threads, wires, plain clients at both consoles and both key channels."""

from __future__ import annotations

import dataclasses
import json
import secrets
import threading
import time
from typing import TYPE_CHECKING

from tokaido.emulators import QkdLink
from tokaido.emulators.optics import Fibre, preset
from tokaido.hal import KeyMaterial
from tokaido_testing.console import KeyClient, open_port
from tokaido_testing.patience import in_time, patient

if TYPE_CHECKING:
    from pathlib import Path

FIBRE = Fibre(length_km=20, loss_db=6.0)
BLOCK_BITS = 200_000
PARAMETERS = dataclasses.replace(
    preset("t12", settings="short-block", channel_loss_db=FIBRE.total_loss_db),
    intensities=(0.35, 0.13, 0.001),
    probabilities=(0.20, 0.50, 0.30),
    key_basis_probability_transmitter=0.55,
    key_basis_probability_receiver=0.55,
)
"""Settings that leave about 60 kbit of key in a block of 2e5 bits: see the finite-key functions of the optics."""


def draw(keys: KeyClient) -> dict[tuple[str, int], str]:
    """Wait for blocks, draw what there is, acknowledge and commit it, and return digests."""
    start = time.monotonic()
    while not (drawn := draw_once(keys)):
        assert in_time(start, 20.0)
    return drawn


def draw_once(keys: KeyClient) -> dict[tuple[str, int], str]:
    request = secrets.token_bytes(8)
    header = {"verb": "draw", "serial_number": keys.serial_number, "max": 16, "wait_ms": 5000, "host": keys.host}
    keys.socket.send_multipart([request, json.dumps(header).encode()])
    assert keys.socket.poll(20_000)
    frames = keys.socket.recv_multipart()
    reply = json.loads(frames[1])
    assert reply["ok"], reply
    blocks = reply["blocks"]
    drawn: dict[tuple[str, int], str] = {}
    for block, frame in zip(blocks, frames[2:], strict=True):
        name = {"session": block["session"], "number": block["number"]}
        assert keys.ask("ack", **name)
        assert keys.ask("commit", **name)
        drawn[block["session"], block["number"]] = KeyMaterial(frame).digest(bytes(16))
    return drawn


def test_a_live_link_serves_keys_at_both_ends_while_its_consoles_answer(tmp_path: Path) -> None:
    threads = threading.active_count()
    with QkdLink.launch(
        fibre=FIBRE, parameters=PARAMETERS, block_bits=BLOCK_BITS, speed=20, directory=tmp_path
    ) as link:
        assert link.preshared_key_file is not None
        assert oct(link.preshared_key_file.stat().st_mode)[-3:] == "600"
        psk = link.preshared_key_file.read_bytes()
        with KeyClient(link.transmitter) as tx, KeyClient(link.receiver) as rx:
            for keys in (tx, rx):
                request = secrets.token_bytes(8)
                header = {"verb": "load_psk", "serial_number": keys.serial_number}
                keys.socket.send_multipart([request, json.dumps(header).encode(), psk])
                assert json.loads(keys.socket.recv_multipart()[1])["ok"]
            deadline = time.monotonic() + 20
            for keys in (tx, rx):
                while (keys.ask("status") or {})["state"] != "STANDBY":
                    assert time.monotonic() < deadline
                    time.sleep(0.05)
            slowest = 0.0
            with open_port(link.transmitter) as one, open_port(link.receiver) as two:
                for line in (one, two):
                    line.write(b"KEY START\r")
                    line.read_until(b"> ")
                first = draw(tx)
                second = draw(rx)
                for _ in range(40):
                    for line in (one, two):
                        began = time.monotonic()
                        line.write(b"TEL?\r")
                        assert line.read_until(b"> ")
                        slowest = max(slowest, time.monotonic() - began)
            names = first.keys() & second.keys()
            assert names
            assert {name: first[name] for name in names} == {name: second[name] for name in names}
            assert slowest < patient(0.1)
            assert link.emulated_s > 40
            assert 0 < link.speed <= 20.5
    assert threading.active_count() == threads
    assert list(tmp_path.iterdir()) == []
