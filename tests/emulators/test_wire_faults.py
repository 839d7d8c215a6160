"""Faults on the wire: each kind does what it says, in its direction, as often as it was told, until it is removed."""

from __future__ import annotations

import math
import random
import time
from typing import TYPE_CHECKING

import pytest

from tokaido.emulators import KINDS, Emulator, Faults, launch
from tokaido.emulators._fault_kinds import Fate
from tokaido.emulators._faults import fate
from tokaido.hal import ConfigurationError
from tokaido_testing.console import KeyClient, ask_port, open_port, seal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import serial

REPLY = (seal("TKTX0001", "=000001 OK 0") + "\r\n").encode()
REQUEST = "#000001 EMI?"


@pytest.fixture
def unit(tmp_path: Path) -> Iterator[Emulator]:
    with launch("toshiba.transmitter", warm=True, directory=tmp_path, seed=3) as emulator:
        yield emulator


@pytest.fixture
def line(unit: Emulator) -> Iterator[serial.Serial]:
    with open_port(unit) as opened:
        opened.timeout = 0.2
        yield opened


@pytest.mark.parametrize("direction", ["to_unit", "from_unit"])
def test_drop_loses_one_piece(unit: Emulator, line: serial.Serial, direction: str) -> None:
    fault = unit.faults.add("drop", direction=direction, count=1)  # type: ignore[arg-type]
    assert ask_port(line, REQUEST) == b""
    assert ask_port(line, REQUEST) == REPLY
    assert (fault.fired, len(unit.faults)) == (1, 0)


def test_duplicate_carries_a_reply_twice(unit: Emulator, line: serial.Serial) -> None:
    unit.faults.add("duplicate", count=1)
    assert ask_port(line, REQUEST) == REPLY
    assert line.read_until(b"\n") == REPLY


def test_garble_alters_one_byte_and_no_line_end(unit: Emulator, line: serial.Serial) -> None:
    unit.faults.add("garble", count=1)
    reply = ask_port(line, REQUEST)
    assert len(reply) == len(REPLY)
    assert sum(a != b for a, b in zip(reply, REPLY, strict=True)) == 1
    assert reply.endswith(b"\r\n")


def test_a_garbled_request_is_not_carried_out(unit: Emulator, line: serial.Serial) -> None:
    unit.faults.add("garble", direction="to_unit", count=1)
    line.write((seal("TKTX0001", "#000001 VOA:ATT 3") + "\r").encode())
    assert b" OK" not in line.read_until(b"\n")
    assert b"OK 35" in ask_port(line, "#000002 VOA:ATT?")


def test_truncate_carries_a_beginning(unit: Emulator, line: serial.Serial) -> None:
    unit.faults.add("truncate", count=1)
    reply = ask_port(line, REQUEST)
    assert len(reply) < len(REPLY)
    assert REPLY.startswith(reply)


def test_split_and_latency_only_take_time(unit: Emulator, line: serial.Serial) -> None:
    line.timeout = 5

    def took_s() -> float:
        began = time.monotonic()
        assert ask_port(line, REQUEST) == REPLY
        return time.monotonic() - began

    for kind in ("split", "latency"):
        fault = unit.faults.add(kind, seconds=0.2)
        assert took_s() >= 0.2
        fault.remove()
        assert min(took_s() for _ in range(3)) < 0.2  # a busy machine may hold up one of them


def test_hang_lasts_until_it_is_removed_and_loses_nothing(unit: Emulator, line: serial.Serial) -> None:
    fault = unit.faults.add("hang", direction="to_unit", port="control", count=1, seconds=math.inf)
    assert ask_port(line, REQUEST) == b""
    with KeyClient(unit) as keys:
        assert keys.ask("status")
    fault.remove()
    assert line.read_until(b"\n") == REPLY


def test_unplug_comes_back_by_itself(unit: Emulator, line: serial.Serial) -> None:
    unit.faults.add("unplug", direction="to_unit", port="control", count=1, seconds=0.1)
    with pytest.raises(OSError):  # noqa: PT011 - pyserial raises several
        ask_port(line, REQUEST)
    deadline = time.monotonic() + 2
    while not unit.control.plugged and time.monotonic() < deadline:
        time.sleep(0.01)
    with open_port(unit) as again:
        assert ask_port(again, REQUEST) == REPLY


def test_disconnect_of_the_key_channel_comes_back_at_the_same_endpoint(unit: Emulator) -> None:
    endpoint = unit.keys.endpoint
    unit.faults.add("disconnect", direction="from_unit", port="keys", count=1, seconds=0.1)
    with KeyClient(unit) as keys:
        assert keys.ask("status", timeout_s=0.2) is None
    with KeyClient(unit) as keys:
        assert keys.ask("status", timeout_s=3)
    assert unit.keys.endpoint == endpoint


def test_wrong_id_lets_another_box_answer(unit: Emulator, line: serial.Serial) -> None:
    fault = unit.faults.add("wrong_id", direction="to_unit")
    line.write((seal("", "#000001 IDN?") + "\r").encode())
    assert b",TKTX0001-X9," in line.read_until(b"\n")
    assert b"CHECKSUM" in ask_port(line, REQUEST)
    with KeyClient(unit) as keys:
        hello = keys.ask("hello", protocol="TQK1")
        assert hello is not None
        assert hello["serial_number"] == "TKTX0001-X9"
        fault.remove()
        status = keys.ask("status")
        assert status is not None
        assert status["serial_number"] == "TKTX0001"


def test_endless_sends_more_than_any_line_may_have(unit: Emulator, line: serial.Serial) -> None:
    unit.faults.add("endless", count=1, size=50_000)
    line.timeout = 1
    line.write((seal("TKTX0001", REQUEST) + "\r").encode())
    assert line.read(50_000) == b"A" * 50_000
    assert ask_port(line, REQUEST) == REPLY


def test_an_alarm_comes_between_a_request_and_its_reply(unit: Emulator, line: serial.Serial) -> None:
    unit.faults.add("alarm", direction="to_unit", match=b"STAT?", provokes="cover_opened", count=1)
    assert ask_port(line, REQUEST) == REPLY
    line.write((seal("TKTX0001", "#000002 STAT?") + "\r").encode())
    assert line.read_until(b"\n").startswith(b"!000001 RAISED TAMPER CRITICAL ")
    assert line.read_until(b"\n").startswith(b"=000002 OK SECURITY_HOLD*")


def test_messages_meet_the_faults_too(unit: Emulator) -> None:
    with KeyClient(unit) as keys:
        for kind in ("drop", "hang"):
            fault = unit.faults.add(kind, port="keys", count=1, seconds=0.3)
            assert keys.ask("status", timeout_s=0.15) is None
            fault.remove()
            keys.socket.poll(100)
            while keys.socket.poll(50):
                keys.socket.recv_multipart()
            assert keys.ask("status")
        unit.faults.add("duplicate", port="keys", count=1)
        assert keys.ask("status")
        assert keys.socket.poll(500)


def test_a_fault_in_the_device_is_begun_and_mended_from_its_handle(unit: Emulator, line: serial.Serial) -> None:
    unit.add_fault("cover_opened")
    assert line.read_until(b"\n").startswith(b"!000001 RAISED TAMPER ")
    assert list(unit.model_faults) == ["cover_opened"]
    assert b"REFUSED" in ask_port(line, "#000001 SEC ACK")
    unit.remove_fault("cover_opened")
    line.write((seal("TKTX0001", "#000002 SEC ACK") + "\r").encode())
    assert line.read_until(b"\n").startswith(b"!000002 CLEARED TAMPER ")
    assert line.read_until(b"\n").startswith(b"=000002 OK")


# --- the faults themselves ------------------------------------------------------------------------------------------


def test_the_same_seed_strikes_the_same_pieces() -> None:
    def struck(seed: int) -> list[int]:
        faults = Faults(seed)
        faults.add("drop", probability=0.5)
        return [len(faults.strike("control", "from_unit", b"x")) for _ in range(64)]

    assert struck(1) == struck(1)
    assert struck(1) != struck(2)
    assert 16 < sum(struck(1)) < 48


PIECES = ([b""], [b"x"], [b"\r\n"], [b"=000001 OK\r\n"], [b"12345678", b"{}"], [b"12345678", b"", b"k"])


def met(kind: str, piece: list[bytes], seed: int = 0) -> Fate:
    """Return what becomes of a piece, a stream's or a message, that meets one fault."""
    faults = Faults(0, ["cover_opened"])
    direction = "to_unit" if kind in ("wrong_id", "alarm", "echo") else "from_unit"
    faults.add(kind, direction=direction, seconds=0.5, size=1000)  # type: ignore[arg-type]
    struck = faults.strike("control" if len(piece) == 1 else "keys", direction, b"".join(piece))  # type: ignore[arg-type]
    assert len(struck) == (len(piece) == 1 if kind == "split" else len(piece) > 1 if kind == "swap" else True)
    return fate(piece, struck, random.Random(seed))


def differences(piece: list[bytes], other: list[bytes]) -> int:
    """Return in how many bytes two pieces of the same shape differ."""
    assert list(map(len, other)) == list(map(len, piece))
    return sum(a != b for a, b in zip(b"".join(piece), b"".join(other), strict=True))


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("piece", PIECES)
def test_every_kind_does_to_every_piece_what_it_says(piece: list[bytes], seed: int) -> None:
    whole, text = [(0.0, piece)], b"".join(piece)
    assert met("latency", piece, seed).parts == [(0.5, piece)]
    assert met("drop", piece, seed).parts == []
    assert met("duplicate", piece, seed).parts == whole * 2

    ((delay, frames),) = met("garble", piece, seed).parts
    assert (delay, differences(piece, frames)) == (0.0, 1 if text.strip(b"\r\n") else 0)
    assert b"".join(frames).count(b"\n") == text.count(b"\n")

    ((delay, frames),) = met("truncate", piece, seed).parts
    carried = b"".join(frames)
    assert delay == 0.0
    assert text.startswith(carried)
    assert len(carried) < len(text) or not text
    if len(piece) > 1:  # a message keeps the frame that says whom it is for
        assert frames[0] == piece[0]
        assert 1 < len(frames) <= len(piece)

    parts = met("split", piece, seed).parts
    assert b"".join(frame for _, frames in parts for frame in frames) == text
    if len(piece) == 1:
        assert [delay for delay, _ in parts] == [0.5 * i for i in range(len(parts))]
        assert len(parts) == min(max(len(text), 1), 4)
        assert all(frames != [b""] for _, frames in parts) or not text
    else:
        assert parts == whole

    ((_, frames),) = met("endless", piece, seed).parts
    assert frames == [*piece[: len(piece) > 1], b"A" * 1000]
    assert (len(frames) > 1) == (len(piece) > 1)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("piece", PIECES)
def test_every_kind_that_adds_or_loses_a_little_does_what_it_says(piece: list[bytes], seed: int) -> None:
    text = b"".join(piece)
    ((delay, frames),) = met("noise", piece, seed).parts
    grown = [i for i, (frame, was) in enumerate(zip(frames, piece, strict=True)) if frame != was]
    assert (delay, len(grown)) == (0.0, 1)
    assert frames[grown[0]].endswith(piece[grown[0]])
    stray = frames[grown[0]].removesuffix(piece[grown[0]]) if piece[grown[0]] else frames[grown[0]]
    assert 1 <= len(stray) <= 4
    assert not set(stray) & set(b"\r\n")

    ((delay, frames),) = met("lost_byte", piece, seed).parts
    lost = len(text) - len(b"".join(frames))
    assert (delay, lost) == (0.0, 1 if text.strip(b"\r\n") else 0)
    assert [frame[-1:] == b"\n" for frame in frames] == [was[-1:] == b"\n" for was in piece]

    ((delay, frames),) = met("parity", piece, seed).parts
    assert [bytes(byte if byte in b"\r\n" else byte ^ 128 for byte in frame) for frame in frames] == piece

    (first, second) = met("blank", piece, seed).parts
    assert second == (0.0, piece)
    assert first == (0.0, [b"\r\n" if frame.endswith(b"\r\n") else b"" for frame in piece])


@pytest.mark.parametrize("piece", PIECES)
def test_what_alters_the_order_leaves_the_bytes_alone(piece: list[bytes]) -> None:
    whole = [(0.0, piece)]
    assert met("echo", piece) == Fate(whole, comes_back=whole)
    assert met("swap", piece).waits == (len(piece) > 1)
    faults = Faults(0)
    faults.add("stale", port="control")
    came = [fate([word], faults.strike("control", "from_unit", word), random.Random(0)) for word in (b"1", b"2", b"3")]
    assert [one.parts for one in came] == [[(0.0, [b"1"])], [(0.0, [b"1"])], [(0.0, [b"2"])]]


@pytest.mark.parametrize("piece", PIECES)
def test_what_strikes_the_plug_or_the_device_leaves_the_bytes_alone(piece: list[bytes]) -> None:
    whole = [(0.0, piece)]
    for kind in ("unplug", "disconnect"):
        assert met(kind, piece) == Fate([], unplug_s=0.5)
    hung = met("hang", piece)
    assert hung.hang is not None
    assert hung == Fate(whole, hang=hung.hang)
    assert met("wrong_id", piece) == Fate(whole, wrong_id=True)
    assert met("alarm", piece) == Fate(whole, provokes=["cover_opened"])


def test_the_tests_above_know_every_kind() -> None:
    bytewise = {"latency", "drop", "duplicate", "garble", "truncate", "split", "endless"}
    bytewise |= {"noise", "lost_byte", "parity", "blank", "stale", "echo", "swap"}
    assert bytewise | {"unplug", "disconnect", "hang", "wrong_id", "alarm"} == set(KINDS)


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "gremlins"},
        {"kind": "drop", "direction": "sideways"},
        {"kind": "alarm", "direction": "from_unit"},
        {"kind": "wrong_id", "direction": "from_unit"},
        {"kind": "split", "port": "keys"},
        {"kind": "drop", "probability": 1.5},
        {"kind": "latency", "seconds": -1},
        {"kind": "alarm", "direction": "to_unit", "provokes": "earthquake"},
    ],
)
def test_a_fault_that_cannot_be_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError):
        Faults(0).add(**wrong)  # type: ignore[arg-type]
