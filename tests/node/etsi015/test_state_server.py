"""A node's state over mutual TLS: every path, who may read, what is refused, and the stream of notifications."""

from __future__ import annotations

import asyncio
import http.client
import json
import re
import socket
import ssl
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import tokaido.node.etsi015
from tokaido.hal import SYSTEM_CLOCK, Deadline, Severity
from tokaido.node.etsi015 import Notices, Site, state_application
from tokaido.node.listening import Limits, Listener
from tokaido.node.node_file import control_socket
from tokaido.node.operation import AlarmChange, Change, ControlClient, NodeAlarm
from tokaido.node.tls import TlsFiles, server_context
from tokaido_testing.node_files import living, make_node
from tokaido_testing.node_lines import FINE
from tokaido_testing.patience import patient

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tokaido.node import NodeDaemon

NODE = """\
state = "127.0.0.1:0"
state_readers = ["{reader}"]
[neighbours.koganei]
url = "https://127.0.0.1:1"
[applications]
bank = {{ node = "otemachi" }}
"""
WRITE_S = SIGN_OF_LIFE_S = 10.0
"""Of the page: how long a write may take, and a stream says nothing."""
QKD = "/restconf/data/etsi-qkd-sdn-node:qkd_node"


class Controller:
    """Who reads, with a certificate."""

    def __init__(self, certificates: Path, name: str, port: int) -> None:
        self._context = ssl.create_default_context(cafile=str(certificates / "ca.pem"))
        if name:
            self._context.load_cert_chain(certificates / f"sae-{name}.pem", certificates / f"sae-{name}.key")
        self._port = port

    def ask(self, path: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
        way = http.client.HTTPSConnection("127.0.0.1", self._port, timeout=20, context=self._context)
        try:
            way.request(method, path, headers=headers)
            answer = way.getresponse()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        finally:
            way.close()

    def read(self, path: str) -> Any:
        status, headers, body = self.ask(path, Accept="application/yang-data+json")
        assert (status, headers["content-type"]) == (200, "application/yang-data+json"), (path, status, body)
        return json.loads(body)

    def stream(self) -> ssl.SSLSocket:
        plain = socket.create_connection(("127.0.0.1", self._port), 20)
        way = self._context.wrap_socket(plain, server_hostname="127.0.0.1")
        way.sendall(b"GET /restconf/streams/NETCONF/json HTTP/1.1\r\nHost: node\r\nAccept: text/event-stream\r\n\r\n")
        return way


@pytest.fixture
def names(certificates: Path) -> list[str]:
    return sorted(path.stem.removeprefix("sae-") for path in certificates.glob("sae-*.pem"))


@pytest.fixture
def folder(tmp_path: Path, certificates: Path, names: list[str]) -> Path:
    return make_node(tmp_path, certificates, NODE.format(reader=names[0]))


def run(folder: Path, certificates: Path, name: str, work: Callable[[Controller, NodeDaemon], None]) -> None:
    living(folder, lambda daemon: work(Controller(certificates, name, daemon.ports["state"]), daemon))


def paths_of(value: Any, path: str, keys: dict[str, tuple[str, ...]]) -> Iterator[str]:
    """Yield the paths of all resources in data."""
    yield path
    if isinstance(value, dict):
        for name, below in value.items():
            yield from paths_of(below, f"{path}/{name}", keys)
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        for one in value:
            marks = ",".join(str(one[key]).replace(":", "%3A") for key in keys[path.rpartition("/")[2].split(":")[-1]])
            for below in one:
                yield from paths_of(one[below], f"{path}={marks}/{below}", keys)


KEYS = {
    "qkd_app": ("app_id",),
    "qkd_interface": ("qkdi_id",),
    "qkd_link": ("qkdl_id",),
    "pair": ("neighbour",),
    "alarm": ("code", "of"),
    "module": ("name", "revision"),
    "stream": ("name",),
    "access": ("encoding",),
}


def test_every_path_is_answered(folder: Path, certificates: Path, names: list[str]) -> None:
    def work(controller: Controller, daemon: NodeDaemon) -> None:
        del daemon
        status, headers, body = controller.ask("/.well-known/host-meta")
        assert (status, headers["content-type"]) == (200, "application/xrd+xml")
        assert b"rel='restconf' href='/restconf'" in body
        root = controller.read("/restconf")["ietf-restconf:restconf"]
        assert root == {"data": {}, "operations": {}, "yang-library-version": "2016-06-21"}
        assert controller.read("/restconf/operations") == {"ietf-restconf:operations": {}}
        version = controller.read("/restconf/yang-library-version")
        assert version == {"ietf-restconf:yang-library-version": "2016-06-21"}
        data = controller.read("/restconf/data")["ietf-restconf:data"]
        assert len(data) == 3
        every = [path for name, value in data.items() for path in paths_of(value, f"/restconf/data/{name}", KEYS)]
        assert len(every) > 60
        for path in every:
            if "tokaido-qkd-node:alarms/alarm=" not in path:  # they come and go
                assert len(controller.read(path)) == 1, path
        [link] = controller.read(f"{QKD}/qkd_links/qkd_link")["etsi-qkd-sdn-node:qkd_link"]
        assert link["qkdl_status"] == "etsi-qkd-node-types:PENDING"
        assert link["phys_qkd_role"] == "etsi-qkd-node-types:TRANSMITTER"
        state = controller.read(f"{QKD}?content=nonconfig")["etsi-qkd-sdn-node:qkd_node"]
        assert state["qkdn_status"] == "etsi-qkd-node-types:DOWN"
        assert "qkdn_id" not in state

    run(folder, certificates, names[0], work)


def test_the_module_that_is_ours_is_the_one_that_is_told(folder: Path, certificates: Path, names: list[str]) -> None:
    text = Path(str(tokaido.node.etsi015.__file__)).with_name("tokaido-qkd-node.yang").read_text(encoding="utf-8")

    def work(controller: Controller, daemon: NodeDaemon) -> None:
        del daemon
        library = controller.read("/restconf/data/ietf-yang-library:modules-state/module")
        [ours] = [one for one in library["ietf-yang-library:module"] if one["name"] == "tokaido-qkd-node"]
        assert f"revision {ours['revision']} " in text
        assert f'namespace "{ours["namespace"]}";' in text
        found = set(re.findall(r"tokaido-qkd-node:([a-z-]+)", controller.ask(QKD)[2].decode()))
        assert found
        assert found <= set(re.findall(r"(?:leaf|container) ([a-z-]+) ", text))

    run(folder, certificates, names[0], work)


def test_only_readers_read(folder: Path, certificates: Path, names: list[str]) -> None:
    def work(other: Controller, daemon: NodeDaemon) -> None:
        for path in (QKD, "/restconf", "/.well-known/host-meta", "/restconf/streams/NETCONF/json", "/nothing"):
            status, _, body = other.ask(path)
            [error] = json.loads(body)["ietf-restconf:errors"]["error"]
            assert (status, error["error-tag"]) == (403, "access-denied"), path
        nobody = Controller(certificates, "", daemon.ports["state"])
        with pytest.raises((OSError, http.client.HTTPException)):
            nobody.ask(QKD)

    run(folder, certificates, names[1], work)


def test_what_this_server_does_not_do_is_refused_as_rfc_8040_has_it(
    folder: Path, certificates: Path, names: list[str]
) -> None:
    def work(controller: Controller, daemon: NodeDaemon) -> None:
        del daemon
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            status, headers, body = controller.ask(QKD, method)
            assert (status, headers["allow"]) == (405, "GET, HEAD, OPTIONS")
            assert json.loads(body)["ietf-restconf:errors"]["error"][0]["error-tag"] == "operation-not-supported"
        status, headers, body = controller.ask(QKD, "OPTIONS")
        assert (status, headers["allow"], body) == (200, "GET, HEAD, OPTIONS", b"")
        status, headers, body = controller.ask(QKD, "HEAD")
        assert (status, headers["content-type"], body) == (200, "application/yang-data+json", b"")
        for path, accept, code in (
            (f"{QKD}/qkd_roads", "*/*", 404),
            (f"{QKD}/qkdn_id?content=nonconfig", "*/*", 404),
            ("/restconf/data/qkd_node", "*/*", 400),
            (f"{QKD}?depth=1", "*/*", 400),
            (f"{QKD}?content=some", "*/*", 400),
            ("/restconf?content=all", "*/*", 400),
            ("/restconf/streams/NETCONF/json?start-time=2026-01-01T00:00:00Z", "*/*", 400),
            (QKD, "application/yang-data+xml", 406),
            (QKD, "application/yang-data+json;q=0, */*", 406),
            (QKD, "text/html, application/*;q=0.1", 200),
            ("/restconf/streams/NETCONF/json", "application/yang-data+json", 406),
            ("/metrics", "*/*", 404),
        ):
            status, headers, body = controller.ask(path, Accept=accept)
            assert status == code, (path, accept, body)
            assert headers["content-type"] == "application/yang-data+json"
            if code != 200:
                [error] = json.loads(body)["ietf-restconf:errors"]["error"]
                assert (error["error-type"], error["error-tag"]) == ("protocol", "invalid-value")

    run(folder, certificates, names[0], work)


def test_an_alarm_comes_as_a_notification_and_the_stream_ends_with_the_node(
    folder: Path, certificates: Path, names: list[str]
) -> None:
    heard = bytearray()
    ended = threading.Event()

    def listen(way: ssl.SSLSocket) -> None:
        with way:
            while data := way.recv(4096):
                heard.extend(data)
        ended.set()

    def until(text: bytes) -> None:
        deadline = Deadline(SYSTEM_CLOCK, 30)
        while text not in heard:
            assert not deadline.passed, heard
            SYSTEM_CLOCK.wait(0.02)

    def work(controller: Controller, daemon: NodeDaemon) -> None:
        del daemon
        threading.Thread(target=listen, args=(controller.stream(),)).start()
        until(b"text/event-stream")
        until(b"NOT_ANSWERING")
        readers = controller.read(f"{QKD}/tokaido-qkd-node:notification-readers")
        assert readers["tokaido-qkd-node:notification-readers"] == {"open": 1, "dropped": "0"}

    run(folder, certificates, names[0], work)
    assert ended.wait(20)
    events = [json.loads(line[6:]) for line in heard.decode().splitlines() if line.startswith("data: ")]
    notices = [event["ietf-restconf:notification"] for event in events]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", notice["eventTime"]) for notice in notices)
    links = [notice["etsi-qkd-sdn-node:alarm"]["link"] for notice in notices if "etsi-qkd-sdn-node:alarm" in notice]
    assert [one["tokaido-qkd-node:change"] for one in links if one["tokaido-qkd-node:code"] == "NOT_ANSWERING"]


def test_streams_end_when_the_node_reads_its_file_again(folder: Path, certificates: Path, names: list[str]) -> None:
    def work(controller: Controller, daemon: NodeDaemon) -> None:
        del daemon
        with controller.stream() as way:
            assert b"text/event-stream" in way.recv(4096)
            ControlClient(control_socket(folder / "node.toml")).reload(note="new certificates")
            while way.recv(4096):
                pass

    run(folder, certificates, names[0], work)


async def served(notices: Notices, certificates: Path, reader: str) -> Listener:
    files = TlsFiles(certificates / "node-otemachi.pem", certificates / "node-otemachi.key", certificates / "ca.pem")
    application = state_application(lambda: FINE, [reader], notices)
    listener = Listener(application, server_context(files), Limits(ending_s=60))
    await listener.open("127.0.0.1", 0)
    return listener


def test_streams_do_not_keep_a_listener_that_closes(certificates: Path, names: list[str]) -> None:
    async def serve() -> None:
        notices = Notices(Site("otemachi"))
        listener = await served(notices, certificates, names[0])
        way = await asyncio.to_thread(Controller(certificates, names[0], listener.port).stream)
        async with asyncio.timeout(patient(10)):
            while not notices.readers:
                await asyncio.sleep(0.01)
        async with asyncio.timeout(SIGN_OF_LIFE_S - 2):
            await listener.close()
        assert notices.readers == 0
        way.close()

    asyncio.run(serve())


def test_a_reader_that_does_not_read_its_stream_is_dropped_and_its_connection_ends(
    certificates: Path, names: list[str]
) -> None:
    alarm = NodeAlarm("LOS", "field", Severity.MAJOR, "x" * 60_000, False, 0.0)

    async def serve() -> None:
        notices = Notices(Site("otemachi"), most_waiting=8)
        listener = await served(notices, certificates, names[0])
        way = await asyncio.to_thread(Controller(certificates, names[0], listener.port).stream)
        async with asyncio.timeout(patient(30)):
            while not notices.readers:
                await asyncio.sleep(0.01)
            while not notices.dropped:
                notices.changed(AlarmChange(Change.RAISED, alarm))
                notices.look(FINE)
                await asyncio.sleep(0.001)
        async with asyncio.timeout(WRITE_S - 2):  # it does not wait for the write to time out
            while listener.connections:
                await asyncio.sleep(0.01)
        assert (notices.readers, notices.dropped) == (0, 1)
        way.close()
        await listener.close()

    asyncio.run(serve())
