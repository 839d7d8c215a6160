"""Messages that no unit writes: a unit that gets one ends its session, says why, and goes on."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tokaido.emulators.toshiba import ReceiverModel, TransmitterModel
from tokaido.emulators.units import Session, State, UnitModel
from tokaido_testing.links import Rig

if TYPE_CHECKING:
    from collections.abc import Iterator

WHOLE: dict[str, dict[str, Any]] = {
    "status": {
        "state": "RUN", "aligned": True, "full": False, "session": "0" * 16, "block_bits": 1_000_000, "channels": [0],
    },
    "hello": {"nonce": "0a" * 16, "segments": [0], "heard": 3, "seal": "0c" * 16},
    "proof": {
        "nonce": "0a" * 16, "yours": "0b" * 16, "segments": [0], "index": 3, "tag": "0c" * 16, "heard": 3, "seal": "",
    },
    "refusal": {"yours": "0b" * 16, "seal": ""},
    "open": {"token": "1" * 16, "settings": [1_000_000, [0.4, 0.2, 0.001], [0.3, 0.5, 0.2]]},
    "opened": {"token": "1" * 16},
}  # fmt: skip
WRONG = (
    "Infinity", "-Infinity", "NaN", "1e999", "-1", "1.5", str(1 << 70), "7", "{}", "[[]]", "[NaN]", "[Infinity]",
    json.dumps("f" * 5000), json.dumps([-1] * 3), json.dumps([1 << 64]), json.dumps([0] * 70_000),
    "[" * 2000 + "]" * 2000, "[1e6, [Infinity, 0.2, 0.001], [0.3, 0.5, 0.2]]",
    "[1000000, [0.4, 0.2, 0.001], [0.3, 0.5, 0.9]]", "[1000000, [0.1, 0.2, 0.001], [0.3, 0.5, 0.2]]",
    "[1000000, [0.4, 0.2, 0.001], [1.3, -0.5, 0.2]]", "[1000000, [1e308, 0.2, 0.001], [0.3, 0.5, 0.2]]",
)  # fmt: skip
FITS = {("index", "7"), ("heard", "7")}


def forged(kind: str, sender: str = "PEER-0001", field: str = "", value: str = "") -> bytes:
    """Return a message with one field replaced by a piece of JSON."""
    members = {"kind": kind, "from": sender, "path": "-", **WHOLE[kind]}
    parts = (f"{json.dumps(name)}: {value if name == field else json.dumps(of)}" for name, of in members.items())
    return b"J{" + ", ".join(parts).encode() + b"}"


def all_forged(sender: str) -> Iterator[tuple[str, str, bytes]]:
    for kind, members in WHOLE.items():
        for field in ("kind", "from", "path", *members):
            for value in WRONG:
                if (field, value) not in FITS:
                    yield field, value[:60], forged(kind, sender, field, value)


def in_session(unit: UnitModel) -> UnitModel:
    unit.prepare(State.RUN)
    unit.alarms.clear("EC_FAIL")
    unit.blocks.session = Session("2" * 16, unit.now_ns, 1_000_000, (0.4, 0.2, 0.001), (0.3, 0.5, 0.2))
    return unit


@pytest.mark.parametrize("model", [TransmitterModel, ReceiverModel])
def test_a_field_that_no_unit_writes_ends_the_session_with_a_reason(model: type[UnitModel]) -> None:
    unit = model()
    for field, value, message in all_forged("PEER-0001"):
        in_session(unit)
        unit.peer.receive(message)
        assert unit.blocks.session is None, (field, value)
        assert "EC_FAIL" in unit.alarms
        unit.advance(unit.now_ns + 50_000_000)
        assert unit.state is State.RUN


@pytest.mark.parametrize("kind", WHOLE)
@pytest.mark.parametrize("model", [TransmitterModel, ReceiverModel])
def test_what_a_unit_may_write_ends_no_session(model: type[UnitModel], kind: str) -> None:
    unit = in_session(model())
    session = unit.blocks.session
    unit.peer.receive(forged(kind))
    assert unit.blocks.session is session
    assert "EC_FAIL" not in unit.alarms


@pytest.mark.parametrize(
    "data", [b"", b"J", b"J{}", b"J[]", b"J" + b"[" * 100_000, b"D", b"X{}", b"J\xff", b"J" + b" " * (2 << 20)]
)
def test_what_is_no_message_at_all_is_survived(data: bytes) -> None:
    unit = in_session(TransmitterModel())
    unit.peer.receive(data)
    unit.advance(unit.now_ns + 1_000_000_000)
    assert unit.state is State.RUN


def test_two_units_on_a_bench_that_get_all_of_it_answer_and_make_the_next_key() -> None:
    rig = Rig().run()
    rig.until(lambda: min(rig.waiting) >= 1, 20)
    sessions = rig.tx.session_id
    for unit, peer in ((rig.tx, rig.rx), (rig.rx, rig.tx)):
        for _, _, message in all_forged(peer.serial_number):
            unit.peer.receive(message)
    rig.pass_time(0.2)
    for program in rig.programs:
        assert program.data("RATE:SIFT?")
    assert [set(program.active()) for program in rig.programs] == [{"EC_FAIL"}, {"EC_FAIL"}]
    waiting = rig.waiting
    rig.until(lambda: all(now > before for now, before in zip(rig.waiting, waiting, strict=True)), 20)
    assert rig.tx.session_id == rig.rx.session_id != sessions
    assert [set(program.active()) for program in rig.programs] == [set(), set()]


@pytest.mark.parametrize("model", [TransmitterModel, ReceiverModel])
def test_a_unit_that_asks_for_a_proof_survives_all_of_it(model: type[UnitModel]) -> None:
    unit = model()
    unit.warm()
    unit.load_psk(bytes(range(256)) * 16)
    unit.advance(unit.now_ns + 2_000_000_000)
    spent = unit.links.remaining()
    for _, _, message in all_forged("PEER-0001"):
        unit.peer.receive(message)
        unit.advance(unit.now_ns + 1_000_000)
    assert unit.state is State.AUTH
    assert unit.links.remaining() == spent  # not a pad went on what no unit writes
