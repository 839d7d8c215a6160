"""The tutorial of drills, typed on the line that it starts; in `make chaos`."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from tokaido.console._line.back_door import BackDoor
from tokaido_testing.patience import patient

if TYPE_CHECKING:
    from collections.abc import Iterator

LONG: Final = os.environ.get("TOKAIDO_CHAOS") == "long"
PAGE: Final = (Path(__file__).parents[3] / "docs" / "tutorials" / "a-drill.md").read_text(encoding="utf-8")
COMMANDS: Final = re.findall(r"^\$ (?:watch -n 2 )?(tokaido (?!demo).+)$", PAGE, re.MULTILINE)
ENVIRONMENT: Final = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}


class Line:
    """The line of the page's first terminal."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            ["bash", "-c", "exec " + re.findall(r"^\$ (tokaido demo --hold .+)$", PAGE, re.MULTILINE)[0]],
            env=ENVIRONMENT,
            stdout=subprocess.PIPE,
            text=True,
        )
        said: list[str] = []
        assert self.process.stdout is not None
        for text in self.process.stdout:
            said.append(text)
            if "The web page: http://127.0.0.1:" in text:
                break
        told = "".join(said)
        assert re.search(r"Both applications hold the same 4 keys\.", told), told
        (folder,) = re.findall(r"^The files are in (.+); they go when this ends\.$", told, re.MULTILINE)
        self.folder = Path(folder)

    def type(self, command: str) -> tuple[int, str]:
        """Type a command of the page in its second terminal."""
        done = subprocess.run(
            ["bash", "-c", command],
            env={**ENVIRONMENT, "LINE": str(self.folder)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    def until(self, command: str, *words: str, seconds: float = 90.0) -> str:
        """Type a command until it says all words."""
        end_s = time.monotonic() + patient(seconds)
        while not all(word in (told := self.type(command)[1]) for word in words):
            assert time.monotonic() < end_s, told
            time.sleep(0.5)
        return told

    def pid(self, what: str) -> int:
        """Return the process that Linux calls so among those of this line."""
        for comm in Path("/proc").glob("[0-9]*/comm"):
            with suppress(OSError):
                if comm.read_text() == f"{what}\n" and str(self.folder) in _open_files(comm.parent):
                    return int(comm.parent.name)
        raise AssertionError(what)


def _open_files(process: Path) -> str:
    found = []
    for one in (process / "fd").iterdir():
        with suppress(OSError):
            found.append(str(one.readlink()))
    return " ".join(found)


@pytest.fixture
def line() -> Iterator[Line]:
    made = Line()
    yield made
    made.process.send_signal(signal.SIGINT)
    made.process.communicate(timeout=patient(60))
    assert not made.folder.exists()


@pytest.mark.skipif(not LONG, reason="27 processes for some minutes: `make chaos` runs it")
@pytest.mark.timeout(900)
def test_what_the_page_types_does_what_it_says(line: Line) -> None:
    tokyo, osaka, acknowledge, resume, one, other, maibara, nagoya, gone, again = COMMANDS
    assert "confirmed end to end" in line.until(tokyo, "node tokyo: Keys are served", "kobe")

    door = BackDoor(line.folder / "span-maibara-osaka.sock")
    door.order("attack", "maibara-osaka", "intercept_resend", "fraction=1.0")
    told = line.until(osaka, "SECURITY_HOLD", "_ABORT")
    code = "QBER_ABORT" if "QBER_ABORT" in told else "PHASE_ERROR_ABORT"
    door.order("mend", "maibara-osaka")
    for at in (acknowledge, acknowledge.replace("maibara-station.toml#alice-osaka", "osaka-station.toml#bob-maibara")):
        assert line.type(at)[0] == 0
    for at in (resume, resume.replace("/maibara.toml", "/osaka.toml")):
        assert line.type(at)[0] == 0, at
    for at in (one.replace("QBER_ABORT", code), other):
        assert line.type(at)[0] == 0, at

    assert "node maibara: " in line.type(maibara)[1]
    os.kill(line.pid("node maibara"), signal.SIGKILL)
    line.until(nagoya, "NEIGHBOUR_SILENT", "maibara: nothing was heard for")
    assert gone == maibara
    code_, told = line.type(gone)
    assert code_ == 3
    assert "error: no node answers at " in told
    assert again == tokyo
