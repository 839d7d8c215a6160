"""A QKD link end to end: two models, a fibre, and what may go wrong between them, stepped by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tokaido.emulators.distillation import _messages as messages
from tokaido.emulators.optics import Fibre, InterceptResend
from tokaido_testing.links import ALIGNING_NS, Rig

if TYPE_CHECKING:
    from collections.abc import Iterable


@pytest.fixture
def rig() -> Rig:
    return Rig().run()


@pytest.fixture
def faint() -> Rig:
    """A link with few clicks a second, for what takes time and no key."""
    return Rig(fibre=Fibre(length_km=20, loss_db=11.0)).run()


def message_kind(message: bytes) -> type[object] | None:
    return type(messages.decode(message[17:])) if message[:1] == b"D" else None


# --- keys -----------------------------------------------------------------------------------------------------------


def test_two_units_prove_align_run_and_agree_on_blocks(rig: Rig) -> None:
    assert rig.link.emulated_s == pytest.approx(42, abs=5)
    assert rig.tx.session_id == rig.rx.session_id
    assert len(rig.tx.session_id or "") == 16
    rig.until(lambda: min(rig.waiting) >= 2, 5)
    assert rig.digests(rig.tx) == rig.digests(rig.rx)
    assert [info.number for info, _ in rig.tx.store.oldest(2)] == [0, 1]
    info = rig.rx.store.oldest(1)[0][0]
    assert (info.method, info.bound, info.insecure, info.emulated) == ("lim2014", "chernoff", True, True)
    assert info.bits > 20_000
    assert [program.active() for program in rig.programs] == [set(), set()]


def test_readings_come_from_what_each_unit_can_know(rig: Rig) -> None:
    rig.until(lambda: min(rig.waiting) >= 2, 5)
    values = [dict(item.split("=") for item in program.data("TEL?").split(" ")) for program in rig.programs]
    for value in values:
        assert 0.02 < float(value["QBER"].partition("@")[0]) < 0.06
        assert float(value["RATE:SIFT"]) > 3e5
        assert float(value["RATE:SEC"].partition("@")[0]) > 3e4
        assert 1.0 < float(value["EC:EFF"].partition("@")[0]) < 1.25
    assert values[0]["QBER"] == values[1]["QBER"]
    assert float(values[1]["LOSS"]) == pytest.approx(6, abs=0.2)
    assert float(values[1]["DET0:CNT"]) == pytest.approx(float(values[1]["DET1:CNT"]), rel=0.05)
    assert float(values[1]["DET0:CNT"]) > 1e6


def test_the_same_seeds_make_the_same_keys() -> None:
    def story() -> dict[tuple[str, int], str]:
        rig = Rig().run()
        rig.until(lambda: min(rig.waiting) >= 1, 5)
        return rig.digests(rig.rx)

    assert story() == story()


def test_key_stop_at_one_end_ends_the_session_at_both(faint: Rig) -> None:
    rig = faint
    rig.programs[1].data("KEY STOP")
    rig.pass_time(1)
    assert rig.states == ("RUN", "STANDBY")
    assert [program.data("SES?") for program in rig.programs] == ["-", "-"]
    before = rig.tx.session_id
    rig.programs[1].data("KEY START")
    rig.until(lambda: rig.tx.session_id is not None, 5)
    assert rig.tx.session_id != before


def test_units_with_different_block_lengths_have_no_session() -> None:
    rig = Rig()
    rig.programs[0].data("BLK 300000")
    rig.until(lambda: rig.states == ("STANDBY", "STANDBY"), 60, ALIGNING_NS)
    rig.order("KEY START")
    rig.pass_time(5)
    assert (rig.tx.session_id, rig.rx.session_id) == (None, None)
    assert [program.active() for program in rig.programs] == [{"SETTINGS_MISMATCH"}, {"SETTINGS_MISMATCH"}]
    rig.order("KEY STOP")
    rig.programs[0].data("BLK 200000")
    rig.order("KEY START")
    rig.until(lambda: rig.tx.session_id is not None and rig.rx.session_id is not None, 5)
    rig.pass_time(1)
    assert [program.active() for program in rig.programs] == [set(), set()]


def test_the_secret_rate_of_the_first_block_counts_from_its_session(rig: Rig) -> None:
    rig.until(lambda: min(rig.waiting) >= 1, 5)
    bits = rig.rx.store.oldest(1)[0][0].bits
    rates = [float(program.data("RATE:SEC?").partition("@")[0]) for program in rig.programs]
    assert all(bits / 5 < rate < bits / 0.1 for rate in rates)
    assert rates[0] == pytest.approx(rates[1], rel=0.5)


def test_a_full_store_begins_no_new_block_and_is_no_low_rate(rig: Rig) -> None:
    rig.until(lambda: min(rig.waiting) >= 1, 5)
    rig.rx.add_fault("keystore_full")
    rig.pass_time(0.3)
    before = rig.waiting
    rig.pass_time(1.5)
    assert rig.waiting == before
    assert rig.programs[1].active() == {"KEYSTORE_FULL"}
    assert rig.states[0] in ("RUN", "TRACK")
    rig.rx.faults.remove("keystore_full")
    rig.until(lambda: min(rig.waiting) > before[0], 5)


# --- the pre-shared key ---------------------------------------------------------------------------------------------


def test_different_preshared_keys_hold_both_units() -> None:
    rig = Rig(psk=(bytes(4096), bytes([1]) * 4096))
    rig.pass_time(5)
    assert rig.states == ("SECURITY_HOLD", "SECURITY_HOLD")
    assert [program.active() for program in rig.programs] == [{"AUTH_MISMATCH"}, {"AUTH_MISMATCH"}]


def test_a_unit_waits_in_auth_for_a_peer_without_a_key() -> None:
    rig = Rig()
    rig.rx.links.erase()
    rig.pass_time(10)
    assert rig.states == ("AUTH", "AUTH")
    assert [program.active() for program in rig.programs] == [set(), set()]
    rig.rx.load_psk(bytes(range(256)) * 16)
    rig.pass_time(3)
    assert rig.states == ("ALIGN", "ALIGN")


def test_a_unit_that_was_restarted_proves_itself_again(rig: Rig) -> None:
    left = int(rig.programs[0].data("AUTH:LEFT?"))
    rig.programs[0].data("PWR OFF")
    rig.pass_time(1)
    rig.programs[0].data("PWR ON")
    rig.until(lambda: rig.states[0] == "ALIGN", 12)
    rig.until(lambda: rig.states[0] == "STANDBY", 90, ALIGNING_NS)
    assert int(rig.programs[0].data("AUTH:LEFT?")) < left


# --- eavesdroppers and forgers --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("basis", "alarm"), [("z", "PHASE_ERROR_ABORT"), ("x", "QBER_ABORT"), ("random", "QBER_ABORT")]
)
def test_an_eavesdropper_is_caught_and_no_key_comes_out(basis: Any, alarm: str) -> None:
    rig = Rig()
    rig.link.add_eavesdropper(InterceptResend(fraction=1.0, basis=basis))
    rig.run()
    rig.until(lambda: rig.states == ("SECURITY_HOLD", "SECURITY_HOLD"), 20)
    assert rig.waiting == (0, 0)
    for program in rig.programs:
        assert alarm in program.active()
        assert program.active() <= {alarm, "QBER_HIGH"}


def test_too_few_statistics_are_a_warning_and_no_attack() -> None:
    rig = Rig(fibre=Fibre(length_km=45, loss_db=14.5))
    rig.order("BLK 300000", "BAS 0.82")
    for command in ("MU:SIG 0.5", "PRB:DEC 0.27", "PRB:VAC 0.13"):
        rig.programs[0].data(command)
    rig.run()
    rig.until(lambda: all("NO_KEY" in program.active() for program in rig.programs), 5)
    rig.pass_time(2)
    assert all(program.active() <= {"NO_KEY", "QBER_HIGH"} for program in rig.programs)
    assert rig.waiting == (0, 0)


def test_an_altered_tag_holds_both_units(rig: Rig) -> None:
    def alter(side: str, message: bytes) -> Iterable[bytes]:
        if side == "transmitter" and message_kind(message) is messages.TranscriptTag:
            return [message[:-1] + bytes([message[-1] ^ 1])]
        return [message]

    rig.link.add_tamper(alter)
    before = rig.waiting
    rig.until(lambda: rig.states == ("SECURITY_HOLD", "SECURITY_HOLD"), 20)
    assert [program.active() for program in rig.programs] == [{"AUTH_MISMATCH"}, {"AUTH_MISMATCH"}]
    assert rig.waiting == before


def test_an_accept_that_is_lost_locks_the_block_away(rig: Rig) -> None:
    lost: list[bytes] = []

    def lose_one(side: str, message: bytes) -> Iterable[bytes]:
        if side == "receiver" and not lost and message_kind(message) is messages.Accept:
            lost.append(message)
            return []
        return [message]

    rig.link.add_tamper(lose_one)
    rig.until(lambda: "QUARANTINE" in rig.programs[0].active(), 5)
    rig.until(lambda: min(rig.waiting) >= 2, 5)
    transmitters, receivers = rig.digests(rig.tx), rig.digests(rig.rx)
    missing = receivers.keys() - transmitters.keys()
    assert len(missing) == 1
    assert transmitters == {name: receivers[name] for name in transmitters}
    assert rig.states[0] in ("RUN", "TRACK")
    assert rig.programs[0].data("SEC ACK") == ""
    assert rig.programs[0].active() == set()


def test_altered_messages_never_make_keys_that_differ(rig: Rig) -> None:
    import random

    chance = random.Random(4)

    def alter(_side: str, message: bytes) -> Iterable[bytes]:
        if chance.random() < 0.003:
            place = chance.randrange(1, len(message))
            message = message[:place] + bytes([message[place] ^ 1 << chance.randrange(8)]) + message[place + 1 :]
        return [message]

    rig.link.add_tamper(alter)
    for _ in range(25):
        rig.pass_time(0.1)
        if "SECURITY_HOLD" in rig.states:
            break
    both = rig.digests(rig.tx).keys() & rig.digests(rig.rx).keys()
    assert {name: rig.digests(rig.tx)[name] for name in both} == {name: rig.digests(rig.rx)[name] for name in both}


def test_bright_light_is_noticed(rig: Rig) -> None:
    rig.link.fibre.add_light(0.0, bright=True)
    rig.pass_time(0.3)
    assert rig.states[1] == "SECURITY_HOLD"
    assert "DETECTOR_BLINDING" in rig.programs[1].active()
    assert rig.programs[1].ask("SEC ACK").startswith("ERR 32 REFUSED")
    rig.link.fibre.remove_light()
    rig.pass_time(0.2)
    rig.programs[1].data("SEC ACK")


# --- mishaps --------------------------------------------------------------------------------------------------------


def test_a_cut_fibre_degrades_then_realigns_and_comes_back(rig: Rig) -> None:
    rig.pass_time(2)
    assert min(rig.waiting) >= 1
    first = rig.tx.session_id
    rig.link.add_cut()
    rig.pass_time(4)
    assert rig.states == ("DEGRADED", "DEGRADED")
    assert rig.programs[1].active() >= {"LOS"}
    assert rig.programs[0].active() == {"RATE_LOW"}
    assert rig.programs[1].ask("CLK:POW?").startswith("ERR 31 NO_DATA")
    rig.pass_time(31, ALIGNING_NS)
    assert rig.states == ("REALIGN", "REALIGN")
    rig.link.remove_cut()
    before = rig.waiting
    rig.until(lambda: rig.states == ("RUN", "RUN"), 60, ALIGNING_NS)
    rig.until(lambda: min(rig.waiting) > max(before), 10)
    assert rig.tx.session_id not in (None, first)
    rig.pass_time(0.5)
    assert [program.active() for program in rig.programs] == [set(), set()]
    assert rig.digests(rig.tx) == rig.digests(rig.rx)


def test_a_short_darkness_needs_no_realignment(faint: Rig) -> None:
    rig = faint
    rig.pass_time(1)
    session = rig.tx.session_id
    rig.link.add_cut()
    rig.pass_time(3)
    rig.link.remove_cut()
    rig.until(lambda: rig.states == ("RUN", "RUN"), 10)
    assert rig.tx.session_id == session


def test_more_loss_means_fewer_bits(faint: Rig) -> None:
    rig = faint
    rig.pass_time(2)
    before = float(rig.programs[0].data("RATE:SIFT?"))
    rig.link.add_bend(3.0)
    rig.pass_time(2)
    assert float(rig.programs[0].data("RATE:SIFT?")) == pytest.approx(before / 2, rel=0.15)


def test_a_peer_that_vanished_is_unreachable_and_comes_back(rig: Rig) -> None:
    rig.until(lambda: min(rig.waiting) >= 1, 5)
    rig.link.add_isolation()
    rig.pass_time(4)
    assert all("PEER_UNREACHABLE" in program.active() for program in rig.programs)
    rig.link.remove_isolation()
    before = rig.waiting
    rig.until(lambda: min(rig.waiting) > max(before), 90)
    assert all("PEER_UNREACHABLE" not in program.active() for program in rig.programs)


def test_an_attenuator_set_by_hand_is_calibrated_before_light_is_used(faint: Rig) -> None:
    rig = faint
    rig.pass_time(2)
    before = float(rig.programs[0].data("RATE:SIFT?"))
    rig.order("KEY STOP")
    rig.programs[0].data("VOA:ATT 38")
    rig.order("KEY START")
    assert rig.states[0] == "REALIGN"
    rig.until(lambda: rig.states == ("RUN", "RUN"), 90, ALIGNING_NS)
    rig.pass_time(2)
    assert float(rig.programs[0].data("RATE:SIFT?")) == pytest.approx(before, rel=0.15)
