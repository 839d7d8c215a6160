"""The tutorial of the afternoon, typed block by block at a shell, in an empty folder: what it shows is what is seen."""

from __future__ import annotations

import os
import queue
import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

import tokaido.hal as hal
from tokaido_testing import bytecode
from tokaido_testing.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = Path(__file__).parents[2] / "docs" / "tutorials" / "an-afternoon-in-the-laboratory.md"
BLOCK: Final = re.compile(r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL)
PORT: Final = re.compile(r"(?<=127\.0\.0\.1:)(:?)(50\d\d|55\d\d)")
FIRST_TERMINAL: Final = "terminal 1"
WAIT_S: Final = 60.0
DIFFERS: Final = "tokaido settings diff"


class Terminal:
    """A bash in which commands are typed.

    Args:
        folder: Where it begins.
        environment: Its environment.
    """

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self._bash = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            process_group=0,
        )
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._bash.stdout is not None
        for line in self._bash.stdout:
            self._lines.put(line)

    def type(self, text: str) -> None:
        """Type a line."""
        assert self._bash.stdin is not None
        self._bash.stdin.write(f"{text}\n")
        self._bash.stdin.flush()

    def read_to(self, last: str) -> list[str]:
        """Return the lines before the first one that begins with `last`, and that one."""
        lines: list[str] = []
        while not lines or not lines[-1].startswith(last):
            try:
                lines.append(self._lines.get(timeout=WAIT_S))
            except queue.Empty:
                pytest.fail(f"{last!r} did not come, but\n{''.join(lines)}")
        return lines

    def run(self, command: str) -> tuple[str, int]:
        """Type a command and return what it prints, and its exit code."""
        self.type(f"{command}\necho done $?")
        *lines, end = self.read_to("done ")
        return "".join(lines), int(end.split()[1])

    def close(self) -> None:
        """End the shell, and what it runs as Ctrl-C does."""
        assert self._bash.stdin is not None
        assert self._bash.stdout is not None
        subprocess.run(["kill", "-INT", "--", f"-{self._bash.pid}"], check=False)
        self._bash.stdin.close()
        try:
            self._bash.wait(20)
        finally:
            subprocess.run(["kill", "-KILL", "--", f"-{self._bash.pid}"], check=False, stderr=subprocess.DEVNULL)
            self._reader.join(5)
            self._bash.stdout.close()


@pytest.fixture
def terminals(tmp_path: Path) -> Iterator[tuple[Terminal, Terminal]]:
    """Two terminals in one folder, in which `python` and `tokaido` are those of the test."""
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**bytecode.environment(), "PATH": programs, "MPLBACKEND": "agg", "LC_ALL": "C"}
    pair = Terminal(tmp_path, environment), Terminal(tmp_path, environment)
    yield pair
    for terminal in reversed(pair):
        terminal.close()


def matches(shown: str, printed: str) -> bool:
    """Whether the page shows what was printed: `...` is the rest or a part of a line, or, alone, any lines."""
    lines = (
        r"(?:.*\n)*?" if line == "...\n" else ".*".join(map(re.escape, line.split("...")))
        for line in shown.splitlines(keepends=True)
    )
    return re.fullmatch("".join(lines), printed) is not None


def at_ports_of_its_own(station_file: str) -> str:
    """The station file with each port replaced by a free one."""
    ports: dict[str, int] = {}
    return PORT.sub(lambda found: f"{found[1]}{ports.setdefault(found[2], free_port())}", station_file)


def await_rows(log: Path, rows: int) -> None:
    """Wait until a log that is being written has so many rows."""
    deadline = hal.Deadline(hal.SYSTEM_CLOCK, WAIT_S)
    while not log.exists() or log.read_text("utf-8").count("\n") < rows:
        assert not deadline.passed, f"{log} does not grow"
        hal.SYSTEM_CLOCK.wait(0.05)


def pass_time(emulation: Terminal, seconds: float) -> None:
    """Wait until so many s of emulated time have passed, as a person has waited who goes to the other terminal."""

    def now() -> float:
        emulation.type("time")
        return float(emulation.read_to("ok")[-1].split()[1])

    until = now() + seconds
    while now() < until:
        hal.SYSTEM_CLOCK.wait(0.1)


@pytest.mark.timeout(240)
@pytest.mark.thorough
def test_the_afternoon_goes_as_the_page_says(tmp_path: Path, terminals: tuple[Terminal, Terminal]) -> None:
    first, second = terminals
    ran: list[str] = []
    before: tuple[list[str], list[str]] = ([], [])
    for language, title, text in BLOCK.findall(PAGE.read_text(encoding="utf-8")):
        if language in ("toml", "python"):
            (tmp_path / title).write_text(at_ports_of_its_own(text) if language == "toml" else text, encoding="utf-8")
        elif language == "text":
            assert title == FIRST_TERMINAL
            if ran[-1].startswith("tokaido log"):
                await_rows(tmp_path / "bob.csv", 10)
            first.type(text.strip())
            first.read_to("ok")
            pass_time(first, 3.0)
        elif language == "console":
            command, _, shown = text.partition("\n")
            command = command.removeprefix("$ ")
            ran.append(command)
            if title == FIRST_TERMINAL:
                first.type(command)
                first.read_to("Orders are taken here")
                continue
            printed, code = second.run(command)
            shown, printed = "".join((*before[0], shown)), "".join((*before[1], printed))
            before = ([], [])
            if command.endswith("&"):  # what it prints may come behind the next command
                before = ([shown], [printed])
                continue
            assert code == command.startswith(DIFFERS), f"{command} ended with {code}\n{printed}"
            assert matches(shown, printed), f"{command} printed\n{printed}"
        else:
            assert language == "sh", f"a block in {language} is neither a file nor a command"  # the installation
    words = " ".join(command.split()[1] if " " in command else command for command in ran)
    assert words == (
        "emulate identify read sweep.py link log wait draw.py alarms link keys.py settings leave.py settings"
    )
    assert (tmp_path / "afternoon.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "sweep.csv").read_text("utf-8").count("\n") == 8
