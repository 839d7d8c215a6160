"""Links between units: who hears whom, what a proof is of, and how a transmitter moves from one receiver to another."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from tokaido.emulators.toshiba import ReceiverModel, TransmitterModel
from tokaido.emulators.units import Light, State, UnitLink, UnitModel, parse_link
from tokaido.hal.authentication import PadLedgerError
from tokaido_testing.console import Host
from tokaido_testing.links import ALIGNING_NS, ClassicalChannel, Rig

if TYPE_CHECKING:
    from pathlib import Path

KEY = bytes(range(256)) * 16
OTHER_KEY = bytes(reversed(range(256))) * 16
TX, RX = "TKTX0001", "TKRX0001"
U = TypeVar("U", bound=UnitModel)


def unit(kind: type[U], serial_number: str, *links: tuple[str, str, bytes]) -> U:
    """Return a warm unit that has the keys of some links, the first of them in force."""
    model = kind(serial_number)
    model.warm()
    for peer, path, key in links:
        model.load_psk(key, UnitLink(peer, path))
    if links:
        select(model, *links[0][:2])
    return model


def select(model: UnitModel, peer: str, path: str) -> None:
    model.orders.select_link(parse_link(peer, path), None, called="LNK")


def state(model: UnitModel) -> str:
    return f"{model.state} {model.step}".strip()


def light_of(transmitter: TransmitterModel, path: str = "") -> Light:
    return Light(-7.0, 6.0, source=transmitter.serial_number, path=path)


def alarms(*models: UnitModel) -> list[set[str]]:
    return [{alarm.kind.code for alarm in model.alarms.active()} for model in models]


def pair(tx_path: str = "north", rx_path: str = "north") -> tuple[TransmitterModel, ReceiverModel]:
    tx, rx = unit(TransmitterModel, TX, (RX, tx_path, KEY)), unit(ReceiverModel, RX, (TX, rx_path, KEY))
    rx.incoming = light_of(tx)
    return tx, rx


# --- who hears whom -------------------------------------------------------------------------------------------------


def test_units_that_are_set_to_the_same_link_prove_and_align() -> None:
    tx, rx = pair()
    ClassicalChannel(tx, rx).until(lambda: tx.state == rx.state == State.STANDBY, 60)
    assert tx.peer.proved
    assert rx.peer.proved
    assert alarms(tx, rx) == [set(), set()]


def test_every_message_says_whose_it_is_and_of_which_path() -> None:
    tx, rx = pair()
    channel = ClassicalChannel(tx, rx)
    channel.pass_time(2)
    said = [json.loads(message[1:]) for message in channel.heard if message[:1] == b"J"]
    assert {(body["from"], body["path"]) for body in said} == {(TX, "north"), (RX, "north")}
    assert {body["kind"] for body in said} == {"status", "hello", "proof"}


def test_at_delivery_the_path_is_a_dash() -> None:
    tx = unit(TransmitterModel, TX)
    channel = ClassicalChannel(tx)
    channel.pass_time(0.1)
    assert {json.loads(message[1:])["path"] for message in channel.heard} == {"-"}


def test_units_on_different_paths_do_not_hear_each_other() -> None:
    tx, rx = pair("north", "south")
    before = tx.links.remaining(), rx.links.remaining()
    ClassicalChannel(tx, rx).pass_time(5)
    assert (tx.state, rx.state) == (State.AUTH, State.AUTH)
    assert (tx.peer.status, rx.peer.status) == ({}, {})
    assert alarms(tx, rx) == [{"PEER_UNREACHABLE"}, {"PEER_UNREACHABLE"}]
    assert (tx.links.remaining(), rx.links.remaining()) == before


def test_a_unit_does_not_hear_a_box_that_its_link_does_not_name() -> None:
    tx, rx = pair()
    stranger = unit(ReceiverModel, "TKRX0002", (TX, "north", OTHER_KEY))
    channel = ClassicalChannel(tx, rx, stranger)
    channel.until(lambda: tx.state == rx.state == State.STANDBY, 60)
    assert tx.peer.status["from"] == RX
    assert stranger.state == State.AUTH
    assert alarms(tx, rx) == [set(), set()]


@pytest.mark.parametrize("kind", ["status", "hello", "proof", "open", "opened"])
@pytest.mark.parametrize("change", [{"from": "TKRX0002"}, {"path": "south"}, {"from": None}, {"path": None}])
def test_no_message_of_another_box_or_path_is_taken(kind: str, change: dict[str, Any]) -> None:
    tx, _ = pair()
    tx.peer.take()
    before = tx.links.remaining()
    members = {"state": "RUN", "nonce": "00" * 16, "yours": "00" * 16, "index": 0, "tag": "00" * 16, "token": "0" * 16}
    body = {"kind": kind, "from": RX, "path": "north", "settings": [1, [], []], **members, **change}
    tx.peer.receive(b"J" + json.dumps({name: value for name, value in body.items() if value is not None}).encode())
    assert tx.peer.take() == []
    assert tx.peer.status == {}
    assert not tx.peer.reachable
    assert tx.links.remaining() == before
    assert tx.state == State.AUTH


def test_a_unit_at_delivery_hears_anybody() -> None:
    rx = unit(ReceiverModel, RX)
    for sender in ("TKTX0001", "OTHER-9"):
        rx.peer.receive(b"J" + json.dumps({"kind": "status", "from": sender, "path": "any", "state": "RUN"}).encode())
        assert rx.peer.status["from"] == sender
        assert rx.peer.reachable


def test_selecting_forgets_what_was_known_of_the_peer() -> None:
    tx, rx = pair()
    channel = ClassicalChannel(tx, rx)
    channel.until(lambda: tx.state == State.STANDBY, 60)
    assert tx.peer.status != {}
    select(tx, "-", "-")
    assert not tx.peer.reachable
    assert tx.peer.status == {}


# --- proofs ---------------------------------------------------------------------------------------------------------


def rewritten(message: bytes, **members: str) -> bytes:
    if message[:1] != b"J":
        return message
    body = json.loads(message[1:])
    return b"J" + json.dumps({**body, **members}).encode()


def test_a_proof_is_of_the_path() -> None:
    """The key is the same; an attacker on the channel makes each box believe that the other speaks of its path."""
    tx, rx = pair("north", "south")
    channel = ClassicalChannel(tx, rx)
    channel.tamper = lambda message: rewritten(message, path="south" if TX.encode() in message[:60] else "north")
    channel.pass_time(3)
    assert alarms(tx, rx) == [{"AUTH_MISMATCH"}, {"AUTH_MISMATCH"}]


@pytest.mark.parametrize("renamed", [TX, RX])
def test_a_proof_is_of_both_serial_numbers(renamed: str) -> None:
    tx, rx = unit(TransmitterModel, TX), unit(ReceiverModel, RX)
    for model in (tx, rx):
        model.load_psk(KEY)
    channel = ClassicalChannel(tx, rx)

    def rename(message: bytes) -> bytes:
        return rewritten(message, **{"from": "SOMEONE-ELSE"}) if json.loads(message[1:])["from"] == renamed else message

    channel.tamper = rename
    channel.pass_time(3)
    assert "AUTH_MISMATCH" in set.union(*alarms(tx, rx))
    assert not (tx.peer.proved and rx.peer.proved)


def test_different_keys_of_one_link_hold_both_units() -> None:
    tx = unit(TransmitterModel, TX, (RX, "north", KEY))
    rx = unit(ReceiverModel, RX, (TX, "north", OTHER_KEY))
    ClassicalChannel(tx, rx).pass_time(3)
    assert alarms(tx, rx) == [{"AUTH_MISMATCH"}, {"AUTH_MISMATCH"}]


# --- moving ---------------------------------------------------------------------------------------------------------


def test_a_transmitter_moves_from_one_receiver_to_another_with_a_proof_under_that_links_key() -> None:
    tx = unit(TransmitterModel, TX, (RX, "north", KEY), ("TKRX0002", "south", OTHER_KEY))
    first = unit(ReceiverModel, RX, (TX, "north", KEY))
    second = unit(ReceiverModel, "TKRX0002", (TX, "south", OTHER_KEY))
    first.incoming = light_of(tx)
    channel = ClassicalChannel(tx, first, second)
    channel.until(lambda: tx.state == first.state == State.STANDBY, 60)
    north, south = tx.links.remaining().values()
    assert north < south
    select(tx, "TKRX0002", "south")
    assert state(tx) == "AUTH"
    first.incoming, second.incoming = None, light_of(tx)
    channel.until(lambda: tx.state == second.state == State.STANDBY, 60)
    assert list(tx.links.remaining().values()) == [north, south - (south - north)]
    assert state(first) == "STANDBY"
    assert not first.peer.reachable
    select(tx, "TKRX0001", "north")
    first.incoming, second.incoming = light_of(tx), None
    select(first, "TKTX0001", "north")
    channel.until(lambda: tx.state == first.state == State.STANDBY, 60)


def test_a_receiver_finds_no_delay_in_the_light_of_another_transmitter() -> None:
    tx, rx = pair()
    wrong = unit(TransmitterModel, "TKTX0002")
    rx.incoming = light_of(wrong)
    channel = ClassicalChannel(tx, rx)
    channel.pass_time(100)
    assert state(rx) == "ALIGN DELAY"
    rx.incoming = light_of(tx)
    assert state(rx) == "ALIGN BIAS"
    channel.until(lambda: rx.state == State.STANDBY, 60)


@pytest.mark.parametrize("named", [True, False])
def test_light_of_an_open_source_and_a_link_to_anybody_are_no_hindrance(named: bool) -> None:
    if named:
        tx, rx = pair()
        rx.incoming = Light(-7.0, 6.0)
    else:
        tx, rx = unit(TransmitterModel, TX), unit(ReceiverModel, RX)
        for model in (tx, rx):
            model.load_psk(KEY)
        rx.incoming = Light(-7.0, 6.0, source="TKTX0002")
    ClassicalChannel(tx, rx).until(lambda: rx.state == State.STANDBY, 60)


# --- keys -----------------------------------------------------------------------------------------------------------


def test_blocks_name_the_link_that_made_them() -> None:
    rig = Rig()
    rig.run()
    rig.until(lambda: min(rig.waiting) >= 1, 5)
    before = rig.waiting
    rig.order("KEY STOP")
    for model, peer in ((rig.tx, RX), (rig.rx, TX)):
        model.load_psk(OTHER_KEY, UnitLink(peer, "north"))
        select(model, peer, "north")
    rig.until(lambda: rig.states == ("STANDBY", "STANDBY"), 60, ALIGNING_NS)
    rig.order("KEY START")
    rig.until(lambda: min(rig.waiting) > max(before), 10)
    for model, peer in ((rig.tx, RX), (rig.rx, TX)):
        offered = Host(model).ask("draw", max=16, wait_ms=0)["blocks"]
        sessions = {(block["session"], block["peer"], block["path"]) for block in offered}
        assert {names[1:] for names in sessions} == {("-", "-"), (peer, "north")}
        assert len({names[0] for names in sessions}) == 2
        infos = {(info.peer, info.path) for info, _ in model.store.oldest(16)}
        assert infos == {("", ""), (peer, "north")}
    assert rig.digests(rig.tx).keys() == rig.digests(rig.rx).keys()
    assert rig.digests(rig.tx) == rig.digests(rig.rx)


# --- ledgers that went back -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("went_back", [True, False])
@pytest.mark.parametrize("which", [TX, RX])
def test_a_unit_whose_ledger_was_put_back_makes_no_tag_and_both_are_held(
    tmp_path: Path, which: str, went_back: bool
) -> None:
    def switched_on(serial_number: str) -> UnitModel:
        kind = TransmitterModel if serial_number == TX else ReceiverModel
        model = kind(serial_number, state_directory=str(tmp_path / serial_number))
        model.warm()
        peer = RX if serial_number == TX else TX
        model.load_psk(KEY, UnitLink(peer, "north"))
        select(model, peer, "north")
        return model

    models = {serial_number: switched_on(serial_number) for serial_number in (TX, RX)}
    models[which].links.erase()  # as switching off does
    shutil.copytree(tmp_path / which, tmp_path / "copy")
    models[which] = switched_on(which)
    channel = ClassicalChannel(*models.values())
    for _ in range(6):
        for model in models.values():
            model.enter(State.AUTH)
        channel.until(lambda: all(model.peer.proved for model in models.values()), 10)
    models[which].links.erase()
    if went_back:
        shutil.rmtree(tmp_path / which)
        shutil.copytree(tmp_path / "copy", tmp_path / which)
    models[which] = switched_on(which)
    channel = ClassicalChannel(*models.values())
    channel.pass_time(4)
    said = [json.loads(message[1:]) for message in channel.heard if message[:1] == b"J"]
    proofs = [body for body in said if (body["kind"], body["from"]) == ("proof", which)]
    assert bool(proofs) is not went_back
    held = ["AUTH_MISMATCH" in active for active in alarms(*models.values())]
    assert held == [went_back, went_back]
    if went_back:
        assert [model.state for model in models.values()] == [State.SECURITY_HOLD] * 2
        with pytest.raises(PadLedgerError, match="went back"):
            models[which].links.pool._spend()  # type: ignore[union-attr]  # pyright: ignore[reportOptionalMemberAccess]
