"""A line of nodes that can be killed at any named step, applications at both ends, and an observer of all of it."""

from __future__ import annotations

import itertools
import json
import os
import random
import secrets
import shutil
import signal
import socket
import ssl
import struct
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
from tokaido.node import NodeFile
from tokaido.node.client import KeyClient
from tokaido.node.core import NodeCore, Started
from tokaido.node.messages import CELL
from tokaido.node.operation import ControlClient
from tokaido.node.pki import files_of, issue
from tokaido.node.store import SqliteStore, new_wrapping_key, wrapping_key_from_file
from tokaido.node.topology import new_signing_key, sign
from tokaido_testing.chaos_nodes import BLOCK_BYTES, FAILS_ONCE, ODD
from tokaido_testing.patience import in_time
from tokaido_testing.ports import free_port

if TYPE_CHECKING:
    from types import TracebackType

    from tokaido.hal import KeyMaterial
    from tokaido.node.core import PairStatus, Snapshot

killed_while_connecting: Final = pytest.mark.filterwarnings("ignore:unclosed <ssl.SSLSocket:ResourceWarning")
"""CPython leaves a socket to the garbage collector whose peer is killed between `connect` and the handshake."""
LONG: Final = os.environ.get("TOKAIDO_CHAOS") == "long"
NODES: Final = ("otemachi", "koganei")
"""A line of two, which needs no topology."""
SAES: Final = ("bank", "hospital")
"""Applications of the first and the last node."""
STOCK: Final = 192
BATCH: Final = 16
LEAVES_S: Final = 0.1
"""After so long an application leaves that asked for a key."""
KEPT_S: Final = 3600.0
"""How old keys in stock get."""


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
        stock: Of the pair, in keys.
        answer_s: How long a neighbour may take to answer.
        pace_s: Time between two blocks of a link.
        block_bytes: Size of a block.
        odd: Whether some blocks are not as they should be.
    """

    def __init__(
        self,
        folder: Path,
        nodes: tuple[str, ...] = NODES,
        *,
        more: str = "",
        stock: int = STOCK,
        answer_s: float = 2.0,
        pace_s: float = 0.02,
        block_bytes: int = BLOCK_BYTES,
        odd: bool = False,
    ) -> None:
        self._more = more
        self._stock = stock
        self._keys = f"lease = 2048\nsupply_age_s = 3.0\nanswer_s = {answer_s}\n"
        self._sources = {"pace_s": pace_s, "block_bytes": block_bytes, "odd": odd}
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
        self.resting = threading.Event()
        """Set: applications ask for nothing."""

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

    def beside(self, node: str) -> str:
        """Return a neighbour of a node."""
        at = self.nodes.index(node)
        return self.nodes[at - 1 if at else 1]

    # --- nodes --------------------------------------------------------------------------------------------------------

    def start(self, node: str, *, doom: dict[str, Any] | None = None) -> None:
        """Start a node; `doom` is what `chaos_nodes.pass_steps` takes."""
        (self.folder / f"ready-{node}").unlink(missing_ok=True)
        order = {"folder": str(self.folder), "node": node, "doom": doom, **self._sources}
        self.pids[node] = self._say({"start": order})["pid"]

    def wait_ready(self, node: str, within_s: float = 20.0) -> float:
        """Return how long it took until the node's listeners were open."""
        begun = time.monotonic()
        while not (self.folder / f"ready-{node}").exists():
            if not in_time(begun, within_s):
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
        self.terminate(node)
        return self.reap(node)

    def terminate(self, node: str) -> None:
        """Have a node end in order, and do not wait for it."""
        os.kill(self.pids[node], signal.SIGTERM)

    def freeze(self, node: str, *, on: bool) -> None:
        """Have a node do nothing, or go on."""
        os.kill(self.pids[node], signal.SIGSTOP if on else signal.SIGCONT)

    def hang_up(self, node: str) -> None:
        """Have a node read its file again, if it lives."""
        os.kill(self.pids[node], signal.SIGHUP)

    def reap(self, node: str) -> int:
        return int(self._say({"wait": self.pids.pop(node)})["status"])

    def log(self, node: str) -> str:
        file = self.folder / f"log-{node}"
        return file.read_text(errors="replace")[-2000:] if file.exists() else ""

    def steps(self, node: str) -> set[str]:
        """Return the named steps that a node has passed."""
        return set((self.folder / f"steps-{node}").read_text().splitlines())

    def last_step(self, node: str) -> str:
        """Return the step at which a node died last."""
        return (self.folder / f"died-{node}").read_text().splitlines()[-1]

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

    def fail_store(self, node: str) -> Path:
        """Have a node's store fail at its next commit; the file that is returned is there until then."""
        order = self.folder / f"{FAILS_ONCE}{node}"
        order.touch()
        return order

    def copy_store(self, node: str) -> Path:
        """Return a folder with a copy of the store of a node that does not live."""
        copy = self.folder / f"copy-{node}"
        shutil.rmtree(copy, ignore_errors=True)
        copy.mkdir()
        for file in self.folder.glob(f"{node}.sqlite*"):
            shutil.copy(file, copy / file.name)
        return copy

    def restore_store(self, node: str) -> None:
        """Put the copy back of the store of a node that does not live."""
        for file in self.folder.glob(f"{node}.sqlite*"):
            file.unlink()
        for file in (self.folder / f"copy-{node}").iterdir():
            shutil.copy(file, self.folder / file.name)

    def new_confirm_key(self, node: str) -> bytes:
        """Give a node another end-to-end key, from its next start on, and return the one before."""
        before = (self.folder / f"ends-{node}.key").read_bytes()
        self.set_confirm_key(node, os.urandom(len(before)))
        return before

    def set_confirm_key(self, node: str, key: bytes) -> None:
        """Give a node this end-to-end key, from its next start on."""
        (self.folder / f"ends-{node}.key").write_bytes(key)

    def set_odd_blocks(self, every: int | None) -> None:
        """Have one block of so many be of each odd kind, from the next one on; None: few are."""
        file = self.folder / ODD
        file.unlink(missing_ok=True)
        if every is not None:
            file.with_suffix(".new").write_text(str(every))
            file.with_suffix(".new").rename(file)

    def set_batch_age(self, node: str, batch_age_s: float = KEPT_S) -> None:
        """Have a node keep keys in stock for so long, from its next start on."""
        self._write_files(node, batch_age_s)

    def control(self, node: str) -> ControlClient:
        """Return a client of a node's control socket."""
        return ControlClient(self.folder / f"{node}.sock", timeout=3.0)

    # --- applications -------------------------------------------------------------------------------------------------

    def client(self, node: str) -> KeyClient:
        files = files_of(self.folder / "pki", f"sae-{self._saes[node]}")
        return KeyClient(f"https://127.0.0.1:{self._ports[node][1]}", files, timeout_s=6.0)

    def ask_and_leave(self, node: str) -> None:
        """Ask a node for a key, as its application, and leave before it can answer: the other end does nothing."""
        other = self.ends[node == self.ends[0]]
        self.freeze(other, on=True)
        host, port = "127.0.0.1", self._ports[node][1]
        files = files_of(self.folder / "pki", f"sae-{self._saes[node]}")
        context = ssl.create_default_context(cafile=files.authority)
        context.check_hostname = False
        context.load_cert_chain(files.certificate, files.key)
        slave = self._saes[other]
        with suppress(OSError), socket.create_connection((host, port), timeout=3.0) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            with context.wrap_socket(connection) as secured:
                secured.sendall(f"GET /api/v1/keys/{slave}/enc_keys HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
                time.sleep(LEAVES_S)
        self.freeze(other, on=False)

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
            if not in_time(begun, within_s):
                logs = {node: self.log(node) for node in self.nodes}
                raise AssertionError(f"no key within {within_s} s; refused: {self.deliveries.refused}; {logs}")
            time.sleep(0.02)
        return time.monotonic() - begun

    def fill_stock(self, within_s: float = 60.0) -> None:
        """Have applications ask for nothing, and wait until keys are ready at both ends."""
        self.resting.set()
        begun = time.monotonic()
        while not all(any(pair.ready for pair in self.control(end).status().pairs) for end in self.ends):
            assert in_time(begun, within_s), [self.log(node) for node in self.nodes]
            time.sleep(0.2)

    def _apply(self, master: str, slave: str, draws: random.Random) -> None:
        first, second, book = self.client(master), self.client(slave), self.deliveries
        with first, second:
            while not self._ending.is_set():
                if self.resting.is_set():
                    time.sleep(0.01)
                    continue
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

    def check_accounts(self, *, restored: bool) -> None:
        """Fail if keys and bits of nodes that have ended do not add up, or keys in stock differ between both ends.

        Args:
            restored: Whether a store was put back, whose node then counts less than the other end.
        """
        snapshots: dict[str, Snapshot] = {}
        pairs: dict[str, PairStatus] = {}
        for node in self.nodes:
            file = NodeFile.read(self.folder / f"{node}.toml")
            with wrapping_key_from_file(self.folder / f"{node}.key") as key:
                store = SqliteStore.open(file.store, key)
            snapshots[node] = store.snapshot()
            core = NodeCore(file.core_settings(), store.snapshot(), bytes(16))
            store.close()
            core.handle(Started(), snapshots[node].age_s)  # gives up what the last life had in memory alone
            status = core.status()
            for link in status.links.values():
                assert link.adds_up, (node, link)
                assert link.drawn, (node, link)
            for pair in status.pairs.values():
                assert pair.adds_up, (node, pair)
            if node in self.ends:
                pairs[node] = status.pairs[self.ends[node == self.ends[0]]]
        for owner, peer in (self.ends, self.ends[::-1]):
            mine, theirs = pairs[owner].counters, pairs[peer].counters
            assert restored or mine["born"] >= theirs["held"] > 0, (mine, theirs)
            assert restored or mine["taken"] >= theirs["supplied"] > 0, (mine, theirs)
            held = {batch.relay: keys for batch, keys in snapshots[peer].batches if not batch.started_here}
            ready = [(batch, keys) for batch, keys in snapshots[owner].batches if batch.started_here and batch.ready]
            both = [(batch, keys) for batch, keys in ready if batch.relay in held and batch.taken < batch.count]
            assert both, (owner, len(ready), len(held))
            for batch, keys in both:
                assert in_stock(keys, batch.taken) == in_stock(held[batch.relay], batch.taken), batch

    # --- files --------------------------------------------------------------------------------------------------------

    def _write_topology(self) -> None:
        url = "https://127.0.0.1"
        lines = ['[topology]\nnetwork = "line"\nserial = 1\nvalid_from = 2026-01-01T00:00:00Z']
        lines += [f'[nodes.{node}]\nurl = "{url}:{self._ports[node][0]}"' for node in self.nodes]
        lines += [f'[links.{one}-{two}]\nends = ["{one}", "{two}"]' for one, two in itertools.pairwise(self.nodes)]
        lines.append(f'[[pairs]]\nends = ["{self.ends[0]}", "{self.ends[1]}"]\nstock = {self._stock}\n[applications]')
        lines += [f'{sae} = {{ node = "{node}" }}' for node, sae in self._saes.items()]
        (self.folder / "line.toml").write_text("\n".join(lines) + "\n")
        private, _ = new_signing_key(self.folder / "signing")
        sign(self.folder / "line.toml", private, self.folder / "line.signed.toml")
        key = os.urandom(32)
        for end in self.ends:
            with open(self.folder / f"ends-{end}.key", "xb", opener=partial(os.open, mode=0o600)) as file:
                file.write(key)

    def _write_files(self, node: str, batch_age_s: float = KEPT_S) -> None:
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
            f"[keys]\n{self._keys}batch_age_s = {batch_age_s}\n"
        )
        if len(self.nodes) > len(NODES):
            text += '[topology]\nfile = "line.signed.toml"\npublic_key = "signing/topology.pub"\n'
            if node in self.ends:
                other = self.ends[node == self.ends[0]]
                text += f'[neighbours.{other}]\nbatch = {BATCH}\nconfirm_key_file = "ends-{node}.key"\n'
        else:
            other = NODES[node == NODES[0]]
            text += f'[neighbours.{other}]\nurl = "https://127.0.0.1:{self._ports[other][0]}"\n'
            text += f"stock = {self._stock}\nbatch = {BATCH}\n[applications]\n"
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


def in_stock(keys: KeyMaterial, taken: int) -> list[bytes]:
    """Return the keys of a batch, those after the first ones that left the stock."""
    with keys.reveal() as view:
        return [bytes(view[at : at + CELL]) for at in range(CELL * taken, len(view), CELL)]
