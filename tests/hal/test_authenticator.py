from __future__ import annotations

from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokaido.hal import AuthenticationError, ConfigurationError, KeyMaterial, KeyMaterialError
from tokaido.hal.authentication import (
    PAD_BYTES,
    AuthenticationPool,
    OneTimeAuthenticator,
    PadBudget,
    PadCounts,
    PadMarks,
    forgery_bound,
)
from tokaido.hal.authentication._authenticator import MAX_TRIES, WINDOW

PRE_SHARED = bytes(range(32)) + b"".join(i.to_bytes(PAD_BYTES, "big") for i in range(1000, 1400))


def ends(pre_shared: bytes = PRE_SHARED) -> tuple[OneTimeAuthenticator, OneTimeAuthenticator]:
    return (
        OneTimeAuthenticator(AuthenticationPool(KeyMaterial(pre_shared), end="transmitter")),
        OneTimeAuthenticator(AuthenticationPool(KeyMaterial(pre_shared), end="receiver")),
    )


def reference_poly1305(r: bytes, s: bytes, message: bytes) -> bytes:
    clamped = int.from_bytes(r, "little") & 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF
    total = 0
    for start in range(0, len(message), 16):
        total = (total + int.from_bytes(message[start : start + 16] + b"\1", "little")) * clamped % (2**130 - 5)
    return ((total + int.from_bytes(s, "little")) % 2**128).to_bytes(16, "little")


@given(st.binary(max_size=100))
@settings(deadline=None, max_examples=30)
def test_a_tag_is_the_polynomial_hash_under_r_plus_a_fresh_pad(message: bytes) -> None:
    alice, bob = ends()
    index, tag = alice.tag(message)
    assert tag == reference_poly1305(PRE_SHARED[:16], PRE_SHARED[32:48], message)
    bob.verify(index, message, tag)
    index, tag = bob.tag(message)
    half = 32 + (len(PRE_SHARED) - 32) // 2
    assert tag == reference_poly1305(PRE_SHARED[16:32], PRE_SHARED[half : half + 16], message)
    alice.verify(index, message, tag)


def test_parts_are_tagged_as_their_concatenation() -> None:
    alice, bob = ends()
    index, tag = alice.tag([b"ab", b"", b"cde"])
    bob.verify(index, b"abcde", tag)


def test_a_short_pre_shared_key_is_refused_with_the_length_needed() -> None:
    with pytest.raises(ConfigurationError, match=r"has 95 bytes and 96 bytes are needed"):
        AuthenticationPool(KeyMaterial(bytes(95)), end="transmitter")
    assert AuthenticationPool(KeyMaterial(bytes(96)), end="transmitter").remaining_bits == 512


def test_no_pad_is_ever_spent_twice_by_either_end_and_replenishment_goes_on() -> None:
    pre_shared = PRE_SHARED[: 32 + 16 * 8]
    alice, bob = ends(pre_shared)
    fresh = b"".join(i.to_bytes(PAD_BYTES, "big") for i in range(1, 9))
    for end in (alice, bob):
        end.pool.replenish(KeyMaterial(fresh))
    spent: list[bytes] = []
    indices: list[int] = []
    for end in (alice, bob):
        while end.pool.remaining_tags:
            index, key = end.pool._spend()
            indices.append(index if end is alice else -index - 1)
            spent.append(key[16:])
        with pytest.raises(KeyMaterialError, match="no authentication pad"):
            end.tag(b"")
    assert len(spent) == 16
    assert len(set(spent)) == len(spent)
    assert len(set(indices)) == len(indices)


def test_the_pointer_is_stored_before_the_pad_is_used() -> None:
    stored: list[PadMarks] = []
    pool = AuthenticationPool(KeyMaterial(PRE_SHARED), end="transmitter", persist=stored.append)
    index, first = OneTimeAuthenticator(pool).tag(b"x")
    assert stored == [PadMarks(own=index + 1)]

    def fail(marks: PadMarks) -> None:
        raise OSError("disk full")

    broken = AuthenticationPool(KeyMaterial(PRE_SHARED), end="transmitter", persist=fail)
    with pytest.raises(OSError, match="disk full"):
        OneTimeAuthenticator(broken).tag(b"x")
    broken._persist = None
    assert OneTimeAuthenticator(broken).tag(b"x")[0] == index

    resumed = AuthenticationPool(KeyMaterial(PRE_SHARED), end="transmitter", resume=stored[-1])
    next_index, second = OneTimeAuthenticator(resumed).tag(b"x")
    assert next_index == index + 1
    assert first != second


def test_a_used_unknown_or_far_index_is_refused() -> None:
    alice, bob = ends()
    tags = [alice.tag(b"m") for _ in range(WINDOW + 1)]
    with pytest.raises(AuthenticationError, match="pads ahead"):
        bob.verify(tags[WINDOW][0], b"m", tags[WINDOW][1])
    bob.verify(tags[5][0], b"m", tags[5][1])
    for old in (0, 5):
        with pytest.raises(AuthenticationError, match="was used"):
            bob.verify(tags[old][0], b"m", tags[old][1])
    for unknown in (7 << 32, 10**6, -1):
        with pytest.raises(AuthenticationError, match="unknown"):
            bob.verify(unknown, b"m", tags[6][1])
    bob.verify(tags[6][0], b"m", tags[6][1])


def test_a_wrong_tag_spends_nothing_and_is_tried_a_limited_number_of_times() -> None:
    alice, bob = ends()
    index, tag = alice.tag(b"m")
    before = bob.pool.remaining_bits
    for _ in range(MAX_TRIES):
        with pytest.raises(AuthenticationError, match="tag is wrong"):
            bob.verify(index, b"another", tag)
    with pytest.raises(AuthenticationError, match="was tried"):
        bob.verify(index, b"m", tag)
    assert bob.pool.remaining_bits == before
    index, tag = alice.tag(b"m")
    bob.verify(index, b"m", tag)


def test_a_segment_that_only_one_end_holds_is_discarded_and_its_number_not_used_again() -> None:
    alice, bob = ends(PRE_SHARED[:96])
    bob.pool.replenish(KeyMaterial(bytes(64)), segment=1)
    assert bob.pool.discard_unshared(alice.pool.segments) == 1
    assert bob.pool.segments == (0,)
    with pytest.raises(KeyMaterialError, match="used before"):
        bob.pool.replenish(KeyMaterial(bytes(64)), segment=1)
    agreed = max(alice.pool.next_segment, bob.pool.next_segment)
    for end in (alice, bob):
        end.pool.replenish(KeyMaterial(b"k" * 64), segment=agreed)
    for _ in range(3):
        bob.verify(*_tagged(alice))


def _tagged(end: OneTimeAuthenticator) -> tuple[int, bytes, bytes]:
    index, tag = end.tag(b"m")
    return index, b"m", tag


def test_nothing_shows_a_pad_and_close_erases_them() -> None:
    alice, _ = ends()
    assert repr(alice.pool) == "<AuthenticationPool transmitter 51200 bit left>"
    buffer = alice.pool._segments[0].buffer
    alice.pool.close()
    assert not any(buffer)
    assert alice.pool.remaining_bits == 0


def test_the_forgery_bound_grows_with_the_length() -> None:
    assert forgery_bound(2_000_000) == pytest.approx(8 * 125_000 / 2**106)


# --- the budget -----------------------------------------------------------------------------------------------------

BUDGET = PadBudget(reserve=4, low=4, full=8)


def budgeted(pads: int, end: Literal["transmitter", "receiver"] = "transmitter") -> AuthenticationPool:
    key = KeyMaterial(PRE_SHARED[: 32 + 32 * pads])
    return AuthenticationPool(key, end=end, budget=BUDGET)


def test_blocks_leave_the_reserve_and_a_proof_opens_it_for_one_block() -> None:
    pool = budgeted(6)
    assert [pool._spend()[0] for _ in range(pool.remaining_tags)] == [0, 1]
    with pytest.raises(KeyMaterialError, match="no authentication pad"):
        pool._spend()
    assert pool._spend(())[0] == 2
    assert pool.remaining_tags == 0
    pool.open_reserve()
    assert pool.remaining_tags == 2
    pool.open_reserve()
    assert [pool._spend()[0] for _ in range(2)] == [3, 4]
    assert pool.remaining_tags == 0
    assert pool._spend(())[0] == 5
    with pytest.raises(KeyMaterialError, match="no authentication pad"):
        pool._spend(())


def test_with_pads_for_a_block_a_proof_opens_nothing() -> None:
    pool = budgeted(7)
    pool.open_reserve()
    assert pool.remaining_tags == 3


def test_the_needier_end_decides_how_much_both_cut_off() -> None:
    alice, bob = budgeted(4 + 8), budgeted(4 + 8, "receiver")
    assert alice.next_segment & 3 == 0
    alice._spend()
    assert alice.next_segment & 3 == 1
    for _ in range(5):
        bob._spend()
    assert bob.next_segment & 3 == 2
    agreed = max(alice.next_segment, bob.next_segment)
    rests = []
    for pool in (alice, bob):
        pool.replenish(KeyMaterial(b"h" * 64), segment=agreed)
        rests.append(pool.claim(KeyMaterial(bytes(range(200)) * 10)))
    assert [len(rest) if rest else 0 for rest in rests] == [2000 - 1024] * 2
    assert rests[0] is not None
    assert bytes(rests[0].reveal()) == (bytes(range(200)) * 10)[1024:]
    assert alice.segments == bob.segments == (0, agreed, agreed | 3)
    assert alice.next_segment == bob.next_segment == (agreed | 3) + 1


def test_a_short_key_goes_to_the_pool_as_a_whole_and_a_full_pool_takes_nothing() -> None:
    pool = budgeted(5)
    pool.replenish(KeyMaterial(bytes(64)))
    assert pool.claim(KeyMaterial(bytes(96))) is None
    assert pool.remaining_tags == 1 + 2 + 3
    while pool.next_segment & 3:
        pool.replenish(KeyMaterial(bytes(64)))
        pool.claim(KeyMaterial(b""))
    pool.replenish(KeyMaterial(bytes(64)))
    rest = pool.claim(KeyMaterial(bytes(96)))
    assert rest is not None
    assert len(rest) == 96
    assert pool.claim(rest) is rest  # no block is claimed twice


def test_what_was_not_claimed_by_the_end_of_a_session_is_not_claimed_later() -> None:
    pool = budgeted(5)
    pool.replenish(KeyMaterial(bytes(64)))
    pool.forget_claims()
    key = KeyMaterial(bytes(96))
    assert pool.claim(key) is key


def test_blocks_spend_fresh_key_that_the_peer_is_known_to_hold_before_the_pre_shared_key() -> None:
    pool = budgeted(7)
    pool.replenish(KeyMaterial(bytes(64)), segment=4)
    assert pool._spend()[0] == 0
    pool.discard_unshared((0, 4))
    assert [pool._spend()[0] for _ in range(3)] == [4 << 32, 4 << 32 | 1, 1]
    pool.replenish(KeyMaterial(bytes(64)), segment=8)
    assert [pool._spend()[0] for _ in range(2)] == [2, 8 << 32]


def test_a_proof_takes_a_pad_that_its_taker_holds() -> None:
    pool = budgeted(7)
    pool.replenish(KeyMaterial(bytes(64)), segment=4)
    assert pool._spend((0,))[0] == 0
    assert pool._spend((0, 4))[0] == 4 << 32
    assert pool._spend((0, 9))[0] == 1


def test_every_bit_is_accounted_for() -> None:
    alice, bob = budgeted(8), budgeted(8, "receiver")
    assert alice.counts == PadCounts(preshared=2048, replenished=0, spent=0, discarded=0, remaining=2048)
    index, tag = OneTimeAuthenticator(alice).tag(b"m")
    OneTimeAuthenticator(bob).verify(index, b"m", tag)
    assert alice.counts == bob.counts == PadCounts(2048, 0, 128, 0, 1920)
    alice.replenish(KeyMaterial(bytes(96)), segment=4)
    alice.discard_unshared(bob.segments)
    assert alice.counts == PadCounts(2048, 768, 128, 768, 1920)
