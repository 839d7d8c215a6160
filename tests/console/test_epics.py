"""`tokaido epics`: a station's values as PVs, from a process of its own."""

from __future__ import annotations

import importlib
import importlib.util
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import tokaido.hal as hal
from tokaido.console import main
from tokaido.emulators import launch
from tokaido_testing.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

EXAMPLE = Path(__file__).parents[2] / "examples" / "epics_watch.py"
STATION = """
[station]
name = "lab"
[devices.alice]
driver = "toshiba.transmitter"
timeout = 10
control = "{control}"
"""


@contextmanager
def published(station: Path, port: int, *options: str) -> Iterator[list[str]]:
    code = "import sys; from tokaido.console import main; sys.exit(main())"
    command = [sys.executable, "-c", code, "epics", str(station), "--insecure-pvaccess", "--port", str(port)]
    command += ["--search-port", "0", "--period", "0.1", "--seconds", "50", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ) as run:
        assert run.stdout is not None
        said: list[str] = []
        while not said or "Ctrl-C" not in said[-1]:
            said.append(run.stdout.readline())
            assert said[-1], said
        try:
            yield said
        finally:
            run.send_signal(signal.SIGTERM)
            rest, wrong = run.communicate(timeout=20)
            assert "ended; the devices are as they were" in rest
            assert wrong == ""
            assert run.returncode == 0


def test_a_station_is_published_and_the_example_watches_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    thread: Any = pytest.importorskip("p4p.client.thread", reason="needs the extra `epics`")
    spec = importlib.util.spec_from_file_location("epics_watch", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    example: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    assert len(EXAMPLE.read_text(encoding="utf-8").splitlines()) <= 25
    station, port = tmp_path / "lab.toml", free_port()
    with launch("toshiba.transmitter", warm=True) as unit:
        station.write_text(STATION.format(control=unit.resources["control"]))
        with published(station, port, "--writable", "alice.attenuation") as said:
            assert said[:2] == [
                f"station lab is published as lab:DEVICE:VALUE at 127.0.0.1:{port}\n",
                "writable: alice.attenuation\n",
            ]
            conf = {"EPICS_PVA_NAME_SERVERS": f"127.0.0.1:{port}", "EPICS_PVA_AUTO_ADDR_LIST": "NO"}
            with thread.Context("pva", conf=conf, useenv=False) as client:
                client.put("lab:alice:attenuation", 5.0, timeout=20)
                example.watch(client, "lab:alice:attenuation", times=2, period_s=0.0)
        shown = capsys.readouterr().out.splitlines()
        assert len(shown) == 2
        assert shown[0].startswith("lab:alice:attenuation 5.0 dB, ")
        with hal.Transmitter.open("toshiba.transmitter", timeout=10, **unit.resources) as tx:
            assert tx.attenuation == 5.0  # the port is free again, and the device as it was


def test_it_must_be_asked_for_by_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("p4p", reason="needs the extra `epics`")
    station = tmp_path / "lab.toml"
    station.write_text(STATION.format(control="serial:/dev/null"))
    assert main(["epics", str(station)]) == 2
    told = capsys.readouterr().err
    assert "neither encryption nor proof of who asks" in told
    assert "--insecure-pvaccess" in told
    assert main(["epics", str(station), "--insecure-pvaccess", "--writable", "bob.shutter"]) == 2
    assert "names no device; there are alice" in capsys.readouterr().err


def test_without_p4p_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [name for name in sys.modules if name.startswith("tokaido.lab.epics")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "p4p.nt", None)
    station = tmp_path / "lab.toml"
    station.write_text(STATION.format(control="serial:/dev/null"))
    assert main(["epics", str(station), "--insecure-pvaccess"]) == 2
    assert "pip install 'tokaido[epics]'" in capsys.readouterr().err
