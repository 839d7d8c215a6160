"""Fields of every message at their edges and beyond them: a block ends, both ends go on, and nothing else happens."""

from __future__ import annotations

import math
import typing
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from tokaido.emulators.distillation import AbortReason, MessageError
from tokaido_testing.distillation import SMALL, distil, feed, messages, pair, portions, raw_data

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tokaido.emulators.distillation import ReceiverDistiller, TransmitterDistiller
    from tokaido_testing.distillation import Portion

SETTINGS = msgspec.structs.replace(
    SMALL, block_bits=6000, frame_bits=3000, frames_in_flight=2, eps_sec=0.1, eps_cor=1e-9
)
RECORDS = raw_data(60_000, 0.004, settings=SETTINGS)
KINDS = tuple(kind.__name__ for kind in typing.get_args(messages.AnyMessage) if kind.__name__ not in {"Hello", "Abort"})
VALUES: tuple[Any, ...] = (
    math.nan, math.inf, -math.inf, 1.5, -1, 0, 1, 1 << 32, (1 << 62) - 1, 1 << 62, (1 << 64) - 1, None, True,
    "", "x" * 400, b"", b"\xff" * 15, b"\0" * 16, bytes(32), bytes(33), b"\xff" * 40_000,
    [], [0, 0, 0], [1 << 61] * 3, [math.inf] * 3, [-1] * 3, [0] * 70_000, {}, {"a": math.nan},
)  # fmt: skip
REFUSALS = {AbortReason.SETTINGS_MISMATCH, AbortReason.MALFORMED_MESSAGE, AbortReason.OUT_OF_ORDER}
A_RUN = 8
"""Fields that are changed in one run, each in a block of its own."""


def altered(data: bytes, place: int, value: Any) -> bytes:
    fields: list[Any] = msgspec.msgpack.decode(data)
    fields[place] = value
    return msgspec.msgpack.encode(fields)


def cases(data: bytes) -> Iterator[tuple[int, Any]]:
    """Return which field of a message is changed into what, the header too; the first one is the message's kind."""
    for place in range(1, len(msgspec.msgpack.decode(data))):
        for value in VALUES:
            yield place, value


def passes(data: bytes) -> bool:
    try:
        messages.decode(data)
    except MessageError:
        return False
    return True


@pytest.fixture(scope="module")
def said() -> dict[str, bytes]:
    """One message of each kind."""
    outcome = distil(SETTINGS, RECORDS)
    return {type(messages.decode(data)).__name__: data for _, data in reversed(outcome.messages)}


def stretches(alice: TransmitterDistiller, bob: ReceiverDistiller, forger: Forger) -> Iterator[Portion]:
    """Let slots pass until a block after the last that was struck is over; an end gives up after two in silence."""
    waited = 0
    for portion in portions(RECORDS, 120):
        yield portion
        waiting = [end for end in (bob, alice) if end.awaiting_peer]
        waited = waited + 1 if waiting else 0
        if waited > 1:
            for end in waiting:
                end.abort(AbortReason.TIMED_OUT, "no answer")
        if not forger.todo and bob.statistics.block > max(forger.struck) + 2:
            break


def test_no_field_that_is_not_finite_or_too_long_is_taken_from_the_wire(said: dict[str, bytes]) -> None:
    assert {*KINDS, "Hello"} <= said.keys()
    for kind, data in said.items():
        for place, value in cases(data):
            strange = isinstance(value, float) or value == {"a": math.nan}
            if strange or (isinstance(value, str | list) and len(value) > 300):
                assert not passes(altered(data, place, value)), (kind, place)


class Forger:
    """Changes a message of one kind in each block, as long as there is something to do to it."""

    def __init__(self, kind: str, todo: list[tuple[int, Any]]) -> None:
        self.kind = kind
        self.todo = todo
        self.struck: list[int] = []

    def __call__(self, way: int, data: bytes, message: messages.AnyMessage) -> list[bytes]:
        if not self.todo or type(message).__name__ != self.kind or message.block in self.struck:
            return [data]
        self.struck.append(message.block)
        return [altered(data, *self.todo.pop())]


@pytest.mark.parametrize("kind", KINDS)
def test_a_field_at_its_edge_costs_a_block_and_both_ends_go_on(kind: str, said: dict[str, bytes]) -> None:
    left = [case for case in cases(said[kind]) if case[0] > 5 and passes(altered(said[kind], *case))]
    left += [(place, value) for place in (3, 5) for value in (0, 3, (1 << 62) - 1)]
    for start in range(0, len(left), A_RUN):
        forger = Forger(kind, left[start : start + A_RUN])
        alice, bob = pair(SETTINGS)
        outcome = feed(alice, bob, stretches(alice, bob, forger), forger)
        assert not forger.todo
        assert not alice.closed
        assert not bob.closed
        first, second = outcome.accepted()
        assert all(first[number] == second[number] for number in first.keys() & second.keys())
        assert max(first.keys() & second.keys()) > max(forger.struck)


@pytest.mark.parametrize("place", range(1, 10))
def test_a_hello_with_any_field_opens_a_session_or_ends_with_a_reason(place: int, said: dict[str, bytes]) -> None:
    settings = msgspec.msgpack.decode(said["Hello"])[7]
    strange = [{**settings, "intensities": [x, 0.2, 0.001]} for x in (math.inf, math.nan, -1.0, 1e308)]
    for value in (*VALUES, *strange):
        alice, bob = pair(SETTINGS)
        for data in alice.outgoing():
            bob.receive(altered(data, place, value))
        results = bob.results()
        assert bob.closed == bool(results)
        assert {getattr(result, "reason", None) for result in results} <= REFUSALS
        bob.receive(b"".join(alice.outgoing()))
        bob.add(RECORDS[1])
