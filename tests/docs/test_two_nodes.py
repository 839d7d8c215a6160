"""The tutorial of two nodes, typed in an empty folder: certificates, nodes as processes, a key at both ends."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

import pytest

from tokaido_testing.patience import patient
from tokaido_testing.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE: Final = Path(__file__).parents[2] / "docs" / "tutorials" / "two-nodes.md"
BLOCK: Final = re.compile(r"^```\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PORT: Final = re.compile(r"(?<=127\.0\.0\.1:)\d+")
ENVIRONMENT: Final = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}


def typed(command: str, folder: Path) -> str:
    """Type a command and return what it prints."""
    done = subprocess.run(
        ["bash", "-c", command], cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, check=False
    )
    assert done.returncode in (0, 1, 2), (command, done.stdout, done.stderr)
    assert "error" not in done.stderr, (command, done.stderr)
    return done.stdout


@contextmanager
def terminal(command: str, folder: Path, ready: str) -> Iterator[IO[bytes]]:
    """Type a command that goes on, in a terminal of its own, wait until it says that it is ready, and end it."""
    log = folder / f"{len(list(folder.glob('*.log')))}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["bash", "-c", f"exec {command}"],
            cwd=folder,
            env=ENVIRONMENT,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        waited(lambda: ready in log.read_text(), 30.0, log.read_text)
        assert process.stdin is not None
        yield process.stdin
    finally:
        process.send_signal(signal.SIGTERM)
        code = process.wait(20)
        if process.stdin is not None:
            process.stdin.close()
    assert code == 0, log.read_text()


def waited(holds: object, seconds: float, say: object) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + patient(seconds)
    while not holds():  # type: ignore[operator]
        assert time.monotonic() < deadline, say()  # type: ignore[operator]
        time.sleep(0.1)


@pytest.fixture
def page(tmp_path: Path) -> list[str]:
    """The blocks of the page, to be typed at other ports than the page's; its files are in the folder `node`."""
    ports: dict[str, str] = {}

    def elsewhere(text: str) -> str:
        return PORT.sub(lambda found: ports.setdefault(found[0], str(free_port())), text)

    blocks = [elsewhere(block) for block in BLOCK.findall(PAGE.read_text(encoding="utf-8"))]
    typed(blocks[0].replace("cd node\n", ""), tmp_path)
    for file in (tmp_path / "node").glob("*.toml"):
        file.write_text(elsewhere(file.read_text()).replace("/tmp/tokaido-nodes", str(tmp_path)))
    return blocks


@pytest.mark.thorough
@pytest.mark.timeout(240)
def test_the_tutorial_gives_both_applications_the_same_key(tmp_path: Path, page: list[str]) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    folder = tmp_path / "node"
    _, pki, keys, emulate, first, second, status, ask, fetch = page
    typed(pki, folder)
    typed(keys, folder)
    with ExitStack() as terminals:
        span = terminals.enter_context(terminal(emulate.strip(), folder, "Orders are taken here"))
        for node in (first, second):
            terminals.enter_context(terminal(node.strip(), folder, "runs: neighbours at port"))
        waited(lambda: "Keys are served" in typed(status, folder), 90.0, lambda: typed(status, folder))
        asked = json.loads(typed(ask, folder))
        (given,) = asked["keys"]
        taken = json.loads(typed(fetch.replace("KEY_ID", given["key_ID"]), folder))
        assert taken == asked
        assert asked["key_container_extension"] == {"tokaido_emulated": True}
        assert "not found on KME" in typed(fetch.replace("KEY_ID", given["key_ID"]), folder)

        span.write(b"cut field\n")
        span.flush()
        other = status.replace("otemachi", "koganei")
        waited(lambda: "LOS" in typed(other, folder), 60.0, lambda: typed(other, folder))
        assert json.loads(typed(ask, folder))["keys"]
        span.write(b"mend field\n")
        span.flush()
        waited(lambda: "LOS" not in typed(other, folder), 90.0, lambda: typed(other, folder))
