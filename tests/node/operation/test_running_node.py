"""A node that runs, as operators and machines see it: control socket, alarms, metrics, systemd, its file read again."""

from __future__ import annotations

import json
import re
import socket
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tokaido.emulators import QkdLink
from tokaido.hal import SYSTEM_CLOCK, RefusedError
from tokaido.node.node_file import control_socket
from tokaido.node.operation import ControlClient
from tokaido.node.store import Records, SqliteStore, new_wrapping_key, wrapping_key_from_file
from tokaido.node.supervision import Source
from tokaido_testing.console_runs import run_console
from tokaido_testing.node_files import HEAD, living, until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tokaido.node.operation import NodeStatus
    from tokaido.node.supervision import Done, Failed, UnitOrder

STATION = """
[station]
name = "otemachi"
[devices.alice]
driver = "toshiba.transmitter"
control = "serial:/nowhere/at/all"
[devices.switch]
driver = "polatis.matrix"
control = "visa:TCPIP::127.0.0.1::1::SOCKET"
[links.field]
unit = "alice"
neighbour = "koganei"
[[alarms.hooks]]
program = ["/bin/sh", "-c", "cat >> {told}"]
"""
NODE = """\
metrics = "unix:metrics.sock"
[neighbours.koganei]
url = "https://127.0.0.1:1"
[applications]
bank = { node = "otemachi" }
"""


@pytest.fixture
def folder(tmp_path: Path, certificates: Path) -> Path:
    (tmp_path / "station.toml").write_text(STATION.format(told=tmp_path / "told"), encoding="utf-8")
    (tmp_path / "node.toml").write_text(HEAD.format(name="otemachi", pki=certificates) + NODE, encoding="utf-8")
    new_wrapping_key(tmp_path / "store.key")
    return tmp_path


def run(folder: Path, work: Callable[[ControlClient], None], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Run the node while `work` asks it, end it, and return what systemd was told."""
    told: list[str] = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as door:
        door.bind(str(folder / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(folder / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "150000")  # it looks around three times as often
        monkeypatch.delenv("WATCHDOG_PID", raising=False)
        systemd = threading.Thread(target=lambda: told.extend(_heard(door)))
        systemd.start()

        try:
            living(folder, lambda _: work(ControlClient(control_socket(folder / "node.toml"))))
        finally:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
                end.sendto(b"", str(folder / "notify"))
            systemd.join(20)
            (folder / "notify").unlink()
    return told


def _heard(door: socket.socket) -> Iterator[str]:
    while data := door.recv(4096):
        yield data.decode()


def alarms(status: NodeStatus) -> set[tuple[str, str]]:
    return {(alarm.code, alarm.of) for alarm in status.alarms}


SILENT = {("NOT_ANSWERING", "field"), ("NOT_ANSWERING", "switch")}


def test_what_people_and_machines_see_of_a_node(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def work(client: ControlClient) -> None:
        status = until(client, lambda status: alarms(status) >= SILENT)
        assert (status.node, status.level, status.store.open) == ("otemachi", "not serving", True)
        assert [link.phase for link in status.links] == ["silent"]
        assert [device.name for device in status.devices] == ["switch"]
        assert re.match(r"NO KEYS ARE SERVED: (NOT_ANSWERING|NEIGHBOUR_SILENT) of", status.headline)
        assert any("power and cable" in alarm.to_do for alarm in status.alarms)

        client.acknowledge("NOT_ANSWERING", "field", note="ann is on her way")
        [seen] = [alarm for alarm in client.status().alarms if alarm.of == "field"]
        assert (seen.note, bool(seen.acknowledged_by), seen.lasts) == ("ann is on her way", True, True)
        client.maintenance("field", on=True, note="a new cable")
        until(client, lambda status: ("MAINTENANCE", "field") in alarms(status))
        client.maintenance("field", on=False)
        until(client, lambda status: ("MAINTENANCE", "field") not in alarms(status))
        client.resume("field")
        with pytest.raises(RefusedError, match=r"no link 'x'. It has field, switch"):
            client.resume("x")

        with socket.socket(socket.AF_UNIX) as door:
            door.settimeout(20)
            door.connect(str(folder / "metrics.sock"))
            door.sendall(b"GET /metrics HTTP/1.1\r\nHost: node\r\nConnection: close\r\n\r\n")
            text = b"".join(iter(lambda: door.recv(65536), b"")).decode()
        assert "application/openmetrics-text" in text
        alarm = 'tokaido_alarm{acknowledged="yes",cause="",code="NOT_ANSWERING",of="field",severity="MAJOR"} 1.0'
        assert alarm in text
        assert (folder / "metrics.sock").stat().st_mode & 0o777 == 0o600

        file = folder / "node.toml"
        text = file.read_text(encoding="utf-8")
        changed = text + "clinic = { node = 'koganei' }\n[alarms]\nhold_off_s = 3600\n"
        file.write_text(changed, encoding="utf-8")
        assert client.reload() == ()
        client.maintenance("field", on=True, note="a new cable")
        SYSTEM_CLOCK.wait(0.4)  # 8 s of the node
        assert ("MAINTENANCE", "field") not in alarms(client.status())
        client.maintenance("field", on=False)
        assert {one.name for one in client.status().applications} == {"bank", "clinic"}
        file.write_text(text.replace("keys.sqlite", "other.sqlite"), encoding="utf-8")
        assert client.reload() == ("store",)
        file.write_text("[node]", encoding="utf-8")
        with pytest.raises(RefusedError, match="name is missing"):
            client.reload()
        file.write_text(text, encoding="utf-8")
        client.drain()

    told = run(folder, work, monkeypatch)
    assert any(one.startswith("READY=1\nSTATUS=NO KEYS ARE SERVED") for one in told[:5])
    assert "WATCHDOG=1" in told
    assert any(one.startswith("RELOADING=1\nMONOTONIC_USEC=") for one in told)
    assert any(re.search(r"STATUS=.*(NOT_ANSWERING|NEIGHBOUR_SILENT) of", one) for one in told)
    assert "STOPPING=1\nSTATUS=draining" in told

    hook = [json.loads(line) for line in (folder / "told").read_text(encoding="utf-8").splitlines()]
    assert {("NOT_ANSWERING", "field", True), ("NOT_ANSWERING", "switch", True)} <= {
        (one["code"], one["device"], one["raised"]) for one in hook
    }
    with wrapping_key_from_file(folder / "store.key") as key:
        store = SqliteStore.open(folder / "keys.sqlite", key)
    try:
        [row] = [
            row for row in store.records.alarms(standing=False) if (row.code, row.of) == ("NOT_ANSWERING", "field")
        ]
        assert row.note == "ann is on her way"
        log = store.records.audit_log()
        acts = [row.what for row in log if row.who != "node"]
        own = [row.what for row in log if row.who == "node"]
    finally:
        store.close()
    assert acts[:2] == ["acknowledge NOT_ANSWERING of field", "begin maintenance of field"]
    assert acts[-1] == "drain"
    assert own == ["start node otemachi", "end node otemachi"]


def test_attempts_count_beyond_a_life_and_are_durable_before_the_unit_is_ordered(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ordered: list[int] = []
    durable: list[int] = []
    obey, keep = Source.carry_out, Records.set_attempts

    def carry_out(source: Source, order: UnitOrder) -> Done | Failed:
        ordered.append(durable[-1] if durable else 0)
        return obey(source, order)

    def set_attempts(records: Records, device: str, ago_s: Iterable[float]) -> None:
        times = tuple(ago_s)
        SYSTEM_CLOCK.wait(0.1)  # an order that does not wait for this is given before
        keep(records, device, times)
        durable.append(len(times))

    monkeypatch.setattr(Source, "carry_out", carry_out)
    monkeypatch.setattr(Records, "set_attempts", set_attempts)

    def work(client: ControlClient) -> None:
        if ordered:
            [line] = client.status().links
            assert line.attempts_within_an_hour >= len(ordered)
        until(client, lambda status: bool(ordered))

    with QkdLink.launch("toshiba", load_preshared_key=True) as link:
        with link.transmitter.lock:
            link.transmitter.model.prepare("STANDBY")  # type: ignore[attr-defined]
        station = (folder / "station.toml").read_text(encoding="utf-8")
        at = 'control = "serial:/nowhere/at/all"'
        assert at in station
        station = station.replace(at, f'control = "{link.transmitter.resources["control"]}"\ntimeout = 40')
        (folder / "station.toml").write_text(station, encoding="utf-8")
        run(folder, work, monkeypatch)
        assert ordered == list(range(1, len(ordered) + 1))
        run(folder, work, monkeypatch)


@pytest.mark.thorough
def test_a_latched_alarm_outlives_the_node_and_its_console_says_so(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tokaido.hal import Severity

    with wrapping_key_from_file(folder / "store.key") as key:
        store = SqliteStore.open(folder / "keys.sqlite", key, create=True)
    store.records.raise_alarm("TAMPER", "alice", Severity.CRITICAL, "opened", raised_s=1.8e9, latched=True)
    store.records.raise_alarm("STOCK_LOW", "koganei", Severity.WARNING, "few", raised_s=1.8e9)
    store.close()

    def work(client: ControlClient) -> None:
        assert alarms(client.status()) >= {("TAMPER", "alice")}
        assert ("STOCK_LOW", "koganei") not in alarms(client.status())
        shown = run_console("node", "status", str(folder / "node.toml"))
        assert shown.code == 2
        first, do, *_ = shown.out.splitlines()
        assert first.startswith("node otemachi: NO KEYS ARE SERVED: TAMPER of alice: opened")
        assert do.startswith("do: Go to the unit")
        shown = run_console("node", "status", str(client.path), "--json")
        assert (shown.code, json.loads(shown.out)["level"]) == (2, "not serving")
        assert run_console("node", "ack", str(client.path), "TAMPER", "alice", "--note", "cleaned").code == 0
        assert ("TAMPER", "alice") not in alarms(client.status())
        wrong = run_console("node", "resume", str(client.path), "nowhere")
        assert (wrong.code, "no link 'nowhere'" in wrong.err) == (1, True)

    run(folder, work, monkeypatch)
    gone = run_console("node", "status", str(folder / "node.toml"))
    assert (gone.code, bool(re.search("no node answers", gone.err))) == (3, True)
    missing = run_console("node", "status", str(folder / "nowhere.toml"))
    assert (missing.code, "cannot be read" in missing.err) == (3, True)


def test_metrics_over_the_network_are_for_those_that_are_named(
    folder: Path, certificates: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ssl
    import urllib.error
    import urllib.request

    text = (folder / "node.toml").read_text(encoding="utf-8")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    names = sorted(path.stem.removeprefix("sae-") for path in certificates.glob("sae-*.pem"))
    network = f'metrics = "127.0.0.1:{port}"\nmetrics_readers = ["{names[0]}"]'
    (folder / "node.toml").write_text(text.replace('metrics = "unix:metrics.sock"', network), encoding="utf-8")

    def ask(name: str) -> int:
        context = ssl.create_default_context(cafile=str(certificates / "ca.pem"))
        context.load_cert_chain(certificates / f"sae-{name}.pem", certificates / f"sae-{name}.key")
        try:
            with urllib.request.urlopen(f"https://127.0.0.1:{port}/metrics", context=context, timeout=20) as answer:
                assert b"tokaido_node_up_seconds" in answer.read()
                return int(answer.status)
        except urllib.error.HTTPError as error:
            with error:
                return error.code

    def work(client: ControlClient) -> None:
        assert ask(names[0]) == 200
        assert ask(names[1]) == 403
        del client

    run(folder, work, monkeypatch)


def test_no_thread_is_left() -> None:
    assert not [one for one in threading.enumerate() if one.name.startswith("tokaido-device")]
