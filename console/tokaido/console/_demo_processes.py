"""Programs of ours that a demonstration starts: each says in JSON when it is ready, and ends with it."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any, Final, Self

import tokaido.hal as hal

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

END_S: Final = 10.0
FOLLOW: Final = "from tokaido.console._following import follow; follow(); "
PROGRAM: Final = "from tokaido.console import main; raise SystemExit(main())"


class Started:
    """One `tokaido` command as a process of its own. Leaving the context ends it, whatever happened; so does our end.

    Args:
        what: What errors call it.
        words: The command and its arguments.
        program: What runs it, in Python; default: Tokaido's own command.
        environment: Variables that it gets beside those of this program.
    """

    def __init__(
        self, what: str, *words: str, program: str = PROGRAM, environment: Mapping[str, str] | None = None
    ) -> None:
        self._program = program
        self._what = what
        self._environment = environment or {}
        self._words = words
        self._process: subprocess.Popen[bytes] | None = None
        self._lines: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._said: list[str] = []
        self._asked = False

    def __enter__(self) -> Self:
        command = [sys.executable, "-c", FOLLOW + self._program, *self._words]
        self._process = subprocess.Popen(  # noqa: S603 - our own command
            command,
            stdin=subprocess.PIPE,  # it ends with us, and the program with it
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            env=os.environ | self._environment,
        )
        for read in (self._read_output, self._read_errors):
            threading.Thread(target=read, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        process = self._process
        if process is None:
            return
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(END_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if process.stdin is not None:
            process.stdin.close()

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
        if process is None or (not ended and process.poll() is None):
            return
        code = process.wait(END_S)
        raise hal.TokaidoError(f"{self._what} ended with {code}: {' '.join(self._said[-5:]) or 'it said nothing'}")

    @property
    def pid(self) -> int:
        """Id of the process.

        Raises:
            TokaidoError: It was not started.
        """
        if self._process is None:
            raise hal.TokaidoError(f"{self._what} was not started")
        return self._process.pid

    def kill(self) -> None:
        """End the program as a failure of its machine would (SIGKILL), and wait until it is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(END_S)

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
        try:
            code = process.wait(max(END_S, deadline.remaining_s))
        except subprocess.TimeoutExpired:
            raise hal.TokaidoError(f"{self._what} does not end") from None
        if code:
            raise hal.TokaidoError(f"{self._what} ended with {code}: {' '.join(self._said[-5:])}")

    def _read_output(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        with self._process.stdout as output:
            for line in output:
                try:
                    found = json.loads(line)
                except ValueError:
                    continue
                if isinstance(found, dict):
                    self._lines.put(found)
        self._lines.put(None)

    def _read_errors(self) -> None:
        assert self._process is not None
        assert self._process.stderr is not None
        with self._process.stderr as errors:
            for line in errors:
                self._said.append(line.decode("utf-8", "replace").strip())
                del self._said[:-50]
