"""The programs of examples/applications, run as a user does, at two key managers behind real TLS."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tokaido_testing.key_managers import KeyManagers
from tokaido_testing.patience import patient
from tokaido_testing.prepared import PreparedPython

PYTHON = sys.executable, "-W", "error"
PROGRAMS = Path(__file__).parents[3] / "examples" / "applications"


@dataclass
class Ended:
    """How a program ended."""

    code: int
    out: bytes
    told: str


@dataclass
class Applications:
    """The bank at Otemachi sends, the shop at Koganei receives."""

    managers: KeyManagers
    folder: Path
    python: PreparedPython

    def command(self, program: str, command: str, *more: str) -> list[str]:
        """Return the program and the arguments of one end."""
        other, name, port = (
            ("shop", "bank", self.managers.port) if command == "send" else ("bank", "shop", self.managers.other_port)
        )
        head = [str(PROGRAMS / f"{program}.py"), command, other, *more]
        return [*head, "--kme", f"https://127.0.0.1:{port}", "--pki", str(self.managers.folder), "--as", name]

    def popen(self, *command: str) -> subprocess.Popen[bytes]:
        """Start one end, with pipes."""
        environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
        pipe = subprocess.PIPE
        return subprocess.Popen(
            [*PYTHON, *self.command(*command)], cwd=self.folder, env=environment, stdin=pipe, stdout=pipe, stderr=pipe
        )

    def run(self, program: str, command: str, *more: str, given: bytes = b"") -> Ended:
        """Run one end until it ends; no key is in what it prints."""
        file, *arguments = self.command(program, command, *more)
        code, out, told = self.python.run(Path(file), *arguments, folder=self.folder, given=given)
        for supply in self.managers.network.supplies.values():
            for shown in (out, told):
                assert supply.data not in shown
                assert supply.data.hex().encode() not in shown
        return Ended(code, out, told.decode())

    def shell(self, command: str) -> str:
        """Run a command as a page has it, of `bank` and `hospital` of two nodes; return what it prints."""
        for shown, here in (
            ("python applications", f"{sys.executable} {PROGRAMS}"),
            ("https://127.0.0.1:18443", f"https://127.0.0.1:{self.managers.port} --pki {self.managers.folder}"),
            ("https://127.0.0.1:18444", f"https://127.0.0.1:{self.managers.other_port} --pki {self.managers.folder}"),
            ("--as hospital", "--as shop"),
            ("send hospital", "send shop"),
        ):
            command = command.replace(shown, here)
        environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
        return subprocess.run(
            ["/bin/bash", "-c", command],
            cwd=self.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=patient(30),
            check=False,
        ).stdout

    def sent(self, program: str, *more: str, given: bytes = b"") -> bytes:
        """Return what goes over the line."""
        ended = self.run(program, "send", *more, given=given)
        assert ended.code == 0, ended.told
        return ended.out

    def received(self, program: str, line: bytes, *more: str) -> bytes:
        """Return what the receiver takes of it."""
        ended = self.run(program, "receive", *more, given=line)
        assert ended.code == 0, ended.told
        return ended.out

    def refused(self, program: str, line: bytes, *more: str) -> Ended:
        """Run a receiver that refuses, with one line and no traceback."""
        ended = self.run(program, "receive", *more, given=line)
        assert ended.code == 1, ended
        assert "Traceback" not in ended.told
        return ended

    def undeliver(self) -> None:
        """Let the key managers give again what they gave to a slave, as one that came back from a copy of its store."""
        for supply in self.managers.network.supplies.values():
            supply.delivered.clear()


def frames(line: bytes, header: int, length_of: Callable[[bytes], int]) -> list[bytes]:
    """Cut what went over the line into frames: a header, and as much as it says."""
    found = []
    while line:
        size = header + length_of(line[:header])
        found.append(line[:size])
        line = line[size:]
    return found


def flipped(data: bytes, at: int) -> bytes:
    """Return the data with one bit changed."""
    changed = bytearray(data)
    changed[at] ^= 1
    return bytes(changed)
