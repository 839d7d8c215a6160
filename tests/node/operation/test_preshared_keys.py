"""Two people, and no one alone, have a node load the pre-shared key of a link into its unit."""

from __future__ import annotations

import hmac
import io
import json
import os
import pty
import pwd
import socket
import subprocess
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from tokaido.emulators import QkdLink
from tokaido.hal import ConfigurationError, KeyMaterial, KeyMaterialError, RefusedError
from tokaido.node import NodeFile
from tokaido.node.node_file import control_socket, custodians_socket
from tokaido.node.operation import (
    ControlClient,
    EnterComponent,
    Peer,
    component_check_value,
    component_from_file,
    component_from_stdin,
    joined,
    key_check_value,
    make_component,
)
from tokaido_testing.console_runs import run_console
from tokaido_testing.node_files import ALONE, HEAD, living, make_site, until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tokaido.emulators import Emulator

PYTHON = "/usr/bin/python3"
"""One that every user may run."""
CUSTODIANS = '[preshared_keys]\ncustodians = ["ann", "bob", "eve"]\nwait_hours = 0.5\n'


class People:
    """Who connects to a node, as the kernel would tell."""

    def __init__(self) -> None:
        self.now = "ann"
        self.uids = {"ann": 1001, "bob": 1002, "eve": 1003, "twin": 1001, "zoe": 1004}

    def peer(self, connection: socket.socket) -> Peer:
        if str(connection.getsockname()).endswith("custodians.sock"):
            return Peer(7, self.uids[self.now], self.now, "control socket, process 7")
        return Peer(7, os.geteuid(), "operator", "control socket, process 7")


@pytest.fixture
def people(monkeypatch: pytest.MonkeyPatch) -> People:
    found = People()
    monkeypatch.setattr("tokaido.node.operation._control_server._peer_of", found.peer)
    return found


@pytest.fixture
def link() -> Iterator[QkdLink]:
    with QkdLink.launch("toshiba") as found:  # nobody loads a key
        yield found


def site(folder: Path, certificates: Path, unit: Emulator, more: str = CUSTODIANS) -> Path:
    """Write the files of a node beside a unit; return the node file."""
    make_site(folder, control=f'{unit.resources["control"]}"\nkeys = "{unit.resources["keys"]}')
    file = folder / "node.toml"
    file.write_text(HEAD.format(name="otemachi", pki=certificates) + ALONE + more, encoding="utf-8")
    return file


def components(folder: Path) -> tuple[Path, Path]:
    """Make the components of two people."""
    for name in ("ann", "bob"):
        make_component(folder / f"{name}.component")
    return folder / "ann.component", folder / "bob.component"


def rows(node: Path) -> list[tuple[str, str, str]]:
    """Return who did what, and why, of what concerns components."""
    log = ControlClient(control_socket(node)).audit_log()
    return [(row.who, row.what, row.why) for row in log if "component" in row.what]


def run(node: Path, work: Callable[[], None]) -> None:
    living(node.parent, lambda _: work())


@pytest.mark.timeout(180)
def test_two_people_load_a_unit_over_a_restart_and_no_one_alone(
    tmp_path: Path, certificates: Path, people: People, link: QkdLink, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = site(tmp_path, certificates, link.transmitter)
    first, second = components(tmp_path)
    with component_from_file(first) as one, component_from_file(second) as other, joined(one, other) as key:
        values = component_check_value(one), component_check_value(other), key_check_value(key)
        secrets = bytes(one.reveal()), bytes(other.reveal()), bytes(key.reveal())
    words = ("node", "preshared")

    def enter(who: str, file: Path) -> dict[str, object]:
        people.now = who
        done = run_console(*words, "enter", str(node), "field", "--component", str(file), "--json")
        people.now = "ann"
        assert done.code == 0, done.err
        found: dict[str, object] = json.loads(done.out)
        return found

    def refused(who: str, file: Path) -> str:
        people.now = who
        done = run_console(*words, "enter", str(node), "field", "--component", str(file))
        assert done.code == 1
        return done.err

    def waits() -> list[dict[str, str]]:
        people.now = "ann"
        found: list[dict[str, str]] = json.loads(run_console(*words, "show", str(node), "--json").out)["waiting"]
        return found

    def one_alone() -> None:
        client = ControlClient(control_socket(node))
        status = until(client, lambda status: any(one.code == "PRESHARED_KEY_MISSING" for one in status.alarms))
        assert "node preshared enter" in next(a for a in status.alarms if a.code == "PRESHARED_KEY_MISSING").to_do
        entered = enter("ann", first)
        assert (entered["check_value"], entered["loaded"], entered["key_check_value"]) == (values[0], False, "")
        assert "ann has entered one component already" in refused("ann", second)
        assert "twin" in refused("twin", second)  # no custodian, and the same user
        assert [one["check_value"] for one in waits()] == [values[0]]

    run(node, one_alone)
    store = b"".join(each.read_bytes() for each in tmp_path.glob("keys.sqlite*"))
    assert all(secret[at : at + 8] not in store for secret in secrets for at in range(0, 4096, 8))

    def then_the_other() -> None:
        assert [(one["by"], one["check_value"]) for one in waits()] == [("ann", values[0])]
        assert "both components are the same one" in refused("bob", first)
        entered = enter("bob", second)
        assert (entered["loaded"], entered["key_check_value"]) == (True, values[2])
        assert waits() == []
        [line] = json.loads(run_console(*words, "show", str(node), "--json").out)["keys"]
        assert (line["device"], line["by"], line["check_value"]) == ("alice", "ann and bob", values[2])
        client = ControlClient(control_socket(node))
        status = until(client, lambda status: status.links[0].state not in {"", "OFF"})  # it is started at once
        assert "PRESHARED_KEY_MISSING" not in {one.code for one in status.alarms}
        assert [what for who, what, _ in rows(node) if who == "ann" and "first" in what] == [
            f"enter the first component for field: check value {values[0]}"
        ]
        done = f"check value {values[1]}; alice has the key of check value {values[2]}"
        second_step = f"enter the second component for field: {done}"
        assert (
            "bob",
            second_step,
            "",
        ) in rows(node)
        assert ("ann", "enter a component for field: no") in {(who, what) for who, what, _ in rows(node)}
        told = json.dumps([*rows(node), [one.text for one in client.status().alarms]])
        assert not any(secret[:8].hex() in told for secret in secrets)

    loaded = spied(link.transmitter, monkeypatch)
    run(node, then_the_other)
    assert loaded == [secrets[2]]


def test_a_custodian_who_is_taken_off_the_list_enters_nothing_and_others_stay_outside(
    tmp_path: Path, certificates: Path, people: People, link: QkdLink
) -> None:
    node = site(tmp_path, certificates, link.transmitter)
    first, _ = components(tmp_path)

    def work() -> None:
        client = ControlClient(custodians_socket(node))
        people.now = "zoe"
        with pytest.raises(RefusedError, match="may not ask here"):
            client.preshared_keys()
        people.now = "ann"
        with pytest.raises(RefusedError, match="custodians do nothing but enter components"):
            client.status()
        with component_from_file(first) as one, pytest.raises(RefusedError, match="a component is not entered here"):
            ControlClient(control_socket(node)).enter_component("field", one)
        text = node.read_text(encoding="utf-8")
        node.write_text(text.replace('"ann", ', ""), encoding="utf-8")
        assert ControlClient(control_socket(node)).reload() == ()
        with pytest.raises(RefusedError, match="may not ask here"):
            client.preshared_keys()
        people.now = "eve"
        with component_from_file(first) as one:
            assert not client.enter_component("field", one).loaded
        with component_from_file(first) as one, pytest.raises(RefusedError, match=r"no unit of a link 'other'.*field"):
            client.enter_component("other", one)
        with component_from_file(first) as one, pytest.raises(RefusedError, match="no path 'B'"):
            client.enter_component("field", one, path="B")

    run(node, work)


@pytest.mark.timeout(120)
def test_a_component_waits_no_longer_than_it_may_and_can_be_discarded(
    tmp_path: Path, certificates: Path, people: People, link: QkdLink
) -> None:
    node = site(tmp_path, certificates, link.transmitter, CUSTODIANS.replace("0.5", "0.01"))  # 36 s of the node
    first, second = components(tmp_path)

    def work() -> None:
        client = ControlClient(custodians_socket(node))
        with component_from_file(first) as one:
            client.enter_component("field", one)
        until(client_of(node), lambda _: not client.preshared_keys().waiting)
        assert ("node", "discard the component for field", "its time was over; ann had entered it") in rows(node)
        people.now = "bob"
        with component_from_file(second) as other:
            assert not client.enter_component("field", other).loaded  # it is the first one now
        done = run_console("node", "preshared", "discard", str(node), "field", "--note", "ann is ill")
        assert (done.code, client.preshared_keys().waiting) == (0, ())
        assert ("bob", "discard the component for field", "ann is ill") in rows(node)
        with pytest.raises(RefusedError, match="no component waits for field"):
            client.discard_component("field")

    run(node, work)


def test_the_first_component_goes_on_waiting_while_the_unit_takes_no_key(
    tmp_path: Path, certificates: Path, people: People, link: QkdLink, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = site(tmp_path, certificates, link.transmitter, CUSTODIANS + "[supervision]\nstart = false\n")
    first, second = components(tmp_path)
    short = tmp_path / "short.component"
    make_component(short, 64)
    with link.transmitter.lock:
        link.transmitter.model.prepare("STANDBY")  # type: ignore[attr-defined]
    loaded = spied(link.transmitter, monkeypatch)

    def work() -> None:
        client = ControlClient(custodians_socket(node))
        with component_from_file(first) as one:
            client.enter_component("field", one)
        people.now = "bob"
        with component_from_file(short) as other, pytest.raises(RefusedError, match="have 4096 and 64 bytes"):
            client.enter_component("field", other)
        for _ in range(2):
            with component_from_file(second) as other, pytest.raises(RefusedError, match=r"STANDBY.*goes on waiting"):
                client.enter_component("field", other)
        assert [one.by for one in client.preshared_keys().waiting] == ["ann"]
        with link.transmitter.lock:
            link.transmitter.model.prepare("OFF")  # type: ignore[attr-defined]
        with component_from_file(second) as other:
            assert client.enter_component("field", other).loaded

    run(node, work)
    assert len(loaded) == 1


@pytest.mark.skipif(os.geteuid() != 0 or not os.path.exists(PYTHON), reason="root alone becomes other users")  # noqa: PTH110
def test_the_kernel_says_who_it_is(tmp_path_factory: pytest.TempPathFactory, certificates: Path, link: QkdLink) -> None:
    users = [entry for entry in pwd.getpwall() if entry.pw_uid != 0][:3]
    folder = tmp_path_factory.mktemp("custodians")
    for each in (folder, *folder.parents):
        if each.stat().st_mode & 0o001 == 0:
            each.chmod(each.stat().st_mode | 0o011)
    names = json.dumps([one.pw_name for one in users[:2]])
    node = site(folder, certificates, link.transmitter, f"[preshared_keys]\ncustodians = {names}\n")
    place = str(custodians_socket(node))

    def enter(user: pwd.struct_passwd) -> str:
        """Enter a component of zeros and ones of its own, as that user."""
        component = bytes([user.pw_uid % 255 + 1]) * 4096
        body = msgspec.msgpack.encode({"do": "enter-component", "link": "field", "component": component})
        said = (
            "import socket, sys\n"
            f"door = socket.socket(socket.AF_UNIX); door.settimeout(30); door.connect({place!r})\n"
            "try: door.sendall(sys.stdin.buffer.read())\nexcept OSError: pass\n"
            "sys.stdout.buffer.write(door.recv(65536)[4:])\n"
        )
        done = subprocess.run(
            [PYTHON, "-c", said],
            user=user.pw_uid,
            cwd="/",
            input=len(body).to_bytes(4, "big") + body,
            capture_output=True,
            timeout=60,
            check=True,
        )
        return str(msgspec.msgpack.decode(done.stdout))

    def work() -> None:
        assert "'loaded': False" in enter(users[0])
        assert "has entered one component already" in enter(users[0])
        assert "'loaded': True" in enter(users[1])
        assert "may not ask here" in enter(users[2])
        [first, second] = [row.who for row in client_of(node).audit_log() if " component for field: check" in row.what]
        assert (first, second) == (users[0].pw_name, users[1].pw_name)

    run(node, work)


def client_of(node: Path) -> ControlClient:
    return ControlClient(control_socket(node))


def spied(unit: Emulator, monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Return the keys that are loaded into a unit from now on."""
    loaded: list[bytes] = []
    model: Any = unit.model
    load = model.load_psk

    def load_psk(key: bytes, link: object = None) -> None:
        loaded.append(bytes(key))
        load(key, link)

    monkeypatch.setattr(model, "load_psk", load_psk)
    return loaded


# --- components by themselves -----------------------------------------------------------------------------------------


def test_check_values_are_what_the_page_says() -> None:
    one = KeyMaterial(bytes(range(256)) * 16)
    for tell, label in (
        (component_check_value, b"tokaido component check value 1"),
        (key_check_value, b"tokaido pre-shared key check value 1"),
    ):
        digest = hmac.digest(label, bytes(range(256)) * 16, "sha256").hex()
        assert tell(one) == f"{digest[:4]} {digest[4:8]}"


def test_the_key_is_the_xor_of_both() -> None:
    one, other = KeyMaterial(b"\x0f" * 32 + b"\x01"), KeyMaterial(b"\x3c" * 32 + b"\x01")
    assert bytes(joined(one, other).reveal()) == b"\x33" * 32 + b"\x00"
    with pytest.raises(KeyMaterialError, match="the same one"):
        joined(one, KeyMaterial(bytes(one.reveal())))


def test_a_component_is_in_a_file_of_its_custodian_alone(tmp_path: Path) -> None:
    file = tmp_path / "ann.component"
    value = make_component(file)
    assert (file.stat().st_mode & 0o777, file.stat().st_size) == (0o600, 4096)
    assert run_console("node", "preshared", "check", str(file)).out == f"{file}: check value {value}\n"
    with pytest.raises(ConfigurationError, match="exists"):
        make_component(file)
    file.chmod(0o640)
    with pytest.raises(ConfigurationError, match="open to others"):
        component_from_file(file)
    with pytest.raises(ConfigurationError, match="has 32 to 16384 bytes, not 5"):
        component_from_stdin(io.BytesIO(b"hello"))
    assert len(component_from_stdin(io.BytesIO(bytes(32)))) == 32


def test_a_component_is_not_typed() -> None:
    primary, secondary = pty.openpty()
    with (
        os.fdopen(primary, "wb"),
        os.fdopen(secondary, "rb") as terminal,
        pytest.raises(ConfigurationError, match="is not typed"),
    ):
        component_from_stdin(terminal)


def test_a_request_shows_no_byte_of_its_component() -> None:
    request = EnterComponent(link="field", component=bytearray(b"secret" * 10))
    assert repr(request) == "EnterComponent(link='field', path='', <60 bytes>)"
    assert "secret" not in f"{request} {request.__rich_repr__()}"


def test_one_custodian_is_none(tmp_path: Path, certificates: Path, link: QkdLink) -> None:
    node = site(tmp_path, certificates, link.transmitter, '[preshared_keys]\ncustodians = ["ann", "ann"]\n')
    with pytest.raises(ConfigurationError, match="must name two people at least"):
        NodeFile.read(node)
    node.write_text(HEAD.format(name="otemachi", pki=certificates) + ALONE, encoding="utf-8")
    with pytest.raises(ConfigurationError, match="names no custodians"):
        custodians_socket(node)
    assert NodeFile.read(node).custodians_at is None
