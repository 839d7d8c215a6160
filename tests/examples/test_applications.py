"""A bank, a hospital and a diplomat, whose programs get their keys over ETSI GS QKD 014 from two key managers."""

from __future__ import annotations

import asyncio
import importlib
import io
import re
import secrets
import shlex
import socket
import tempfile
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tokaido.hal import KeyMaterial
from tokaido.node.client import ClientKey
from tokaido.node.core import Reason
from tokaido.node.listening import Limits
from tokaido.node.service import KeyRefusedError
from tokaido_testing.application_runs import PROGRAMS, PYTHON, Applications, Ended, flipped, frames
from tokaido_testing.key_managers import key_managers, make_pki, until
from tokaido_testing.patience import patient
from tokaido_testing.prepared import PreparedPython

IMPORTED = ("tokaido.node.client", "cryptography.hazmat.primitives.ciphers.aead")
"""What takes the most time of a program's start."""


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_pki(tmp_path_factory.mktemp("applications") / "pki")


@pytest.fixture(scope="module")
def python() -> Iterator[PreparedPython]:
    with PreparedPython(*IMPORTED) as python:
        yield python


@pytest.fixture
def run(certificates: Path, tmp_path: Path, python: PreparedPython) -> Iterator[Applications]:
    with key_managers(certificates) as managers:
        yield Applications(managers, tmp_path, python)


def sealed(line: bytes, header: int) -> list[bytes]:
    """Frames of the bank or the hospital: the last 4 bytes of a header are the length of what follows."""
    return frames(line, header, lambda head: int.from_bytes(head[-4:], "big"))


# --- the bank ---------------------------------------------------------------------------------------------------------

BANK = 33
PAYMENTS = b"pay 1 to A\npay 20 to B\npay 300 to C\n"


def test_payments_arrive_and_cost_a_key_every_so_many(run: Applications) -> None:
    ended = run.run("bank", "send", "--every", "2", given=PAYMENTS)
    assert ended.told == "3 messages; keys: 2, 512 bits, 170.7 bits a message\n"
    assert [len(frame) - BANK - 16 for frame in sealed(ended.out, BANK)] == [10, 11, 12, 0]
    assert run.received("bank", ended.out) == PAYMENTS
    assert run.managers.network.stock == 998


def test_no_payment_is_taken_that_was_touched(run: Applications) -> None:
    one, two, three, end = sealed(run.sent("bank", given=PAYMENTS), BANK)
    for line, printed, why in (
        ([one, flipped(two, BANK), three, end], 1, "message 2 is not genuine"),
        ([one, flipped(two, 4), three, end], 1, "message 2 is not genuine"),
        ([one, three, end], 1, "message 3 came where 2 was to come"),
        ([one, one, two, three, end], 1, "message 1 came where 2 was to come"),
        ([two, one, three, end], 0, "message 2 came where 1 was to come"),
        ([one, two, three], 3, "the line ended before message 4"),
        ([one, two, three[:-1]], 2, "message 3 is not genuine"),
        ([flipped(one, BANK - 4), two, three, end], 0, "what came as message 1 is none"),
    ):
        run.undeliver()
        ended = run.refused("bank", b"".join(line))
        assert ended.out == b"".join(PAYMENTS.splitlines(keepends=True)[:printed])
        assert why in ended.told


def test_a_recorded_line_is_not_taken_again_and_an_unknown_key_not_at_all(run: Applications) -> None:
    line = run.sent("bank", given=PAYMENTS)
    assert "not found" in run.refused("bank", line[:5] + uuid.uuid4().bytes + line[21:]).told
    assert run.received("bank", line) == PAYMENTS
    again = run.refused("bank", line)
    assert (again.out, "not found" in again.told) == (b"", True)


def test_a_key_of_others_opens_nothing(run: Applications) -> None:
    """Named in the header in place of the right one, it was given to other applications: 401."""
    other = run.managers.ask("bank", "POST", "/api/v1/keys/cafe/enc_keys", b"{}").body
    found = re.search(rb'"key_ID":"([^"]+)"', other)
    assert found is not None
    line = run.sent("bank", given=PAYMENTS)
    ended = run.refused("bank", line[:5] + uuid.UUID(found[1].decode()).bytes + line[21:])
    assert "401" in ended.told


def test_a_refusal_for_now_is_waited_out(run: Applications) -> None:
    here = run.managers.here
    here.fails = KeyRefusedError("not enough key is in stock", Reason.NO_KEY, 0.1)
    with run.popen("bank", "send") as process:
        assert process.stdin is not None
        assert process.stderr is not None
        process.stdin.write(PAYMENTS)
        process.stdin.close()
        process.stdin = None
        assert process.stderr.readline() == b"no key now; asking again in 1 s\n"
        here.fails = None
        line, _ = process.communicate(timeout=patient(30))
    assert run.received("bank", line) == PAYMENTS


def test_patience_has_an_end(run: Applications) -> None:
    run.managers.network.stock = 0
    ended = run.run("bank", "send", "--patience", "0.5", given=PAYMENTS)
    assert (ended.code, ended.out) == (1, b"")
    assert "503" in ended.told


def test_a_request_whose_answer_was_lost_is_not_repeated(
    certificates: Path, tmp_path: Path, python: PreparedPython
) -> None:
    """The key manager ends while it holds the keys that it was asked for."""
    with key_managers(certificates, limits=Limits(ending_s=0.1)) as managers:

        async def hold() -> None:
            managers.here.held = asyncio.Event()

        managers.served.call(hold())
        with Applications(managers, tmp_path, python).popen("bank", "send") as process:
            assert process.stdin is not None
            process.stdin.write(PAYMENTS)
            process.stdin.close()
            process.stdin = None
            until(lambda: managers.here.waiting == 1)
            managers.served.call(managers.listener.close())
            out, told = process.communicate(timeout=patient(30))
        assert (process.returncode, out) == (1, b"")
        assert b"those are not given again" in told, told
        assert managers.network.stock == 999


# --- the hospital -----------------------------------------------------------------------------------------------------

HOSPITAL, MIB = 49, 1 << 20


@pytest.fixture
def scan(tmp_path: Path) -> bytes:
    data = secrets.token_bytes(3 * MIB + 5)
    (tmp_path / "scan").write_bytes(data)
    return data


def test_a_file_arrives_whole_and_costs_a_key_every_limit(run: Applications, scan: bytes, tmp_path: Path) -> None:
    ended = run.run("hospital", "send", "scan", "--limit", str(2 * MIB))
    assert ended.told == f"{len(scan)} bytes; keys: 2, 512 bits, {512e9 / len(scan):,.1f} bits a GB\n"
    assert len({frame[21:37] for frame in sealed(ended.out, HOSPITAL)}) == 2
    run.received("hospital", ended.out, "copy")
    assert (tmp_path / "copy").read_bytes() == scan
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy", "scan"]


def test_an_empty_file_arrives(run: Applications, tmp_path: Path) -> None:
    (tmp_path / "nothing").touch()
    run.received("hospital", run.sent("hospital", "nothing"), "copy")
    assert (tmp_path / "copy").read_bytes() == b""


def test_no_file_is_there_whose_chunks_were_touched(run: Applications, scan: bytes, tmp_path: Path) -> None:
    chunks = sealed(run.sent("hospital", "scan"), HOSPITAL)
    for line, why in (
        ([chunks[0], flipped(chunks[1], -17), *chunks[2:]], "chunk 1 is not genuine"),
        ([chunks[0], chunks[1][:-1]], "the line ended before chunk 1. Go on with"),
        ([chunks[0], chunks[2], chunks[1], *chunks[3:]], "another chunk came where chunk 1 was to come"),
        ([chunks[0], chunks[-1]], "another chunk came where chunk 1 was to come"),
        ([chunks[0], flipped(chunks[1], 5), *chunks[2:]], "another chunk came where chunk 1 was to come"),
    ):
        run.undeliver()
        assert why in run.refused("hospital", b"".join(line), "copy").told
        assert not (tmp_path / "copy").exists()
        (part,) = tmp_path.glob("copy.*.part")
        assert part.read_bytes() == scan[:MIB]
        part.unlink()


def test_a_transfer_goes_on_where_it_ended_under_a_fresh_key(run: Applications, scan: bytes, tmp_path: Path) -> None:
    first = sealed(run.sent("hospital", "scan"), HOSPITAL)
    told = run.refused("hospital", b"".join(first[:2]) + first[2][:100], "copy").told
    found = re.search(r"--resume (\w+:2)\n", told)
    assert found is not None, told
    (part,) = tmp_path.glob("copy.*.part")
    part.write_bytes(part.read_bytes() + b"torn by a power cut")
    line = run.sent("hospital", "scan", "--resume", found[1])
    rest = sealed(line, HOSPITAL)
    assert [frame[37:45] for frame in rest] == [frame[37:45] for frame in first[2:]]
    assert not {frame[21:37] for frame in rest} & {frame[21:37] for frame in first}
    run.received("hospital", line, "copy")
    assert (tmp_path / "copy").read_bytes() == scan


def test_a_file_that_changed_in_between_is_no_file(run: Applications, scan: bytes, tmp_path: Path) -> None:
    first = sealed(run.sent("hospital", "scan"), HOSPITAL)
    told = run.refused("hospital", first[0], "copy").told
    (tmp_path / "scan").write_bytes(flipped(scan, 0))
    line = run.sent("hospital", "scan", "--resume", told.rpartition(" ")[2].strip())
    assert "the file changed" in run.refused("hospital", line, "copy").told
    assert [path.name for path in tmp_path.iterdir()] == ["scan"]


# --- the diplomat -----------------------------------------------------------------------------------------------------

CABLE = secrets.token_bytes(5000)


def test_a_cable_arrives_and_costs_as_many_bits_and_256_more(run: Applications) -> None:
    ended = run.run("diplomat", "send", "--used", "a", given=CABLE)
    assert ended.told == "5000 bytes: 40000 bits of pad, 256 of tag; keys: 5, 40256 bits\n"
    assert len(ended.out) == 10 + 5 * 16 + 5000 + 16
    assert run.received("diplomat", ended.out, "--used", "b") == CABLE
    ids = [(run.folder / name).read_text().split() for name in "ab"]
    assert ids[0] == ids[1] == [str(uuid.UUID(bytes=ended.out[at : at + 16])) for at in range(10, 90, 16)]


def test_a_cable_that_was_touched_is_not_shown(run: Applications) -> None:
    line = run.sent("diplomat", given=CABLE)
    for touched, why in (
        (flipped(line, 3), "not a message"),
        (flipped(line, 9), "not whole"),
        (line[:-1], "not whole"),
        (line + b"x", "more came"),
        (line[:10] + uuid.uuid4().bytes + line[26:], "not found"),
        (line[:10] + line[26:42] + line[10:26] + line[42:], "not genuine"),
        (flipped(line, -1), "not genuine"),
    ):
        run.undeliver()
        ended = run.refused("diplomat", touched, "--used", str(uuid.uuid4()))
        assert ended.out == b""
        assert why in ended.told


def test_a_cable_is_read_once_and_no_pad_used_twice_even_if_the_key_manager_would(run: Applications) -> None:
    line = run.sent("diplomat", "--used", "a", given=CABLE)
    assert run.received("diplomat", line, "--used", "b") == CABLE
    assert "not found" in run.refused("diplomat", line, "--used", "b").told
    run.undeliver()
    assert "was used before" in run.refused("diplomat", line, "--used", "b").told


def test_a_sender_does_not_use_a_pad_again(run: Applications, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key manager that came back from a copy gives the id once more: nothing goes over the line."""
    same = uuid.uuid4()
    monkeypatch.setattr(uuid, "uuid4", lambda: same)
    run.sent("diplomat", given=b"one")
    ended = run.run("diplomat", "send", given=b"two")
    assert (ended.code, ended.out) == (1, b"")
    assert "was used before" in ended.told


def test_a_cable_for_which_there_is_not_enough_key_draws_none(run: Applications) -> None:
    run.managers.network.stock = 157
    ended = run.run("diplomat", "send", given=CABLE)
    assert (ended.code, ended.out) == (1, b"")
    assert "takes 40256 bits of key, and 40192 are in stock" in ended.told
    assert run.managers.network.stock == 157


# --- strongSwan -------------------------------------------------------------------------------------------------------


class Swan:
    """The socket of a strongSwan: it keeps what it is asked, and says yes."""

    def __init__(self, path: Path, *, sas: int = 1) -> None:
        self.path, self.sas = path, sas
        self.asked: list[tuple[str, dict[str, bytes], dict[str, list[bytes]]]] = []
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(path))
        self._socket.listen()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()

    def _serve(self) -> None:
        while True:
            try:
                peer, _ = self._socket.accept()
            except OSError:
                return
            with peer, peer.makefile("rwb") as stream:
                packet = stream.read(int.from_bytes(stream.read(4), "big"))
                self.asked.append(read_request(packet))
                done = self.asked[-1][0] != "rekey" or self.sas > 0
                told = {"success": "yes" if done else "no", "matches": str(self.sas), "errmsg": "" if done else "none"}
                body = b"\x01" + b"".join(
                    bytes([3, len(name)]) + name.encode() + len(value).to_bytes(2, "big") + value.encode()
                    for name, value in told.items()
                )
                stream.write(len(body).to_bytes(4, "big") + body)


def read_request(packet: bytes) -> tuple[str, dict[str, bytes], dict[str, list[bytes]]]:
    """Read a request by the description of vici: elements are a byte of kind, names have one of length, values two."""
    stream = io.BytesIO(packet)
    assert stream.read(1) == b"\x00"
    command = stream.read(stream.read(1)[0]).decode()
    values: dict[str, bytes] = {}
    lists: dict[str, list[bytes]] = {}
    items: list[bytes] | None = None
    while kind := stream.read(1):
        if kind == b"\x03":
            name = stream.read(stream.read(1)[0]).decode()
            values[name] = stream.read(int.from_bytes(stream.read(2), "big"))
        elif kind == b"\x04":
            items = lists[stream.read(stream.read(1)[0]).decode()] = []
        elif kind == b"\x05":
            assert items is not None
            items.append(stream.read(int.from_bytes(stream.read(2), "big")))
        else:
            assert kind == b"\x06"
    return command, values, lists


@pytest.fixture
def swans() -> Iterator[tuple[Swan, Swan]]:
    """Sockets of Unix have short paths."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        pair = Swan(Path(folder) / "a"), Swan(Path(folder) / "b")
        try:
            yield pair
        finally:
            for swan in pair:
                swan.close()


def renew(run: Applications, swans: tuple[Swan, Swan], tell: str | None = None) -> Ended:
    take = shlex.join([*PYTHON, *run.command("strongswan_ppk", "receive"), "--vici", str(swans[1].path)])
    more = ["--vici", str(swans[0].path), "--ike", "line", "--tell", take if tell is None else tell]
    return run.run("strongswan_ppk", "send", *more)


def test_strongswan_gets_the_same_key_at_both_ends_before_it_connects_again(
    run: Applications, swans: tuple[Swan, Swan]
) -> None:
    here, there = swans
    ended = renew(run, swans)
    assert ended.code == 0, ended.told
    assert ended.told.endswith("256 bits; the IKE SA is made again\n")
    (supply,) = run.managers.network.supplies.values()
    shared = ("load-shared", {"id": b"tokaido", "type": b"PPK", "data": supply.data}, {"owners": [b"tokaido"]})
    assert there.asked == [shared]
    assert here.asked == [shared, ("rekey", {"ike": b"line", "reauth": b"yes"}, {})]
    here.sas = 0
    assert renew(run, swans).told.endswith("256 bits; the next IKE SA takes them\n")


def test_strongswan_keeps_its_key_when_the_other_end_got_none(run: Applications, swans: tuple[Swan, Swan]) -> None:
    ended = renew(run, swans, "false")
    assert ended.code == 1
    assert "the other end did not take the key" in ended.told
    assert swans[0].asked == swans[1].asked == []


# --- keys in memory ---------------------------------------------------------------------------------------------------


def test_each_program_overwrites_its_keys_whether_it_ends_or_breaks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(PROGRAMS))
    bank, hospital, diplomat = (importlib.import_module(name) for name in ("bank", "hospital", "diplomat"))
    drawn: list[ClientKey] = []

    def draw(*_: object) -> ClientKey:
        drawn.append(ClientKey(uuid.uuid4(), KeyMaterial(bytes(range(32)))))
        return drawn[-1]

    line = b"".join(bank.sealed([b"one", b"two", b"three"], draw, 2))
    assert list(bank.opened(io.BytesIO(line), draw)) == [b"one", b"two", b"three"]
    for broken in (bank.opened(io.BytesIO(line[:-1]), draw), bank.sealed(iter([b"", bytes(2 << 20)]), draw, 1)):
        with pytest.raises(bank.RefusedError):
            list(broken)
    list(hospital.sealed(io.BytesIO(bytes(3 << 20)), bytes(16), 0, draw, 1 << 20))
    with diplomat.joined([draw(), draw()]) as pad:
        assert pad == bytes(range(32)) * 2
    assert pad == bytes(64)
    assert len(drawn) > 10
    assert all(key.key.wiped for key in drawn)


# --- the page ---------------------------------------------------------------------------------------------------------


@pytest.mark.thorough
def test_the_tutorial_shows_what_the_programs_print(run: Applications) -> None:
    """Every command of it, in its order, with the names and ports of this pair."""
    page = (Path(__file__).parents[2] / "docs" / "tutorials" / "three-applications.md").read_text("utf-8")
    transfer = ""
    for block in re.findall(r"```console\n(.*?)```", page, re.DOTALL):
        for step in block.split("$ ")[1:]:
            command, _, shown = step.partition("\n")
            ended = run.shell(command.replace("TRANSFER", transfer))
            found = re.search(r"--resume (\w+):", ended)
            transfer = found[1] if found else transfer
            assert ended == (shown.replace("TRANSFER", transfer) if transfer else shown), command
    read = {name: (run.folder / name).read_bytes() for name in ("scan", "again", "cable", "copy")}
    assert (read["again"], read["copy"]) == (read["scan"], read["cable"])
