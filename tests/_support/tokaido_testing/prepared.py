"""Programs that are run many times, each in a fork of one process that has imported what they import."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tokaido_testing.patience import patient

if TYPE_CHECKING:
    from types import TracebackType

_FORKING = """
import gc, importlib, json, os, runpy, socket, sys

line = socket.socket(fileno=int(sys.argv[1]))
for name in sys.argv[2:]:
    module = importlib.import_module(name)
    [getattr(module, name) for name in getattr(module, "__all__", ())]  # some are imported when they are asked for
gc.freeze()  # so that no fork copies it to look for garbage
while True:
    asked, streams, _, _ = socket.recv_fds(line, 1 << 16, 3)
    if not asked:
        break
    child = os.fork()
    if child == 0:
        break
    for stream in streams:
        os.close(stream)
    line.send(b"%d" % os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
line.close()
if asked:
    for place, stream in enumerate(streams):
        os.dup2(stream, place)
        os.close(stream)
    folder, *sys.argv = json.loads(asked)
    os.chdir(folder)
    sys.path[0] = os.path.dirname(sys.argv[0])
    runpy.run_path(sys.argv[0], run_name="__main__")
"""


class PreparedPython:
    """A Python in which every warning is an error and some modules are imported already; it forks for each program.

    Args:
        modules: What it imports once: what takes the most time of a program's start.
    """

    def __init__(self, *modules: str) -> None:
        self._line, other = socket.socketpair()
        with other:
            self._process = subprocess.Popen(
                [sys.executable, "-W", "error", "-c", _FORKING, str(other.fileno()), *modules],
                pass_fds=[other.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                start_new_session=True,
            )

    def run(self, program: Path, *arguments: str, folder: Path, given: bytes = b"") -> tuple[int, bytes, bytes]:
        """Run a program in a folder until it ends; return its exit code, its output, and what it told beside."""
        with tempfile.TemporaryFile() as taken, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as told:
            taken.write(given)
            taken.seek(0)
            asked = json.dumps([str(folder), str(program), *arguments]).encode()
            socket.send_fds(self._line, [asked], [stream.fileno() for stream in (taken, out, told)])
            self._line.settimeout(patient(30))
            code = int(self._line.recv(16))
            for stream in (out, told):
                stream.seek(0)
            return code, out.read(), told.read()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._line.close()
        try:
            self._process.wait(patient(5))
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
