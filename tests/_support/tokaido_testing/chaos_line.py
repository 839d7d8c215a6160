"""A line of nodes that can be killed at any named step, applications at both ends, and an observer of all of it."""

from __future__ import annotations

import itertools
import json
import os
import random
import secrets
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import pytest

from tokaido.hal import TokaidoError
from tokaido.node.client import KeyClient
from tokaido.node.pki import files_of, issue
from tokaido.node.store import new_wrapping_key
from tokaido.node.topology import new_signing_key, sign
from tokaido_testing.ports import free_port

if TYPE_CHECKING:
    from types import TracebackType

killed_while_connecting: Final = pytest.mark.filterwarnings("ignore:unclosed <ssl.SSLSocket:ResourceWarning")
"""CPython leaves a socket to the garbage collector whose peer is killed between `connect` and the handshake."""
LONG: Final = os.environ.get("TOKAIDO_CHAOS") == "long"
NODES: Final = ("otemachi", "koganei")
"""A line of two, which needs no topology."""
SAES: Final = ("bank", "hospital")
"""Applications of the first and the last node."""
STOCK: Final = 192
BATCH: Final = 16


def seed() -> int:
    """Return the seed of a test, and tell it."""
    found = int(os.environ.get("TOKAIDO_CHAOS_SEED") or secrets.randbits(32))
    print(f"TOKAIDO_CHAOS_SEED={found} repeats the draws of this test")
    return found


@dataclass
class Deliveries:
    """Keys that applications were given, by id and end."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    given: dict[uuid.UUID, bytes] = field(default_factory=dict)
    taken: dict[uuid.UUID, bytes] = field(default_factory=dict)
    twice: list[uuid.UUID] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)

    def note(self, book: dict[uuid.UUID, bytes], key_id: uuid.UUID, key: bytes) -> None:
        with self.lock:
            if key_id in book:
                self.twice.append(key_id)
            book[key_id] = key

    @property
    def shared(self) -> int:
        with self.lock:
            return len(self.given.keys() & self.taken.keys())

    def differing(self) -> list[uuid.UUID]:
        with self.lock:
            return [one for one, key in self.given.items() if self.taken.get(one, key) != key]


class ChaosLine:
    """Nodes, each linked with the next, whose life is in the hands of a test.

    Args:
        folder: Where their files are.
        nodes: Their names. Keys are shared by the first and the last.
        more: Is added to their files, with the name for {node}.
    """

    def __init__(self, folder: Path, nodes: tuple[str, ...] = NODES, *, more: str = "") -> None:
        self._more = more
        self.folder = folder
        self.nodes = nodes
        self.ends = nodes[0], nodes[-1]
        self._saes = dict(zip(self.ends, SAES, strict=True))
        self.deliveries = Deliveries()
        self.pids: dict[str, int] = {}
        self._zygote: subprocess.Popen[str] | None = None
        self._ports = {node: (free_port(), free_port()) for node in nodes}
        self._apps: list[threading.Thread] = []
        self._ending = threading.Event()

    def __enter__(self) -> Self:
        issue(self.folder / "pki", nodes=dict.fromkeys(self.nodes, ()), saes=SAES)
        if len(self.nodes) > len(NODES):
            self._write_topology()
        for node in self.nodes:
            new_wrapping_key(self.folder / f"{node}.key")
            self._write_files(node)
        self._zygote = subprocess.Popen(
            [sys.executable, "-m", "tokaido_testing.chaos_nodes"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending.set()
        for node in list(self.pids):
            self.kill(node)
        for thread in self._apps:
            thread.join(30)
        zygote = self._zygote
        assert zygote is not None
        assert zygote.stdin is not None
        assert zygote.stdout is not None
        zygote.stdin.close()
        zygote.wait(10)
        zygote.stdout.close()

    # --- nodes --------------------------------------------------------------------------------------------------------

    def start(self, node: str, *, step: str | None = None, occurrence: int = 1) -> None:
        (self.folder / f"ready-{node}").unlink(missing_ok=True)
        order = {"folder": str(self.folder), "node": node, "step": step, "occurrence": occurrence}
        self.pids[node] = self._say({"start": order})["pid"]

    def wait_ready(self, node: str, within_s: float = 20.0) -> float:
        """Return how long it took until the node's listeners were open."""
        begun = time.monotonic()
        while not (self.folder / f"ready-{node}").exists():
            if time.monotonic() - begun > within_s:
                raise AssertionError(f"{node} is not ready: {self.log(node)}")
            time.sleep(0.01)
        return time.monotonic() - begun

    def alive(self, node: str) -> bool:
        """Whether the node still lives; one that does not is a zombie of the program that started it."""
        with suppress(FileNotFoundError):
            return Path(f"/proc/{self.pids[node]}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
        return False

    def kill(self, node: str) -> int:
        with suppress(ProcessLookupError):
            os.kill(self.pids[node], signal.SIGKILL)
        return self.reap(node)

    def end(self, node: str) -> int:
        os.kill(self.pids[node], signal.SIGTERM)
        return self.reap(node)

    def reap(self, node: str) -> int:
        return int(self._say({"wait": self.pids.pop(node)})["status"])

    def log(self, node: str) -> str:
        file = self.folder / f"log-{node}"
        return file.read_text(errors="replace")[-2000:] if file.exists() else ""

    def steps(self, node: str) -> list[str]:
        """Return the named steps that a node has passed."""
        return sorted(set((self.folder / f"steps-{node}").read_text().splitlines()))

    def come_back(self, more: int = 2, within_s: float = 20.0) -> float:
        """Let all nodes live, and return how long it takes until applications share more keys again."""
        begun = time.monotonic()
        for node in self.nodes:
            if node in self.pids:
                self.kill(node)
            self.start(node)
        for node in self.nodes:
            self.wait_ready(node)
        self.wait_for_shared(more, within_s)
        return time.monotonic() - begun

    # --- applications -------------------------------------------------------------------------------------------------

    def client(self, node: str) -> KeyClient:
        files = files_of(self.folder / "pki", f"sae-{self._saes[node]}")
        return KeyClient(f"https://127.0.0.1:{self._ports[node][1]}", files, timeout_s=6.0)

    def start_applications(self, seed: int) -> None:
        """Let the applications of both ends share keys, as fast as they get them, until the pair is left."""
        for number, (master, slave) in enumerate((self.ends, self.ends[::-1])):
            draws = random.Random(seed + number)
            thread = threading.Thread(target=self._apply, args=(master, slave, draws), daemon=True)
            self._apps.append(thread)
            thread.start()

    def wait_for_shared(self, more: int, within_s: float) -> float:
        """Return how long it took until so many more keys were at both ends."""
        begun, goal = time.monotonic(), self.deliveries.shared + more
        while self.deliveries.shared < goal:
            if time.monotonic() - begun > within_s:
                logs = {node: self.log(node) for node in self.nodes}
                raise AssertionError(f"no key within {within_s} s; refused: {self.deliveries.refused}; {logs}")
            time.sleep(0.02)
        return time.monotonic() - begun

    def _apply(self, master: str, slave: str, draws: random.Random) -> None:
        first, second, book = self.client(master), self.client(slave), self.deliveries
        with first, second:
            while not self._ending.is_set():
                try:
                    keys = first.enc_keys(
                        self._saes[slave], number=draws.choice((1, 1, 3)), size=draws.choice((256, 256, 128, 1024))
                    )
                except TokaidoError as error:
                    self._refused("enc", error)
                    continue
                ids = [key.key_id for key in keys]
                for key in keys:
                    with key as material:
                        book.note(book.given, key.key_id, bytes(material.reveal()))
                if draws.random() < 0.1:  # a slave that never comes
                    continue
                for _ in range(2 if draws.random() < 0.1 else 1):  # one that comes twice gets nothing
                    try:
                        taken = second.dec_keys(self._saes[master], ids)
                    except TokaidoError as error:
                        self._refused("dec", error)
                        continue
                    for key in taken:
                        with key as material:
                            book.note(book.taken, key.key_id, bytes(material.reveal()))
                time.sleep(0.002)

    def _refused(self, what: str, error: TokaidoError) -> None:
        self.deliveries.refused[f"{what} {type(error).__name__} {str(error)[:60]}"] += 1
        time.sleep(0.03)

    # --- what was relayed ---------------------------------------------------------------------------------------------

    def relays(self) -> list[tuple[str, str, int, str, int, int]]:
        """Return every range that was used as a pad: link, session, number, owner, begin and end."""
        found: list[tuple[str, str, int, str, int, int]] = []
        for node in self.nodes:
            file = self.folder / f"relays-{node}"
            for line in file.read_text().splitlines() if file.exists() else ():
                link, session, number, owner, offset, length, _ = json.loads(line)
                found.append((link, session, number, owner, offset, offset + length))
        return found

    def reused(self) -> list[tuple[object, object]]:
        """Return each pair of ranges that share a byte of pad."""
        ordered = sorted(self.relays())
        return [
            (one, other) for one, other in itertools.pairwise(ordered) if one[:4] == other[:4] and other[4] < one[5]
        ]

    def check(self) -> None:
        """Fail if a pad was used twice, or a key given twice, or not the same at both ends."""
        assert self.reused() == []
        assert self.deliveries.twice == []
        assert self.deliveries.differing() == []

    # --- files --------------------------------------------------------------------------------------------------------

    def _write_topology(self) -> None:
        url = "https://127.0.0.1"
        lines = ['[topology]\nnetwork = "line"\nserial = 1\nvalid_from = 2026-01-01T00:00:00Z']
        lines += [f'[nodes.{node}]\nurl = "{url}:{self._ports[node][0]}"' for node in self.nodes]
        lines += [f'[links.{one}-{two}]\nends = ["{one}", "{two}"]' for one, two in itertools.pairwise(self.nodes)]
        lines.append(f'[[pairs]]\nends = ["{self.ends[0]}", "{self.ends[1]}"]\nstock = {STOCK}\n[applications]')
        lines += [f'{sae} = {{ node = "{node}" }}' for node, sae in self._saes.items()]
        (self.folder / "line.toml").write_text("\n".join(lines) + "\n")
        private, _ = new_signing_key(self.folder / "signing")
        sign(self.folder / "line.toml", private, self.folder / "line.signed.toml")
        with open(self.folder / "ends.key", "xb", opener=partial(os.open, mode=0o600)) as file:
            file.write(os.urandom(32))

    def _write_files(self, node: str) -> None:
        at = self.nodes.index(node)
        station = f'[station]\nname = "{node}"\n'
        for number, other in enumerate(self.nodes):
            if abs(at - number) != 1:
                continue
            role = "transmitter" if at < number else "receiver"
            link = "span" if len(self.nodes) == len(NODES) else "-".join(self.nodes[min(at, number) :][:2])
            station += (
                f'[devices.unit{number}]\ndriver = "toshiba.{role}"\ncontrol = "serial:/nowhere{number}"\n'
                f'[links.{link}]\nunit = "unit{number}"\nneighbour = "{other}"\n'
            )
        (self.folder / f"{node}-station.toml").write_text(station)
        neighbours, applications = (f"127.0.0.1:{port}" for port in self._ports[node])
        text = (
            f'[node]\nname = "{node}"\nstation = "{node}-station.toml"\n'
            f'[store]\npath = "{node}.sqlite"\nkey_file = "{node}.key"\n'
            f'[tls]\ncertificate = "pki/node-{node}.pem"\nkey = "pki/node-{node}.key"\nauthority = "pki/ca.pem"\n'
            f'revoked = "pki/crl.pem"\n'
            f'[listen]\nneighbours = "{neighbours}"\napplications = "{applications}"\ncontrol = "{node}.sock"\n'
            f"[keys]\nlease = 2048\nsupply_age_s = 3.0\n"
        )
        if len(self.nodes) > len(NODES):
            text += '[topology]\nfile = "line.signed.toml"\npublic_key = "signing/topology.pub"\n'
            if node in self.ends:
                other = self.ends[node == self.ends[0]]
                text += f'[neighbours.{other}]\nbatch = {BATCH}\nconfirm_key_file = "ends.key"\n'
        else:
            other = NODES[node == NODES[0]]
            text += f'[neighbours.{other}]\nurl = "https://127.0.0.1:{self._ports[other][0]}"\n'
            text += f"stock = {STOCK}\nbatch = {BATCH}\n[applications]\n"
            text += "".join(f'{sae} = {{ node = "{end}" }}\n' for end, sae in self._saes.items())
        (self.folder / f"{node}.toml").write_text(text + self._more.format(node=node))

    def _say(self, order: dict[str, Any]) -> dict[str, Any]:
        zygote = self._zygote
        assert zygote is not None
        assert zygote.stdin is not None
        assert zygote.stdout is not None
        zygote.stdin.write(json.dumps(order) + "\n")
        zygote.stdin.flush()
        answer: dict[str, Any] = json.loads(zygote.stdout.readline())
        return answer
