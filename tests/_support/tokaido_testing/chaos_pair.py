"""A pair of nodes that can be killed at any named step, applications that use them, and an observer of all of it."""

from __future__ import annotations

import itertools
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from tokaido.hal import TokaidoError
from tokaido.node.client import KeyClient
from tokaido.node.pki import files_of, issue
from tokaido.node.store import new_wrapping_key
from tokaido_testing.ports import free_port

if TYPE_CHECKING:
    from types import TracebackType

NODES: Final = ("otemachi", "koganei")
SAES: Final = {"otemachi": "bank", "koganei": "hospital"}


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


class ChaosPair:
    """Two nodes, whose life is in the hands of a test; `more` is added to their files, with the name for {node}."""

    def __init__(self, folder: Path, more: str = "") -> None:
        self._more = more
        self.folder = folder
        self.deliveries = Deliveries()
        self.pids: dict[str, int] = {}
        self._zygote: subprocess.Popen[str] | None = None
        self._ports = {node: (free_port(), free_port()) for node in NODES}
        self._apps: list[threading.Thread] = []
        self._ending = threading.Event()

    def __enter__(self) -> Self:
        issue(self.folder / "pki", nodes=dict.fromkeys(NODES, ()), saes=list(SAES.values()))
        for node, other in (NODES, NODES[::-1]):
            new_wrapping_key(self.folder / f"{node}.key")
            self._write_files(node, other)
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

    def steps(self) -> list[str]:
        return sorted(set((self.folder / "steps").read_text().splitlines()))

    # --- applications -------------------------------------------------------------------------------------------------

    def client(self, node: str) -> KeyClient:
        files = files_of(self.folder / "pki", f"sae-{SAES[node]}")
        return KeyClient(f"https://127.0.0.1:{self._ports[node][1]}", files, timeout_s=6.0)

    def start_applications(self, seed: int) -> None:
        """Let the applications of both ends share keys, as fast as they get them, until the pair is left."""
        for number, (master, slave) in enumerate((NODES, NODES[::-1])):
            draws = random.Random(seed + number)
            thread = threading.Thread(target=self._apply, args=(master, slave, draws), daemon=True)
            self._apps.append(thread)
            thread.start()

    def wait_for_shared(self, more: int, within_s: float) -> float:
        """Return how long it took until so many more keys were at both ends."""
        begun, goal = time.monotonic(), self.deliveries.shared + more
        while self.deliveries.shared < goal:
            if time.monotonic() - begun > within_s:
                logs = {node: self.log(node) for node in NODES}
                raise AssertionError(f"no key within {within_s} s; refused: {self.deliveries.refused}; {logs}")
            time.sleep(0.02)
        return time.monotonic() - begun

    def _apply(self, master: str, slave: str, draws: random.Random) -> None:
        first, second, book = self.client(master), self.client(slave), self.deliveries
        with first, second:
            while not self._ending.is_set():
                try:
                    keys = first.enc_keys(
                        SAES[slave], number=draws.choice((1, 1, 3)), size=draws.choice((256, 256, 128, 1024))
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
                        taken = second.dec_keys(SAES[master], ids)
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
        for node in NODES:
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

    # --- files --------------------------------------------------------------------------------------------------------

    def _write_files(self, node: str, other: str) -> None:
        role = "transmitter" if node == NODES[0] else "receiver"
        (self.folder / f"{node}-station.toml").write_text(
            f'[station]\nname = "{node}"\n[devices.unit]\ndriver = "toshiba.{role}"\n'
            f'control = "serial:/nowhere"\n[links.span]\nunit = "unit"\nneighbour = "{other}"\n'
        )
        (self.folder / f"{node}.toml").write_text(
            f'[node]\nname = "{node}"\nstation = "{node}-station.toml"\n'
            f'[store]\npath = "{node}.sqlite"\nkey_file = "{node}.key"\n'
            f'[tls]\ncertificate = "pki/node-{node}.pem"\nkey = "pki/node-{node}.key"\nauthority = "pki/ca.pem"\n'
            f'revoked = "pki/crl.pem"\n'
            f'[listen]\nneighbours = "127.0.0.1:{self._ports[node][0]}"\n'
            f'applications = "127.0.0.1:{self._ports[node][1]}"\ncontrol = "{node}.sock"\n'
            f'[neighbours.{other}]\nurl = "https://127.0.0.1:{self._ports[other][0]}"\nstock = 192\nbatch = 16\n'
            f"[keys]\nlease = 2048\nsupply_age_s = 3.0\n"
            f"[applications]\n"
            + "".join(f'{SAES[name]} = {{ node = "{name}" }}\n' for name in NODES)
            + self._more.format(node=node)
        )

    def _say(self, order: dict[str, Any]) -> dict[str, Any]:
        zygote = self._zygote
        assert zygote is not None
        assert zygote.stdin is not None
        assert zygote.stdout is not None
        zygote.stdin.write(json.dumps(order) + "\n")
        zygote.stdin.flush()
        answer: dict[str, Any] = json.loads(zygote.stdout.readline())
        return answer
