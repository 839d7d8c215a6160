"""A real scheduler of Dask and its workers on loopback, each a process that is ended by its number."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Self

from tokaido_testing.patience import patient

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tokaido.emulators.certificates import CertificateFiles

WORKER = "from distributed.cli.dask_worker import main; main()"


class DaskProcesses:
    """A scheduler and as many workers as are started. Use it as a context manager.

    Args:
        folder: Of files and logs.
        tls: Certificate, key and authority of all of them; None: plain TCP.
    """

    def __init__(self, folder: Path, tls: CertificateFiles | None = None) -> None:
        self._folder = folder
        self._tls: tuple[str, ...] = ()
        if tls is not None:
            names = ("--tls-ca-file", tls.authority), ("--tls-cert", tls.certificate), ("--tls-key", tls.key)
            self._tls = tuple(part for name, file in names for part in (name, str(file)))
        self.address = ""
        self.scheduler: subprocess.Popen[bytes] | None = None
        self.workers: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        said = self._folder / "scheduler.json"
        main = "from distributed.cli.dask_scheduler import main; main()"
        place = ("--host", "127.0.0.1", "--port", "0", *(("--protocol", "tls") if self._tls else ()))
        self.scheduler = self._start("scheduler", main, *place, "--no-dashboard", "--scheduler-file", str(said))
        until_s = time.monotonic() + patient(40)
        while not self.address:
            assert self.scheduler.poll() is None, "the scheduler ended"
            assert time.monotonic() < until_s, "no scheduler"
            time.sleep(0.05)
            with suppress(OSError, ValueError, KeyError):
                self.address = str(json.loads(said.read_text(encoding="utf-8"))["address"])
        return self

    def __exit__(self, *_: object) -> None:
        for process in (*self.workers, self.scheduler):
            if process is not None:
                with suppress(ProcessLookupError):
                    os.kill(process.pid, signal.SIGKILL)
                process.wait(10)

    def start_worker(self, before: str = "", options: Sequence[str] = ()) -> subprocess.Popen[bytes]:
        """Start a worker; `before` is what it runs before it begins, `options` are Python's."""
        place = ("--no-nanny", "--nthreads", "1", "--no-dashboard", "--local-directory", str(self._folder))
        number = len(self.workers)
        worker = self._start(
            f"worker-{number}", f"{before}\n{WORKER}", self.address, *place, "--host", "127.0.0.1", options=options
        )
        self.workers.append(worker)
        return worker

    def _start(self, name: str, code: str, *arguments: str, options: Sequence[str] = ()) -> subprocess.Popen[bytes]:
        with (self._folder / f"{name}.log").open("wb") as log:
            return subprocess.Popen(
                [sys.executable, *options, "-c", code, *arguments, *self._tls], stdout=log, stderr=log, cwd=self._folder
            )
