"""The tutorial and the README's quick start, taken at their word: files are written, commands run, output compared.

Units make shorter blocks here; the thorough form of the quick start has those that a user has.
"""

from __future__ import annotations

import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tokaido_testing import bytecode
from tokaido_testing.ports import free_port

ROOT = Path(__file__).parents[2]
TUTORIAL = ROOT / "docs" / "tutorials" / "first-key.md"
BLOCK = re.compile(r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL)
SHORT_BLOCKS = """
import runpy, sys
from tokaido.emulators import Bench
from tokaido.emulators.toshiba.demonstration import DEMONSTRATION
plain = Bench.set_up
def set_up(bench, transmitter, receiver, *_, **__):
    plain(bench, transmitter, receiver, DEMONSTRATION.parameters(14.5), block_bits=1_000_000)
Bench.set_up = set_up
"""
PROGRAM = "sys.argv = sys.argv[1:]; sys.path[0] = '.'; runpy.run_path(sys.argv[0], run_name='__main__')"
CONSOLE = "import sys; from tokaido.console import main; sys.exit(main())"
PLACES: tuple[str, ...] = "/tmp/first-key", ":5560?", ":5561?"
"""Where the tutorial's station file has its devices; each run of the test has places of its own."""


def blocks(page: Path) -> list[tuple[str, str, str]]:
    """Language, file name and text of every code block of a page, in order."""
    return [(match[1], match[2] or "", match[3]) for match in BLOCK.finditer(page.read_text(encoding="utf-8"))]


def argv(command: str) -> list[str]:
    """The command as this environment runs it; every warning of a program is an error."""
    words = shlex.split(command)
    code = SHORT_BLOCKS + PROGRAM if words[0] == "python" else CONSOLE
    if words[:2] == ["tokaido", "emulate"]:
        code = SHORT_BLOCKS + CONSOLE
    return [sys.executable, "-W", "error", "-c", code, *words[1:]]


@contextmanager
def served(command: str, folder: Path) -> Iterator[None]:
    """Keep `tokaido emulate` running as in a terminal of its own."""
    with subprocess.Popen(
        argv(command), cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        said: list[str] = []
        while not (line := process.stdout.readline()).startswith("Ctrl-C"):
            said.append(line)
            assert line, "".join(said)
        try:
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=20)


def matches(shown: str, printed: str) -> bool:
    """Whether the output is what the page shows, where `...` stands for the rest or a part of a line."""
    pattern = ".*".join(re.escape(part) for part in shown.split("..."))
    return re.fullmatch(pattern, printed) is not None


@pytest.mark.timeout(240)
def test_the_tutorial_does_what_it_shows(tmp_path: Path) -> None:
    places = dict(zip(PLACES, (str(tmp_path / "dev"), *(f":{free_port()}?" for _ in range(2))), strict=True))
    ran: list[str] = []
    with ExitStack() as running:
        for language, name, text in blocks(TUTORIAL):
            if name:
                content = re.sub("|".join(map(re.escape, places)), lambda place: places[place[0]], text)
                (tmp_path / name).write_text(content, encoding="utf-8")
                continue
            if language == "sh":  # the installation; the tests run in an environment that has it
                continue
            assert language == "console", f"the tutorial has a block in {language} that is neither a file nor a command"
            command, _, shown = text.partition("\n")
            command = command.removeprefix("$ ")
            ran.append(command)
            if command.startswith("tokaido emulate"):
                # One seed: the QBER of blocks this short scatters about 5.5 %, and is 6 % and more now and then.
                running.enter_context(served(f"{command} --seed 1", tmp_path))
                continue
            done = subprocess.run(
                argv(command),
                cwd=tmp_path,
                env=bytecode.environment(),
                capture_output=True,
                text=True,
                timeout=100,
                check=False,
            )
            assert done.returncode == 0, done.stderr
            assert matches(shown, done.stdout), f"{command} printed\n{done.stdout}"
    assert " ".join(command.split()[1] for command in ran) == "first_key.py watch.py emulate identify on_station.py"


@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    ("first", "least_bits"),
    [(SHORT_BLOCKS, 10_000), pytest.param("", 100_000, marks=pytest.mark.thorough)],
    ids=["short blocks", "as it is"],
)
def test_the_quick_start_of_the_readme_reaches_one_key_at_both_ends(
    first: str, least_bits: int, tmp_path: Path
) -> None:
    (program,) = (text for language, _, text in blocks(ROOT / "README.md") if language == "python")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", first + program],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    transmitter, receiver = (line.split() for line in done.stdout.splitlines())
    assert (transmitter[0], receiver[0]) == ("TKTX0001", "TKRX0001")
    assert transmitter[1:] == receiver[1:]
    assert int(transmitter[1]) > least_bits
    assert re.fullmatch("[0-9a-f]{64}", transmitter[2])
