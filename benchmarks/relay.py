"""What it takes to relay keys over four hops: five nodes, each a process of its own, on one machine.

Both ends fill a stock for each other over the same links, in batches of 64 keys and, beside it, one by one. Links have
more key than is needed; the pair confirms each batch end to end.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import statistics
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from measuring import Figure
from node import process

if TYPE_CHECKING:
    from tokaido.node.operation import NodeStatus

NODES = ("nagoya", "maibara", "kyoto", "osaka", "kobe")
STOCK = 8192
UNBATCHED = 128


def measure() -> list[Figure]:
    rows: list[Figure] = []
    for batch, stock in ((64, STOCK), (1, UNBATCHED)):
        with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
            rows += _measured(Path(folder), batch, stock)
    return rows


def _measured(folder: Path, batch: int, stock: int) -> list[Figure]:
    from tokaido.node.operation import ControlClient

    _files(folder, batch, stock)
    start = ControlClient(folder / f"{NODES[0]}.sock")
    with contextlib.ExitStack() as stack:
        for name in NODES:
            stack.enter_context(process("noted", folder, name))
        seen: list[tuple[float, int]] = []
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            ready = _ready(start.status())
            seen.append((time.monotonic(), ready))
            if ready >= stock - batch:
                break
            time.sleep(0.1)
    growing = [(at, ready) for at, ready in seen if 0 < ready < stock - batch] or seen[-2:]
    (begin, first), (end, last) = growing[0], growing[-1]
    notes = {name: json.loads((folder / f"{name}.json").read_text()) for name in NODES}
    took = sorted(seconds for seconds, _, _ in notes[NODES[0]]["relays"])
    passed = notes[NODES[2]]["relays"]
    bits = 8 * sum(length for _, _, length in passed) / sum(count for _, count, _ in passed)
    what = f"four hops, batches of {batch}"
    goal = ">= 500 /s" if batch > 1 else ""
    return [
        Figure(f"keys relayed a second, both directions, {what}", 2 * (last - first) / (end - begin), "/s", goal),
        Figure(f"a relay until it is held at the end, {what}: median", 1e3 * statistics.median(took), "ms"),
        Figure(f"a relay until it is held at the end, {what}: p99", 1e3 * took[int(0.99 * len(took))], "ms"),
        Figure(f"link bits a key and hop, {what}", bits, "bit", "<= 264" if batch > 1 else ""),
        Figure(f"commits a relay in the middle, {what}", notes[NODES[2]]["commits"] / len(passed), ""),
    ]


def _ready(status: NodeStatus) -> int:
    return sum(pair.ready for pair in status.pairs if pair.target)


def _files(folder: Path, batch: int, stock: int) -> None:
    from tokaido.node.pki import issue
    from tokaido.node.store import new_wrapping_key
    from tokaido.node.topology import new_signing_key, sign

    issue(folder / "pki", nodes=dict.fromkeys(NODES, ()), saes=())
    ports = dict(zip(NODES, _free_ports(len(NODES)), strict=True))
    lines = ['[topology]\nnetwork = "line"\nserial = 1\nvalid_from = 2026-01-01T00:00:00Z\n']
    lines += [f'[nodes.{name}]\nurl = "https://127.0.0.1:{ports[name]}"\n' for name in NODES]
    lines += [f'[links.{a}-{b}]\nends = ["{a}", "{b}"]\n' for a, b in pairwise(NODES)]
    lines.append(f'[[pairs]]\nends = ["{NODES[0]}", "{NODES[-1]}"]\nstock = {stock}\n')
    (folder / "line.toml").write_text("\n".join(lines))
    private, _ = new_signing_key(folder / "signing")
    sign(folder / "line.toml", private, folder / "line.signed.toml")
    descriptor = os.open(folder / "ends.key", os.O_WRONLY | os.O_CREAT, 0o600)
    os.write(descriptor, os.urandom(32))
    os.close(descriptor)
    stations = {name: f'[station]\nname = "{name}"\n' for name in NODES}
    for number, ends in enumerate(pairwise(NODES)):
        for here, there, role in ((ends[0], ends[1], "transmitter"), (ends[1], ends[0], "receiver")):
            stations[here] += (
                f'[devices.unit{number}]\ndriver = "toshiba.{role}"\ncontrol = "serial:/nowhere{number}"\n'
                f'[links.{ends[0]}-{ends[1]}]\nunit = "unit{number}"\nneighbour = "{there}"\n'
            )
    for name in NODES:
        new_wrapping_key(folder / f"{name}.key")
        (folder / f"{name}-station.toml").write_text(stations[name])
        other = NODES[-1] if name == NODES[0] else NODES[0] if name == NODES[-1] else ""
        (folder / f"{name}.toml").write_text(
            f'[node]\nname = "{name}"\nstation = "{name}-station.toml"\n'
            f'[topology]\nfile = "line.signed.toml"\npublic_key = "signing/topology.pub"\n'
            f'[store]\npath = "{name}.sqlite"\nkey_file = "{name}.key"\n'
            f'[tls]\ncertificate = "pki/node-{name}.pem"\nkey = "pki/node-{name}.key"\nauthority = "pki/ca.pem"\n'
            f'[listen]\nneighbours = "127.0.0.1:{ports[name]}"\n[keys]\nanswer_s = 20\n'
            + (f'[neighbours.{other}]\nbatch = {batch}\nconfirm_key_file = "ends.key"\n' if other else "")
        )


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        taken = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [int(one.getsockname()[1]) for one in taken]
