"""A transport that somebody else adds, by one file and one entry point: tests/packages/acme_unixsocket."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import tokaido.hal as hal
from tokaido.hal.transports import LineCodec, StreamTransport, open_transport, transport_kind, transport_kinds
from tokaido_testing.unix_peer import UnixPeer

if TYPE_CHECKING:
    from collections.abc import Generator

ROOT = Path(__file__).parents[3]
PACKAGE = ROOT / "tests" / "packages" / "acme_unixsocket"


def install(folder: Path, entry: str | None = None) -> None:
    """Leave in a folder what installing the package would leave, perhaps with another entry point."""
    project = tomllib.loads((PACKAGE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    ((name, target),) = project["entry-points"]["tokaido.transports"].items()
    shutil.copy(PACKAGE / "acme_unixsocket.py", folder)
    metadata = folder / "acme_unixsocket-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-unixsocket\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(f"[tokaido.transports]\n{name} = {entry or target}\n")


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Path]:
    install(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    sys.modules.pop("acme_unixsocket", None)


def test_it_is_one_file_and_one_entry_point() -> None:
    project = tomllib.loads((PACKAGE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["entry-points"] == {"tokaido.transports": {"unixsocket": "acme_unixsocket:KIND"}}
    assert [path.name for path in PACKAGE.glob("*.py")] == ["acme_unixsocket.py"]
    rooms = [path for room in ("hal", "drivers", "emulators", "console") for path in (ROOT / room).rglob("*.py")]
    assert [
        path for path in rooms if "unixsocket" in path.read_text(encoding="utf-8").replace("`unixsocket`", "")
    ] == []


def test_the_page_shows_the_package() -> None:
    page = (ROOT / "docs" / "how-to" / "add-a-transport.md").read_text(encoding="utf-8")
    for name, text in re.findall(r'^```\w+ title="([^"]+)"\n(.*?)^```$', page, re.MULTILINE | re.DOTALL):
        assert text == (PACKAGE / name).read_text(encoding="utf-8")


@pytest.mark.usefixtures("installed")
def test_its_resources_are_checked_as_our_own_are() -> None:
    assert transport_kinds() == ("https", "replay", "serial", "served", "unixsocket", "visa", "zmq")
    resource = hal.Resource.parse("unixsocket:/run/acme/a%3Fb?timeout=2")
    assert (resource.address, resource.options) == ("/run/acme/a?b", {"timeout": "2"})
    assert hal.Resource.parse(str(resource)) == resource
    with pytest.raises(hal.ConfigurationError) as caught:
        hal.Resource.parse("unixsocket:run?baudrate=9600&timeout=soon")
    assert [mistake.partition(":")[0] for mistake in caught.value.mistakes] == ["baudrate", "timeout", "path"]


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("fault", ["drop", "late", "cut", "split", "hang", "disconnect"])
def test_it_keeps_what_every_transport_keeps_under_faults(tmp_path: Path, fault: str) -> None:
    with (
        UnixPeer(tmp_path / "box") as box,
        open_transport(hal.Resource.parse(f"unixsocket:{tmp_path / 'box'}"), LineCodec(), timeout_s=0.3) as transport,
    ):
        assert isinstance(transport, StreamTransport)
        assert transport.query("V1?") == "1 BOX1"
        box.fault(fault)
        answers: list[Any] = []
        for number in (2, 3, 4):
            try:
                answers.append(transport.query(f"V{number}?", 1.0 if number > 2 else 0.2) == f"{number} BOX1")
            except hal.TransportError:
                answers.append(None)
            box.heal()
        assert False not in answers
        assert answers[-1] is True
        assert len(box.questions) == len(set(box.questions))


@pytest.mark.usefixtures("installed")
def test_a_driver_that_takes_serial_lines_takes_it(tmp_path: Path) -> None:
    with UnixPeer(tmp_path / "box") as box, pytest.raises(hal.TokaidoError) as caught:
        hal.OpticalSwitch.open("thorlabs.osw", control=f"unixsocket:{tmp_path / 'box'}", timeout=0.5)
    assert box.questions == ["I?"]
    assert "unixsocket:" in str(caught.value)
    with pytest.raises(hal.ConfigurationError, match=r"takes zmq here, not unixsocket"):
        hal.Transmitter.open("toshiba.transmitter", control="unixsocket:/run/a", keys="unixsocket:/run/b")


def test_an_unknown_kind_lists_those_that_are_installed() -> None:
    with pytest.raises(
        hal.ConfigurationError, match="Begin it with one of https:, replay:, serial:, served:, visa:, zmq:"
    ):
        hal.Resource.parse("unixsocket:/run/acme/switch")
    with pytest.raises(hal.ConfigurationError, match="serial:, served:, visa:, zmq:"):
        hal.OpticalSwitch.open("thorlabs.osw", control="unixsocket:/run/acme/switch")


@pytest.mark.parametrize(
    ("entry", "error"), [("nowhere:KIND", "cannot be imported"), ("acme_unixsocket:check", "not a TransportKind")]
)
def test_a_kind_that_cannot_be_used_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, entry: str, error: str
) -> None:
    install(tmp_path, entry)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(hal.ConfigurationError, match=error):
        transport_kind("unixsocket")
    with pytest.raises(hal.ConfigurationError, match=error):
        hal.Resource.parse("unixsocket:/run/acme/switch")
    sys.modules.pop("acme_unixsocket", None)


def test_our_own_kinds_need_no_search_for_entry_points() -> None:
    code = (
        "import sys; from tokaido.hal import Resource; Resource.parse('serial:/dev/ttyUSB0?baudrate=9600');"
        "Resource.parse('zmq:inproc://a'); Resource.parse('visa:TCPIP::192.0.2.7::5025::SOCKET');"
        "sys.exit(bool({'importlib.metadata', 'pyvisa', 'zmq', 'serial'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
