"""No altered key: what a fault alters between a unit's store and its host is never handed out, committed or loaded."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Any, Literal

import pytest

import tokaido.hal as hal
from tokaido.emulators import Emulator

SESSION = "00ff00ff00ff00ff"
NONCE = bytes(16)
BLOCKS = 60


def fill(emulator: Emulator, count: int, first: int = 0) -> dict[int, str]:
    """Put blocks into the store of a unit, and return what their keys are told by."""
    told: dict[int, str] = {}
    for number in range(first, first + count):
        key = hal.KeyMaterial(os.urandom(512))
        told[number] = key.digest(NONCE)
        info = hal.KeyBlockInfo(
            SESSION, number, key.bits, "lim2014", "chernoff", 1e-10, False, True, serial_number=emulator.serial_number
        )
        with emulator.lock:
            emulator.model.add_key_block(info, key)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    return told


def store_of(emulator: Emulator) -> Any:
    return emulator.model.store  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]


def draw(tx: hal.Transmitter, told: dict[int, str]) -> int | None:
    """Draw a block and commit it; return its number if its key is the right one, and None if nothing came."""
    for block in tx.key_blocks(0, limit=1):
        assert block.key.digest(NONCE) == told[block.info.number], f"another key for block {block.info.number}"
        with suppress(hal.TokaidoError):
            block.commit()
        return block.info.number
    return None


@pytest.mark.parametrize("direction", ["from_unit", "to_unit"])
def test_where_every_other_message_is_altered_each_key_is_right_and_none_is_lost(
    tx: hal.Transmitter, emulator: Emulator, direction: Literal["from_unit", "to_unit"]
) -> None:
    told = fill(emulator, BLOCKS)
    fault = emulator.faults.add("garble", direction=direction, port="keys", probability=0.5)
    right: set[int | None] = set()
    for _ in range(BLOCKS):
        with suppress(hal.TokaidoError):
            right.add(draw(tx, told))
    emulator.faults.clear()
    assert fault.fired > BLOCKS / 4
    while (number := draw(tx, told)) is not None:
        right.add(number)
    assert right - {None} == set(told)


def test_a_block_that_its_store_altered_is_locked_away_and_the_next_one_comes(
    tx: hal.Transmitter, emulator: Emulator
) -> None:
    told = fill(emulator, 3)
    emulator.add_fault("block_altered")
    assert [draw(tx, told) for _ in range(3)] == [1, 2, None]
    (alarm,) = [alarm for alarm in tx.alarms() if alarm.code == "QUARANTINE"]
    assert alarm.latched
    tx.acknowledge_security()
    assert "QUARANTINE" not in [alarm.code for alarm in tx.alarms()]


def test_what_a_unit_offers_altered_for_ever_is_told_and_stays_where_it_is(
    tx: hal.Transmitter, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = fill(emulator, 2)
    asked = emulator.faults.add("latency", direction="to_unit", port="keys", seconds=0, match=b"draw")
    with monkeypatch.context() as patch:
        patch.setattr(store_of(emulator), "altered", lambda *_: [])  # a unit that does not look at what it offers
        emulator.add_fault("block_altered")
        for _ in range(2):
            with pytest.raises(hal.ProtocolError, match=f"block {SESSION}/0 was offered 3 times") as caught:
                draw(tx, told)
            assert caught.value.remedy
            assert all(part in str(caught.value) for part in (tx.name, "draw", "zmq:"))
    assert asked.fired == 6
    assert emulator.model.key_orders() == []  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    assert draw(tx, told) == 1  # a unit that looks locks it away


def test_a_unit_that_states_no_digest_is_told(
    tx: hal.Transmitter, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = fill(emulator, 1)
    store = store_of(emulator)
    offers = store.offers
    monkeypatch.setattr(store, "offers", lambda count: [offer._replace(digest="") for offer in offers(count)])
    with pytest.raises(hal.ProtocolError, match="has no digest"):
        draw(tx, told)
