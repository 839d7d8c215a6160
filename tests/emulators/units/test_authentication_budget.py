"""The authentication key of a link: it is refilled, kept back for restarts, and not to be burnt from outside."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING

import pytest

from tokaido.emulators import Bench, QkdLink, launch
from tokaido.emulators.distillation import _messages as messages
from tokaido.emulators.toshiba import ReceiverModel, TransmitterModel
from tokaido.emulators.units import State, UnitModel, _budget
from tokaido.emulators.units._budget import ATTEMPTS_PER_HOUR, BATCH, BUDGET
from tokaido.hal.authentication._pads import SHARES
from tokaido_testing.console import Host, Program
from tokaido_testing.links import ALIGNING_NS, FIBRE, PARAMETERS, ClassicalChannel, Rig

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tokaido.hal.authentication import AuthenticationPool


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a block that waits for a lost message be given up soon."""
    monkeypatch.setattr("tokaido.emulators.bench._distilling.STALLED_NS", 300_000_000)


KEY = random.Random(3).randbytes(4096)
PAD_BITS = 128


def small_key(pads: int) -> bytes:
    """Return a pre-shared key of so many pads per direction beside the reserve."""
    return KEY[: 32 + 32 * (BUDGET.reserve + pads)]


def rig_of(pads: int) -> Rig:
    return Rig(psk=(small_key(pads), small_key(pads)))


def run_blocks(rig: Rig, blocks: int, limit_s: float) -> None:
    """Let time pass until so many blocks wait at both ends."""
    rig.until(lambda: min(rig.waiting) >= blocks, limit_s)


def pool_of(unit: UnitModel) -> AuthenticationPool:
    pool = unit.links.pool
    assert pool is not None
    return pool


def pads_in_reserve(unit: UnitModel) -> int:
    """Return how many pads of the reserve this end has not spent."""
    first = pool_of(unit)._segments[0]
    return min(first.own_left, BUDGET.reserve)


def in_step(rig: Rig, lost: int = 0) -> bool:
    """Whether both ends hold the same segments, and know how far the other spent them but for tags that were lost."""
    ours, theirs = pool_of(rig.tx)._segments, pool_of(rig.rx)._segments
    if ours.keys() != theirs.keys():
        return False
    pairs = [(ours[number], theirs[number]) for number in ours]
    behind = [gap for a, b in pairs for gap in (a.own_next - b.peer_next, b.own_next - a.peer_next)]
    return min(behind) >= 0 and sum(behind) <= lost


def lose(rig: Rig, kind: type[object], sender: str, times: int) -> list[bytes]:
    """Lose some messages of a kind on the classical channel; the list fills with them."""
    lost: list[bytes] = []

    def tamper(side: str, message: bytes) -> Iterable[bytes]:
        hit = side == sender and message[:1] == b"D" and isinstance(messages.decode(message[17:]), kind)
        if hit and len(lost) < times:
            lost.append(message)
            return []
        return [message]

    rig.link.add_tamper(tamper)
    return lost


# --- replenishment --------------------------------------------------------------------------------------------------


def test_a_pool_for_one_block_is_refilled_by_it_and_the_blocks_say_their_net_length() -> None:
    plenty, scarce = Rig().run(), rig_of(4).run()
    for rig in (plenty, scarce):
        run_blocks(rig, 2, 10)
        assert rig.digests(rig.tx) == rig.digests(rig.rx)
    whole, first = (rig.rx.store.oldest(1)[0] for rig in (plenty, scarce))
    assert whole[0].bits - first[0].bits == SHARES[2] * 2 * PAD_BITS == 8192
    assert first[0].bits == first[1].bits == scarce.tx.store.oldest(1)[0][0].bits
    for unit in (scarce.tx, scarce.rx):
        counts = pool_of(unit).counts
        assert counts.preshared == 2 * PAD_BITS * (BUDGET.reserve + 4)
        assert counts.replenished >= 2 * 512 + 8192
        assert counts.preshared + counts.replenished == counts.spent + counts.discarded + counts.remaining
        assert counts.spent >= 2 * PAD_BITS * (1 + 2 * 2)  # more than the 4 pads that were there for blocks
        assert pads_in_reserve(unit) == BUDGET.reserve
        assert pool_of(unit).remaining_tags >= BUDGET.low
    assert [program.active() for program in scarce.programs] == [set(), set()]


def test_a_pool_is_full_when_it_holds_31_blocks_and_takes_no_more() -> None:
    rig = rig_of(58).run()  # each block adds a net two, so that the last three find it full
    run_blocks(rig, 6, 30)
    for unit in (rig.tx, rig.rx):
        assert BUDGET.full <= pool_of(unit).remaining_tags <= BUDGET.full + 2
    shares = [info.bits for info, _ in rig.rx.store.oldest(6)]
    assert rig.digests(rig.tx) == rig.digests(rig.rx)
    assert [(info.bits) for info, _ in rig.tx.store.oldest(6)] == shares


# --- in step --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "sender"),
    [(messages.Accept, "receiver"), (messages.Accept, "transmitter"), (messages.TranscriptTag, "receiver")],
)
def test_the_pools_are_in_step_after_a_block_that_failed(kind: type[object], sender: str) -> None:
    rig = rig_of(12).run()
    rig.until(lambda: min(rig.waiting) >= 1, 5)
    lost = lose(rig, kind, sender, 1)
    rig.until(lambda: len(lost) == 1, 5)
    before = rig.waiting
    rig.until(lambda: min(rig.waiting) >= max(before) + 2, 20)
    rig.until(lambda: in_step(rig, lost=1), 5)
    transmitters, receivers = rig.digests(rig.tx), rig.digests(rig.rx)
    both = transmitters.keys() & receivers.keys()
    assert len(both) >= 2
    assert {name: transmitters[name] for name in both} == {name: receivers[name] for name in both}
    assert min(unit.blocks.attempts.left(unit.now_ns) for unit in (rig.tx, rig.rx)) == ATTEMPTS_PER_HOUR - 1
    bits = [{info.number: info.bits for info, _ in unit.store.oldest(64)} for unit in (rig.tx, rig.rx)]
    assert all(bits[0][number] == bits[1][number] for _, number in both)
    for unit in (rig.tx, rig.rx):
        assert pads_in_reserve(unit) == BUDGET.reserve


def restarted(rig: Rig, state: Path) -> None:
    """Let the transmitter come up again from its folder, its peer left as it was; nothing of the old one is closed."""
    rig.tx = TransmitterModel(state_directory=state)  # with a nonce of its own
    rig.tx.settings |= rig.link.bench._transmitters["transmitter"].model.settings
    rig.tx.advance(rig.rx.now_ns)
    rig.programs = Program(rig.tx), rig.programs[1]
    bench = Bench(seed=12)
    bench._now_ns = rig.rx.now_ns
    bench.add("transmitter", rig.tx)
    bench.add("receiver", rig.rx)
    bench.build("transmitter", "receiver", PARAMETERS)
    rig.link = QkdLink.__new__(QkdLink)
    rig.link._take(bench, FIBRE)
    rig.rx.go_safe()  # the bench is new too, and with it the light: it aligns again, and proves nothing by itself
    rig.tx.warm()
    rig.tx.load_psk(small_key(8))


def test_a_unit_that_restarts_goes_on_where_its_pads_were_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tokaido.hal.authentication import _pads

    spent: list[tuple[str, int]] = []
    spend = _pads.AuthenticationPool._spend

    def noted(self: AuthenticationPool, *args: object) -> tuple[int, bytes]:
        index, key = spend(self, *args)  # type: ignore[arg-type]
        spent.append((self.end, index))
        return index, key

    monkeypatch.setattr(_pads.AuthenticationPool, "_spend", noted)
    rig, restarts = rig_of(8), 3
    restarted(rig, tmp_path)
    for _ in range(restarts):
        if rig.states[1] == "STANDBY":
            rig.programs[1].data("KEY START")
        rig.until(lambda: rig.states[0] == "STANDBY", 60, ALIGNING_NS)
        rig.programs[0].data("KEY START")
        if rig.states[1] == "STANDBY":
            rig.programs[1].data("KEY START")
        run_blocks(rig, 2, 60)
        rig.until(lambda: in_step(rig), 5)
        theirs = rig.digests(rig.rx)
        assert rig.digests(rig.tx).items() <= theirs.items()
        restarted(rig, tmp_path)
    assert len(set(spent)) == len(spent) > restarts * 2 * 3
    of_database = {f"TKTX0001.pads{end}" for end in ("", "-wal", "-shm")}  # the unit is alive and holds it open
    assert {file.name for file in tmp_path.iterdir()} <= of_database
    assert pads_in_reserve(rig.rx) > BUDGET.reserve - restarts * BATCH
    assert pads_in_reserve(rig.tx) >= BUDGET.reserve - restarts * BATCH + 8 - BATCH


# --- the reserve and the refusals -----------------------------------------------------------------------------------


def test_blocks_that_fail_leave_the_reserve_alone_and_no_session_is_begun_on_too_little() -> None:
    rig = rig_of(5).run()
    lose(rig, messages.Accept, "transmitter", 1000)
    rig.until(lambda: rig.tx.session_id is None and rig.tx.blocks.attempts_left == 0, 60)
    rig.pass_time(3)
    assert rig.waiting == (0, 0)
    assert [pads_in_reserve(unit) for unit in (rig.tx, rig.rx)] == [BUDGET.reserve] * 2
    assert rig.tx.running
    assert rig.tx.session_id is None
    assert "AUTH_KEY_LOW" in rig.programs[0].active()
    rig.programs[0].data("KEY STOP")
    assert rig.programs[0].ask("KEY START") == ("ERR 32 REFUSED too little authentication key: 0 attempts are left")


def test_the_alarm_says_how_many_attempts_are_left() -> None:
    rig = rig_of(9)
    rig.pass_time(1)
    for program in rig.programs:
        program.read()
        (line,) = [line for line in program.alarms if "AUTH_KEY_LOW" in line]
        said = line.partition("MAJOR ")[2].partition("*")[0]
        assert said == "authentication key for less than 16 blocks: 4 attempts are left"


def test_without_a_folder_the_unit_says_that_pads_are_forgotten(tmp_path: Path) -> None:
    assert not TransmitterModel().pads.durable
    assert "in memory only" in repr(TransmitterModel().pads)
    assert TransmitterModel(state_directory=tmp_path).pads.durable
    assert list(tmp_path.iterdir()) == []


def test_a_key_of_another_link_is_refused_after_a_restart_too(tmp_path: Path) -> None:
    first = ReceiverModel(state_directory=tmp_path)
    first.warm()
    Host(first).ask("load_psk", KEY, peer="TKTX0001", path="north")
    again = ReceiverModel(state_directory=tmp_path)
    again.warm()
    reply = Host(again).ask("load_psk", KEY, peer="TKTX0001", path="south")
    assert (reply["code"], reply["text"]) == ("RANGE", "this pre-shared key was loaded for another link")
    assert Host(again).ask("load_psk", KEY, peer="TKTX0001", path="north")["loaded"] == 4096


def test_a_key_is_refused_when_nobody_knows_which_of_its_pads_were_spent(tmp_path: Path) -> None:
    unit = ReceiverModel(state_directory=tmp_path)
    unit.warm()
    (tmp_path / "TKRX0001.pads").write_bytes(b"no ledger" * 100)
    reply = Host(unit).ask("load_psk", KEY)
    assert reply["code"] == "INTERNAL"
    assert "cannot be used" in str(reply["text"])
    assert unit.links.pool is None


# --- attempts -------------------------------------------------------------------------------------------------------


def forged_hello(sender: UnitModel, seal: bytes | None = None) -> bytes:
    """Return a request for a proof that the sender never made, under its seal or another one."""
    nonce = random.randbytes(16)
    if seal is None:
        seal = pool_of(sender).seal(b"|".join([b"heard", sender.serial_number.encode(), b"-", nonce, b"0"]))
    body = {"kind": "hello", "from": sender.serial_number, "path": "-", "nonce": nonce.hex(), "segments": []}
    return b"J" + json.dumps({**body, "heard": 0, "seal": seal.hex()}).encode()


def proofs(unit: UnitModel) -> int:
    return sum(b'"proof"' in message for message in unit.peer.take())


def test_who_asks_for_proofs_gets_16_an_hour_and_the_peer_waits_with_him(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _budget.HOUR_NS == 3_600_000_000_000
    monkeypatch.setattr(_budget, "HOUR_NS", 60_000_000_000)  # this one is a short hour
    tx, rx = TransmitterModel(), ReceiverModel()
    for unit in (tx, rx):
        unit.warm()
        unit.load_psk(KEY)
    for unit in (tx, rx):
        for _ in range(3 * ATTEMPTS_PER_HOUR):
            unit.peer.receive(forged_hello(rx if unit is tx else tx))
        assert proofs(unit) == ATTEMPTS_PER_HOUR
        assert pool_of(unit).counts.spent == ATTEMPTS_PER_HOUR * PAD_BITS
    channel = ClassicalChannel(tx, rx)
    channel.pass_time(5)
    for unit in (tx, rx):
        assert (unit.peer.proved, unit.state) == (False, State.AUTH)
        assert {alarm.kind.code for alarm in unit.alarms.active()} >= {"AUTH_KEY_LOW"}
        unit.advance(unit.now_ns + _budget.HOUR_NS)
        unit.peer.take()
    channel.pass_time(5)
    assert [unit.peer.proved for unit in (tx, rx)] == [True, True]
    assert [unit.blocks.attempts.left(unit.now_ns) for unit in (tx, rx)] == [ATTEMPTS_PER_HOUR] * 2


def test_a_request_without_the_seal_of_the_peer_costs_no_pad() -> None:
    tx, rx = TransmitterModel(), ReceiverModel()
    for unit in (tx, rx):
        unit.warm()
        unit.load_psk(KEY)
    for _ in range(3 * ATTEMPTS_PER_HOUR):
        tx.peer.receive(forged_hello(rx, bytes(32)))
    assert proofs(tx) == 0
    assert pool_of(tx).counts.spent == 0


def test_a_peer_that_proved_itself_is_answered_though_somebody_used_up_the_hour() -> None:
    tx, rx = TransmitterModel(), ReceiverModel()
    for unit in (tx, rx):
        unit.warm()
        unit.load_psk(KEY)
    for _ in range(ATTEMPTS_PER_HOUR):
        tx.peer.receive(forged_hello(rx))
    assert tx.blocks.attempts.left(0) == 0
    ClassicalChannel(tx, rx).until(lambda: tx.peer.proved and rx.peer.proved, 5)


def test_proofs_that_the_peer_answers_are_no_attempts() -> None:
    tx, rx = TransmitterModel(), ReceiverModel()
    for unit in (tx, rx):
        unit.warm()
        unit.load_psk(KEY)
    channel = ClassicalChannel(tx, rx)
    for _ in range(ATTEMPTS_PER_HOUR + 2):
        for unit in (tx, rx):
            unit.enter(State.AUTH)
        channel.until(lambda: tx.peer.proved and rx.peer.proved, 5)
    assert [unit.blocks.attempts.left(unit.now_ns) for unit in (tx, rx)] == [ATTEMPTS_PER_HOUR] * 2


def test_blocks_that_fail_end_the_session_when_the_hour_allows_no_more() -> None:
    rig = rig_of(60).run()
    for unit in (rig.tx, rig.rx):
        for _ in range(ATTEMPTS_PER_HOUR - 2):
            unit.blocks.attempts.note(unit.now_ns)
    lost = lose(rig, messages.Accept, "transmitter", 1000)
    rig.until(lambda: not rig.tx.blocks.can_authenticate, 20)
    assert rig.tx.session_id is None
    rig.pass_time(3)
    assert len(lost) == 2
    assert rig.tx.session_id is None
    assert pool_of(rig.tx).remaining_tags > BUDGET.low
    assert rig.programs[0].active() >= {"AUTH_KEY_LOW"}


@pytest.mark.parametrize("name", ["toshiba.transmitter", "nec.receiver"])
def test_an_emulator_that_is_given_its_folder_again_goes_on(tmp_path: Path, name: str) -> None:
    spent = []
    for _ in range(3):
        with launch(name, warm=True, state_directory=tmp_path / "state") as emulator:
            model = emulator.model
            assert isinstance(model, UnitModel)
            with emulator.lock:
                model.load_psk(KEY)
                spent.append(pool_of(model)._spend()[0])
        assert [file.suffix for file in (tmp_path / "state").iterdir()] == [".pads"]
    assert spent == [0, BATCH, 2 * BATCH]  # reserved pads are lost: marks only rise
