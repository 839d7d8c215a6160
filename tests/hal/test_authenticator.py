from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokaido.hal._authenticator import (
    MAX_TRIES,
    PAD_BYTES,
    WINDOW,
    AuthenticationPool,
    OneTimeAuthenticator,
    forgery_bound,
)
from tokaido.hal._errors import AuthenticationError, ConfigurationError, KeyMaterialError
from tokaido.hal._keys import KeyMaterial

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
    stored: list[int] = []
    pool = AuthenticationPool(KeyMaterial(PRE_SHARED), end="transmitter", persist=stored.append)
    index, first = OneTimeAuthenticator(pool).tag(b"x")
    assert stored == [index + 1]

    def fail(pointer: int) -> None:
        raise OSError("disk full")

    broken = AuthenticationPool(KeyMaterial(PRE_SHARED), end="transmitter", persist=fail)
    with pytest.raises(OSError, match="disk full"):
        OneTimeAuthenticator(broken).tag(b"x")
    broken._persist = None
    assert OneTimeAuthenticator(broken).tag(b"x")[0] == index + 1

    resumed = AuthenticationPool(KeyMaterial(PRE_SHARED), end="transmitter", resume_at=stored[-1])
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
