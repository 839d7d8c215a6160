"""Programs of ours that a demonstration starts: each says in JSON when it is ready, and ends with it.

They are forked from a process that has imported what they need, by the `forkserver` of `multiprocessing`: all 27 of a
line share that memory, and none of them spends seconds on imports. Keys are drawn by sources that are made for forks:
`os.urandom` keeps nothing in the process, and OpenSSL takes a new seed in a child (RAND(7)).
"""

from __future__ import annotations

import json
import multiprocessing
import os
import queue
import sys
import threading
from contextlib import suppress
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import tokaido.hal as hal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from multiprocessing.context import ForkServerProcess
    from types import TracebackType

END_S: Final = 10.0
RETURNED: Final = {"MALLOC_MMAP_THRESHOLD_": "262144", "MALLOC_TRIM_THRESHOLD_": "1048576"}
"""Lets programs give the memory of a block back once it is distilled; libraries of C other than glibc ignore it."""


def command() -> int:
    """Run Tokaido's own command."""
    from tokaido.console import main  # noqa: PLC0415 - it would be imported in a circle

    return main()


class Started:
    """One `tokaido` command as a process of its own. Leaving the context ends it, whatever happened; so does our end.

    Args:
        what: What errors call it.
        words: The command and its arguments.
        program: What runs it, a function of a module; default: Tokaido's own command.
        environment: Variables that it gets beside those of this program.
    """

    def __init__(
        self,
        what: str,
        *words: str,
        program: Callable[[], int] = command,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._program = program
        self._what = what
        self._environment = dict(environment or {})
        self._words = words
        self._process: ForkServerProcess | None = None
        self._input: Connection | None = None
        self._lines: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._said: list[str] = []
        self._asked = False

    def __enter__(self) -> Self:
        context = multiprocessing.get_context("forkserver")
        begin_to_import()
        (given, self._input), (output, printed), (errors, told) = _pipe(), _pipe(), _pipe()
        self._process = context.Process(
            target=_run,
            args=(self._what, self._program, self._words, self._environment, (given, printed, told)),
            daemon=True,  # it is ended with this program in any case
        )
        self._process.start()
        for theirs in (given, printed, told):
            theirs.close()
        for read, source in ((self._read_output, output), (self._read_errors, errors)):
            threading.Thread(target=read, args=(source,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        process = self._process
        if process is None:
            return
        if process.exitcode is None:
            process.terminate()
            process.join(END_S)
            if process.exitcode is None:
                process.kill()
                process.join()
        if self._input is not None:
            self._input.close()

    def wait_for(self, event: str, deadline: hal.Deadline) -> dict[str, Any]:
        """Return what the program says with this event.

        Raises:
            TokaidoError: It ended before, or did not say it in time.
        """
        while True:
            try:
                line = self._lines.get(timeout=max(0.0, deadline.remaining_s))
            except queue.Empty:
                raise hal.DeviceTimeoutError(
                    f"waited for {self._what} to be ready",
                    elapsed_s=deadline.elapsed_s,
                    remedy="Give it more time with --seconds",
                ) from None
            if line is None:
                self.check(ended=True)
            elif line.get("event") == event:
                return line

    def said(self, event: str) -> list[dict[str, Any]]:
        """Return what the program said with this event since it was asked last; all else that it said is gone."""
        found: list[dict[str, Any]] = []
        while True:
            try:
                line = self._lines.get_nowait()
            except queue.Empty:
                return found
            if line is not None and line.get("event") == event:
                found.append(line)

    def check(self, *, ended: bool = False) -> None:
        """See that the program runs.

        Raises:
            TokaidoError: It ended.
        """
        process = self._process
        if process is None or (not ended and process.exitcode is None):
            return
        process.join(END_S)
        code = process.exitcode
        raise hal.TokaidoError(f"{self._what} ended with {code}: {' '.join(self._said[-5:]) or 'it said nothing'}")

    @property
    def pid(self) -> int:
        """Id of the process.

        Raises:
            TokaidoError: It was not started.
        """
        if self._process is None or self._process.pid is None:
            raise hal.TokaidoError(f"{self._what} was not started")
        return self._process.pid

    def kill(self) -> None:
        """End the program as a failure of its machine would (SIGKILL), and wait until it is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.join(END_S)

    def ask_to_end(self) -> None:
        """Ask the program to end; once: a second signal could meet it when it takes none any more."""
        if self._process is not None and not self._asked:
            self._asked = True
            self._process.terminate()

    def end(self, deadline: hal.Deadline) -> None:
        """Ask the program to end, and wait for it.

        Raises:
            TokaidoError: It did not end in order.
        """
        process = self._process
        assert process is not None
        self.ask_to_end()
        process.join(max(END_S, deadline.remaining_s))
        if process.exitcode is None:
            raise hal.TokaidoError(f"{self._what} does not end")
        if process.exitcode:
            raise hal.TokaidoError(f"{self._what} ended with {process.exitcode}: {' '.join(self._said[-5:])}")

    def _read_output(self, source: Connection) -> None:
        with source, open(source.fileno(), "rb", closefd=False) as output:
            for line in output:
                try:
                    found = json.loads(line)
                except ValueError:
                    continue
                if isinstance(found, dict):
                    self._lines.put(found)
        self._lines.put(None)

    def _read_errors(self, source: Connection) -> None:
        with source, open(source.fileno(), "rb", closefd=False) as errors:
            for line in errors:
                self._said.append(line.decode("utf-8", "replace").strip())
                del self._said[:-50]


def begin_to_import() -> None:
    """Start the process that all are forked from, if there is none yet; it ends with this program."""
    multiprocessing.set_forkserver_preload(["tokaido.console._demo_imports"])
    added = {name: value for name, value in RETURNED.items() if name not in os.environ}
    try:
        os.environ.update(added)  # glibc reads it when a program begins
        forkserver.ensure_running()
    finally:
        for name in added:
            del os.environ[name]


def _pipe() -> tuple[Connection, Connection]:
    """Return the end that reads and the end that writes of a pipe which can be handed to a program."""
    read, write = os.pipe()
    return Connection(read, writable=False), Connection(write, readable=False)


def _run(
    what: str,
    program: Callable[[], int],
    words: Sequence[str],
    environment: Mapping[str, str],
    pipes: tuple[Connection, Connection, Connection],
) -> None:
    """Be the program: in a session of its own, with pipes for a terminal."""
    from tokaido.console._following import follow  # noqa: PLC0415

    os.setsid()
    with suppress(OSError):  # Linux alone has it: `ps -e -o pid,comm` then tells 30 processes of one program apart
        Path("/proc/self/comm").write_text(what.removeprefix("the emulation of "), encoding="utf-8")
    for number, pipe in enumerate(pipes):
        os.dup2(pipe.fileno(), number)
        pipe.close()
    os.environ.update(environment)
    sys.argv = ["tokaido", *words]
    follow()
    raise SystemExit(program())
