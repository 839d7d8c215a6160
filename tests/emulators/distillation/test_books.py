"""What stands beside a key: repairs, leak, estimate and failure probabilities, the same at both ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest

from tokaido.emulators.distillation import (
    AbortReason,
    AcceptedBlock,
    EpsilonLedger,
    LedgeredKey,
    _frames,
)
from tokaido.emulators.distillation._frames import DEFAULT_QBER, QberEstimate
from tokaido.emulators.distillation._messages import (
    AnyMessage,
    BisectRequest,
    FrameDone,
    ParityAnswer,
    ParityRequest,
    VerifyRequest,
    VerifyTag,
    decode,
)
from tokaido.hal import KeyMaterial, KeyMaterialError
from tokaido_testing.distillation import (
    NONCE,
    SMALL,
    Outcome,
    distil,
    feed,
    in_block,
    pair,
    portions,
    raw_data,
    round_trips,
    run_pair,
)

if TYPE_CHECKING:
    from tokaido.emulators.distillation import DistillationSettings

FRAMES = msgspec.structs.replace(SMALL, frame_bits=10_000)


def accepted(outcome: Outcome) -> list[tuple[AcceptedBlock, AcceptedBlock]]:
    """Return the blocks that both ends accepted; their keys are equal."""
    first, second = outcome.accepted()
    assert first == second
    ends = ([r for r in side if isinstance(r, AcceptedBlock)] for side in (outcome.alice, outcome.bob))
    return list(zip(*ends, strict=True))


def said(outcome: Outcome, block: int = 0) -> list[AnyMessage]:
    return [m for _, data in outcome.messages if (m := decode(data)).block == block and m.session]


# --- repairs ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the receiver make do with one regular pass, so that pairs of errors hide from it."""
    monkeypatch.setattr(_frames, "block_sizes", lambda schedule, n, qber: (200,))


@pytest.mark.usefixtures("hasty")
def test_a_failed_verification_is_repaired_by_passes_of_two_blocks_and_everything_is_counted() -> None:
    settings = msgspec.structs.replace(FRAMES, max_extra_passes=20)
    alice, bob = pair(settings)
    records = raw_data(62_000, 0.002, settings=settings)
    outcome = feed(alice, bob, records)
    [(first, second)] = accepted(outcome)
    assert first.repairs == second.repairs > 6
    assert first.frames == second.frames == 6
    for statistics in (alice.statistics, bob.statistics):
        assert statistics.repairs == statistics.verification_failures == first.repairs
    keyed = np.flatnonzero((records[0].basis == 0) & (records[1].basis == 0) & in_block(records[0].slots, first))
    errors = int((records[0].bit[keyed] != records[1].bit[keyed]).sum())
    assert first.qber_key == errors / first.n  # whatever hid from the regular pass was found

    messages = said(outcome)
    tags = [m for m in messages if isinstance(m, VerifyTag)]
    assert len(tags) == first.frames + first.repairs
    assert len({tag.hash_key for tag in tags}) == len(tags)
    passes = [m for m in messages if isinstance(m, ParityRequest)]
    extra = [m for m in passes if m.number]
    assert len(extra) == first.repairs
    assert all(m.size == pytest.approx(first.n / 12, abs=1) for m in extra)
    assert len({(m.frame, m.number) for m in passes}) == len(passes)  # of which the permutation is made afresh
    on_the_wire = 128 * len(tags) + sum(m.count for m in messages if isinstance(m, ParityAnswer))
    assert {first.leak_alice, first.leak_bob, second.leak_alice, second.leak_bob} == {on_the_wire}
    assert first.disclosed_bits == second.disclosed_bits == on_the_wire
    longest = -(-(first.n // 6 + 1) // 8)
    assert first.eps.correctness == pytest.approx(len(tags) * 8 * -(-longest // 16) / 2**106)


@pytest.mark.usefixtures("hasty")
def test_without_leave_to_repair_the_block_is_given_up() -> None:
    settings = msgspec.structs.replace(FRAMES, max_extra_passes=0)
    outcome = distil(settings, raw_data(60_000, 0.002, settings=settings))
    for results in (outcome.alice, outcome.bob):
        assert getattr(results[0], "reason", None) is AbortReason.VERIFICATION_FAILED


# --- the estimate of the error rate ----------------------------------------------------------------------------------


def first_sizes(outcome: Outcome, block: int) -> dict[int, int]:
    """Return the block size of the first pass of each frame."""
    return {m.frame: m.size for m in said(outcome, block) if isinstance(m, ParityRequest) and m.number == 0}


def test_the_estimate_goes_from_the_check_basis_to_the_frames_and_to_the_next_block() -> None:
    settings = msgspec.structs.replace(FRAMES, frames_in_flight=1)
    alice, bob = pair(settings)
    assert bob.statistics.qber_estimate == DEFAULT_QBER
    records = raw_data(125_000, 0.01, qber_check=0.04, settings=settings)
    outcome = feed(alice, bob, records)
    assert len(accepted(outcome)) == 2
    first, second = first_sizes(outcome, 0), first_sizes(outcome, 1)
    assert first[0] == pytest.approx(0.73 / 0.04, rel=0.1)
    for size in (*list(first.values())[1:], *second.values()):
        assert size == pytest.approx(0.73 / 0.01, rel=0.25)
    assert bob.statistics.qber_estimate == pytest.approx(0.01, rel=0.25)
    assert np.isnan(alice.statistics.qber_estimate)


def test_an_estimate_survives_a_block_that_was_given_up() -> None:
    records = raw_data(125_000, 0.01, qber_check=0.04, settings=FRAMES)
    done = 0

    def stop(way: int, data: bytes, message: AnyMessage) -> list[bytes]:
        nonlocal done
        done += isinstance(message, FrameDone)
        if done == 5 and message.block == 0:
            return [data, data]
        return [data]

    outcome = distil(FRAMES, records, stop)
    assert [block.number for block, _ in accepted(outcome)] == [1]
    assert first_sizes(outcome, 1)[0] == pytest.approx(0.73 / 0.01, rel=0.25)


def test_nothing_measured_is_the_default_and_few_bits_promise_nothing() -> None:
    estimate = QberEstimate()
    estimate.learn_check(0, 0)
    assert estimate.value == DEFAULT_QBER
    estimate.learn_check(0, 100)
    assert estimate.value == pytest.approx(0.02)
    estimate.learn_check(0, 100)  # of another block, as long as no frame was corrected
    assert estimate.value == pytest.approx(0.02)
    estimate.learn_frame(0, 100)
    assert 0.01 < estimate.value < 0.02
    estimate.learn_frame(50_000, 1_000_000)
    assert estimate.value == pytest.approx(0.05, rel=0.001)
    estimate.learn_check(0, 10**9)
    assert estimate.value == pytest.approx(0.05, rel=0.001)


# --- leak ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("change", [-1, 1, 128])
def test_a_receiver_that_counts_another_leak_is_found_by_the_transmitter(change: int) -> None:
    def alter(way: int, data: bytes, message: AnyMessage) -> list[bytes]:
        if isinstance(message, FrameDone) and message.frame == 3:
            return [msgspec.msgpack.encode(msgspec.structs.replace(message, leak=message.leak + change))]
        return [data]

    outcome = distil(FRAMES, raw_data(60_000, 0.01, settings=FRAMES), alter)
    for results in (outcome.alice, outcome.bob):
        assert getattr(results[0], "reason", None) is AbortReason.LEAK_MISMATCH


def test_the_conservative_mode_takes_off_a_bit_for_every_question_too_and_is_recorded() -> None:
    blocks = []
    for mode in ("one_way", "two_way"):
        settings = msgspec.structs.replace(SMALL, leak_mode=mode)
        [(alice, bob)] = accepted(distil(settings, raw_data(60_000, 0.01, settings=settings)))
        assert alice.leak_mode == bob.leak_mode == mode
        assert alice.disclosed_bits == bob.disclosed_bits
        blocks.append(alice)
    public, careful = blocks
    assert public.disclosed_bits == public.leak_alice == careful.leak_alice
    assert careful.disclosed_bits == 2 * careful.leak_alice - 128 * (careful.frames + careful.repairs)
    taken = careful.disclosed_bits - public.disclosed_bits
    assert public.output_bits - careful.output_bits == pytest.approx(taken, abs=8)


def test_two_ends_that_account_differently_do_not_begin() -> None:
    alice, bob = pair(SMALL, msgspec.structs.replace(SMALL, leak_mode="two_way"))
    outcome = run_pair(alice, bob)
    assert [getattr(r, "reason", None) for r in outcome.alice + outcome.bob] == [AbortReason.SETTINGS_MISMATCH] * 2


# --- failure probabilities -------------------------------------------------------------------------------------------


def test_every_block_states_its_parts_and_the_sum_of_the_session() -> None:
    blocks = accepted(distil(SMALL, raw_data(187_000, 0.01)))
    assert len(blocks) == 3
    session = EpsilonLedger()
    for alice, bob in blocks:
        assert alice.eps == bob.eps
        assert alice.eps_session == bob.eps_session
        parts = (alice.eps.estimation, alice.eps.amplification, alice.eps.correctness, alice.eps.authentication)
        assert min(parts) > 0
        assert alice.eps.total == pytest.approx(sum(parts))
        assert alice.eps.secrecy == pytest.approx(SMALL.eps_sec)
        assert alice.eps.estimation == pytest.approx(SMALL.eps_sec * 14 / 21)
        assert alice.eps.correctness < SMALL.eps_cor
        session += alice.eps
        assert alice.eps_session == session


def test_a_key_cut_from_a_block_inherits_its_ledger_and_keys_joined_add_theirs() -> None:
    eps = EpsilonLedger.of_block(2.1e-9, correctness=1e-15, authentication=1e-20)
    assert eps.estimation == pytest.approx(1.4e-9)
    assert eps.amplification == pytest.approx(0.7e-9)
    data = bytes(range(96))
    first, rest = LedgeredKey(KeyMaterial(data), eps).cut(32)
    assert first.eps == rest.eps == eps
    other = LedgeredKey(KeyMaterial(bytes(8), insecure=True), EpsilonLedger(1e-8, 1e-8, 1e-8, 1e-8))
    joined = LedgeredKey.joined([first, rest, other])
    assert joined.key.digest(NONCE) == KeyMaterial(data + bytes(8)).digest(NONCE)
    assert joined.eps.total == pytest.approx(2 * eps.total + 4e-8)
    assert joined.key.insecure
    assert first.key.wiped
    assert rest.key.wiped
    assert other.key.wiped
    with pytest.raises(KeyMaterialError, match="wiped"):
        LedgeredKey.joined([first])


# --- frames in flight ------------------------------------------------------------------------------------------------


def trips_of_a_block(settings: DistillationSettings) -> int:
    """Return how often both ends had to wait for each other from the start of a block to its key."""
    alice, bob = pair(settings)
    run_pair(alice, bob)
    for sent, got, until in portions(raw_data(60_000, 0.02, settings=settings)):
        alice.add(sent, until)
        bob.add(got, until)
        trips = round_trips(alice, bob)
        if results := bob.results():
            assert isinstance(results[0], AcceptedBlock)
            return trips
    raise AssertionError("no block came")


def test_frames_in_flight_share_their_round_trips() -> None:
    settings = msgspec.structs.replace(SMALL, frame_bits=10_000)
    one_by_one, abreast = (
        trips_of_a_block(msgspec.structs.replace(settings, frames_in_flight=flight)) for flight in (1, 6)
    )
    assert abreast < one_by_one / 3


def test_no_more_frames_are_in_flight_than_were_agreed() -> None:
    settings = msgspec.structs.replace(FRAMES, frames_in_flight=3)
    outcome = distil(settings, raw_data(60_000, 0.01, settings=settings))
    assert accepted(outcome)
    flying: set[int] = set()
    most = 0
    for message in said(outcome):
        if isinstance(message, ParityRequest | BisectRequest | VerifyRequest):
            flying.add(message.frame)
            most = max(most, len(flying))
        elif isinstance(message, FrameDone):
            flying.remove(message.frame)
    assert most == 3

    def hurry(way: int, data: bytes, message: AnyMessage) -> list[bytes]:
        if isinstance(message, ParityRequest) and message.frame == 2 and message.number == 0:
            return [msgspec.msgpack.encode(msgspec.structs.replace(message, frame=3))]
        return [data]

    for results in (hurried := distil(settings, raw_data(60_000, 0.01, settings=settings), hurry)).alice, hurried.bob:
        assert getattr(results[0], "reason", None) is AbortReason.OUT_OF_ORDER
