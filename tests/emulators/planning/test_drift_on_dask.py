"""Days of drift on a real scheduler of Dask: the same to the bit, with workers that die meanwhile, too."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tokaido.emulators.certificates import CertificateAuthority
from tokaido.emulators.planning import Demand, LineDrift, dask_workers, plan_line, sweep_drift
from tokaido.hal import ConfigurationError, TokaidoError
from tokaido_testing.dask_processes import DaskProcesses
from tokaido_testing.extras import needs
from tokaido_testing.lines import line_of
from tokaido_testing.patience import patient
from tokaido_testing.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tokaido.emulators.planning._sweep import Chunk, SpanResult

pytestmark = [
    needs("distributed", "Dask's distributed (the extra cluster) is not installed"),
    pytest.mark.timeout(240),
]
PLAN = plan_line(line_of({"one": ("a", "b", (10.0,)), "two": ("b", "c", (13.0,))}, (Demand(("a", "c"), 500.0),)))
DAYS = 80  # three chunks
REACH_S = "tokaido.emulators.planning._cluster.REACH_S"
ABSENT = """
import importlib.metadata as m
v = m.version
def missing(p):
    if p == "tokaido":
        raise m.PackageNotFoundError(p)
    return v(p)
m.version = missing"""
OTHER = "import importlib.metadata as m; v = m.version; m.version = lambda p: '0.0.9' if p == 'tokaido' else v(p)"
BROKEN = f"import sys; sys.path.extend({[path for path in sys.path if path.endswith('site-packages')]!r})"
UNLIKE = (
    (OTHER, (), r"tcp://.* has tokaido 0\.0\.9, and here it is"),
    (ABSENT, (), r"tcp://.* has tokaido none"),
    (
        BROKEN,
        ("-S",),
        r"tcp://.* cannot import tokaido: No module named",
    ),  # it says that it is there, and cannot be imported
)
"""What workers do before they begin, and what is said of them."""


@pytest.fixture(scope="module")
def expected() -> LineDrift:
    return sweep_drift(PLAN, DAYS, seed=3)


@pytest.fixture(autouse=True)
def workers_may_take_their_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(REACH_S, patient(30))  # they are just being started


@pytest.mark.thorough
def test_workers_give_what_this_process_gives_even_if_one_is_killed(tmp_path: Path, expected: LineDrift) -> None:
    with DaskProcesses(tmp_path) as dask:
        for _ in range(2):
            dask.start_worker()
        assert sweep_drift(PLAN, DAYS, seed=3, worker=dask_workers(dask.address)) == expected
        through = dask_workers(dask.address)
        killed: list[int] = []

        def killing(chunks: Sequence[Chunk]) -> Iterator[Sequence[SpanResult]]:
            for results in through(chunks):
                if not killed:
                    killed.append(dask.workers[0].pid)
                    os.kill(dask.workers[0].pid, signal.SIGKILL)
                    assert dask.workers[0].wait(10) == -signal.SIGKILL
                yield results

        assert sweep_drift(PLAN, DAYS, seed=3, worker=killing) == expected
        assert killed


def test_over_tls_with_certificates_of_an_authority(tmp_path: Path) -> None:
    authority = CertificateAuthority(tmp_path / "authority")
    client, stranger = authority.issue("client"), CertificateAuthority(tmp_path / "other").issue("stranger")
    with DaskProcesses(tmp_path, authority.issue("server")) as dask:
        assert dask.address.startswith("tls://")
        dask.start_worker()
        files = {"ca": client.authority, "certificate": client.certificate, "key": client.key}
        assert sweep_drift(PLAN, 1, worker=dask_workers(dask.address, **files)) == sweep_drift(PLAN, 1)
        wrong = {**files, "certificate": stranger.certificate, "key": stranger.key}
        with pytest.raises(TokaidoError, match="cannot be reached"):
            sweep_drift(PLAN, 1, worker=dask_workers(dask.address, **wrong))
        with pytest.raises(TokaidoError, match="cannot be reached"):
            sweep_drift(PLAN, 1, worker=dask_workers(dask.address.replace("tls", "tcp")))


@pytest.mark.thorough
def test_workers_without_the_same_tokaido_are_named_and_a_scheduler_without_any_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with DaskProcesses(tmp_path) as dask:
        for before, options, says in UNLIKE:
            worker = dask.start_worker(before, options)
            with pytest.raises(TokaidoError, match=says):
                sweep_drift(PLAN, 1, worker=dask_workers(dask.address))
            os.kill(worker.pid, signal.SIGKILL)
            worker.wait(10)
        monkeypatch.setattr(REACH_S, patient(1))
        with pytest.raises(TokaidoError, match=r"has no workers.*dask worker tcp://"):
            sweep_drift(PLAN, 1, worker=dask_workers(dask.address))


@pytest.mark.thorough
def test_who_is_gone_in_the_middle_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tokaido.emulators.planning._cluster.LOOK_S", 0.5)
    with DaskProcesses(tmp_path) as dask:
        through = dask_workers(dask.address)
        ended: list[subprocess.Popen[bytes]] = []

        def killing(chunks: Sequence[Chunk]) -> Iterator[Sequence[SpanResult]]:
            for results in through(chunks):
                for process in ended:
                    os.kill(process.pid, signal.SIGKILL)
                yield results

        ended[:] = [dask.start_worker()]
        with pytest.raises(TokaidoError, match="has no workers"):
            sweep_drift(PLAN, DAYS, worker=killing)
        dask.start_worker()
        assert dask.scheduler is not None
        ended[:] = [dask.scheduler]
        with pytest.raises(TokaidoError, match="work on the scheduler"):
            sweep_drift(PLAN, DAYS, worker=killing)


def test_nobody_there_and_somebody_who_says_nothing_are_told_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(REACH_S, 1.0)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        for port in (free_port(), silent.getsockname()[1]):
            with pytest.raises(TokaidoError, match=r"cannot be reached within 1 s.*dask scheduler"):
                sweep_drift(PLAN, 1, worker=dask_workers(f"tcp://127.0.0.1:{port}"))


@pytest.mark.parametrize("address", ["127.0.0.1:8786", "udp://a:1", "tcp://a", "tcp://:1", "inproc://x", ""])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(ConfigurationError, match=r"not the address of a scheduler.*tcp://HOST:PORT"):
        dask_workers(address)


def test_files_for_tls_belong_together(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    for address, files in (
        ("tcp://a:1", {"ca": file, "certificate": file, "key": file}),
        ("tls://a:1", {"ca": file}),
    ):
        with pytest.raises(ConfigurationError, match="belong together"):
            dask_workers(address, **files)
    with pytest.raises(ConfigurationError, match="there is no file"):
        dask_workers("tls://a:1", ca=file, certificate=file, key=tmp_path / "none")
