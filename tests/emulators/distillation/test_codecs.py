from __future__ import annotations

import contextlib
import typing
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokaido.emulators.distillation import AbortReason, DistillationSettings, MessageError
from tokaido.emulators.distillation._codec import (
    pack_bits,
    pack_labels,
    pack_positions,
    pack_slots,
    unpack_bits,
    unpack_labels,
    unpack_positions,
    unpack_slots,
)
from tokaido.emulators.distillation._messages import Abort, AnyMessage, Hello, Message, decode, encode
from tokaido.hal import ConfigurationError
from tokaido_testing.distillation import SMALL

if TYPE_CHECKING:
    from collections.abc import Callable

few = settings(deadline=None, max_examples=40)
counts = st.integers(0, 2**62 - 1)
triples = st.tuples(counts, counts, counts)
FIELDS: dict[str, st.SearchStrategy[object]] = {
    "nonce": st.binary(min_size=8, max_size=8),
    "settings": st.just(SMALL),
    "permutation_digest": st.text("0123456789abcdef", max_size=64),
    "pulses": st.integers(1, 2**50),
    "size": st.integers(1, 2**32 - 1),
    "key_detections": triples,
    "check_detections": triples,
    "check_errors": triples,
    "errors": triples,
    "segments": st.lists(counts, max_size=3).map(tuple),
    "hash_key": st.binary(min_size=16, max_size=16),
    "tag": st.binary(min_size=16, max_size=16),
    "reason": st.sampled_from(AbortReason),
    "insecure": st.booleans(),
    "text": st.text(max_size=300),
    "seed": st.binary(min_size=32, max_size=32),
}
BINARY = {"distances", "wide_distances", "bases", "check_bits", "keep", "intensities", "positions", "parities"}


@st.composite
def messages(draw: st.DrawFn) -> AnyMessage:
    kind: Callable[..., AnyMessage] = draw(st.sampled_from(typing.get_args(AnyMessage)))
    values: list[object] = [draw(st.integers(0, 9)), draw(st.binary(max_size=16)), draw(counts)]
    values.append(draw(st.sampled_from((0, 1))))
    for field in msgspec.structs.fields(typing.cast("type[Message]", kind))[4:]:
        strategy = st.binary(max_size=20) if field.name in BINARY else FIELDS.get(field.name, counts)
        values.append(draw(strategy))
    return kind(*values)


@given(messages())
@few
def test_every_message_survives_the_wire(message: AnyMessage) -> None:
    assert decode(encode(message)) == message


@given(st.binary(max_size=200))
@few
def test_no_bytes_make_the_decoder_raise_anything_but_its_own_error(data: bytes) -> None:
    with contextlib.suppress(MessageError):
        decode(data)


@given(messages(), st.integers(0, 10**6), st.integers(1, 255))
@few
def test_no_altered_message_makes_the_decoder_raise_anything_but_its_own_error(
    message: AnyMessage, place: int, flip: int
) -> None:
    data = bytearray(encode(message))
    data[place % len(data)] ^= flip
    with contextlib.suppress(MessageError):
        decode(bytes(data))


def test_settings_of_a_peer_are_checked_as_ours_are() -> None:
    hello = Hello(1, b"", 0, 0, 0, bytes(8), SMALL, "", False)
    wrong = msgspec.msgpack.decode(encode(hello))
    wrong[7]["block_bits"] = 3
    with pytest.raises(MessageError, match="block_bits must be"):
        decode(msgspec.msgpack.encode(wrong))
    with pytest.raises(MessageError, match="not a distillation message"):
        decode(msgspec.msgpack.encode(["abort", 1, b"", 0, 0, 0, "no such reason", ""]))


def test_all_mistakes_in_settings_are_named_at_once() -> None:
    with pytest.raises(ConfigurationError) as caught:
        DistillationSettings(block_bits=1, qber_abort=0.2, probabilities=(0.5, 0.5, 0.5), eps_cor=1e-32)
    assert len(caught.value.mistakes) == 4
    with pytest.raises(ConfigurationError, match="multiple of 256"):
        DistillationSettings(replenish_bits=100)


@given(st.lists(st.integers(0, 1), max_size=70))
@few
def test_bits_survive_packing(bits: list[int]) -> None:
    array = np.array(bits, np.uint8)
    assert unpack_bits(pack_bits(array), array.size).tolist() == bits


@given(st.lists(st.integers(0, 2), max_size=70))
@few
def test_labels_survive_packing(labels: list[int]) -> None:
    assert unpack_labels(pack_labels(np.array(labels, np.uint8)), len(labels)).tolist() == labels


@given(st.integers(-1, 2**40), st.lists(st.integers(1, 70_000) | st.integers(65_530, 65_540) | st.just(2**45)))
@few
def test_slots_survive_packing(previous: int, distances: list[int]) -> None:
    slots = previous + np.cumsum(np.array(distances, np.int64))
    assert unpack_slots(*pack_slots(slots, previous), previous).tolist() == slots.tolist()


@given(st.binary(max_size=40), st.binary(max_size=24), st.integers(-1, 2**62))
@few
def test_any_bytes_give_ascending_slots_or_a_message_error(data: bytes, wide: bytes, previous: int) -> None:
    with contextlib.suppress(MessageError):
        slots = unpack_slots(data, wide, previous)
        assert (np.diff(slots, prepend=previous) > 0).all()


def test_what_does_not_fit_is_refused() -> None:
    for data, count in ((b"", 1), (b"ab", 3), (b"\x01", 7)):
        with pytest.raises(MessageError):
            unpack_bits(data, count)
    with pytest.raises(MessageError, match="no intensity 3"):
        unpack_labels(b"\xc0", 1)
    with pytest.raises(MessageError, match="beyond the end"):
        unpack_positions(pack_positions(np.array([0, 11])), 10)
    with pytest.raises(MessageError, match="cut"):
        unpack_positions(b"abc", 10)
    with pytest.raises(MessageError, match="ascend"):
        unpack_slots(bytes(2), b"", 0)
    assert isinstance(decode(encode(Abort(1, b"", 0, 0, 0, AbortReason.STOPPED, ""))), Abort)
