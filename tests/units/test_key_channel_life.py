"""The key channel of a unit's driver: made once, and closed with the unit, whatever happens meanwhile."""

from __future__ import annotations

import gc
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

import tokaido.hal as hal
from tokaido.hal.driver import KeyChannel
from tokaido.hal.transports import SerialTransport, VisaTransport, ZmqTransport

if TYPE_CHECKING:
    from collections.abc import Iterator


def channel_of(tx: hal.Transmitter) -> KeyChannel:
    channel: KeyChannel = tx._keys()  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    return channel


@pytest.fixture
def closings(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Kinds of the transports that were closed, in their order; not those that a collection of garbage closes."""
    order: list[str] = []
    for kind in (ZmqTransport, SerialTransport, VisaTransport):

        def close(self: Any, close: Any = kind.close) -> None:
            order.append("keys" if isinstance(self, ZmqTransport) else "control")
            close(self)

        monkeypatch.setattr(kind, "close", close)
    gc.collect()
    order.clear()
    gc.disable()
    yield order
    gc.enable()


def test_two_threads_that_first_need_it_at_once_get_the_same_one(
    tx: hal.Transmitter, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[KeyChannel] = []
    both_are_in = threading.Barrier(2)
    make = KeyChannel.__init__

    def make_slowly(self: KeyChannel, *args: Any, **options: Any) -> None:
        made.append(self)
        with suppress(threading.BrokenBarrierError):  # nobody else makes one meanwhile
            both_are_in.wait(timeout=0.3)
        make(self, *args, **options)

    monkeypatch.setattr(KeyChannel, "__init__", make_slowly)
    got: list[KeyChannel] = []
    threads = [threading.Thread(target=lambda: got.append(channel_of(tx))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1
    assert got == made * 2


def test_ctrl_c_while_it_is_made_leaves_it_to_be_made_by_the_next_call(
    tx: hal.Transmitter, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(KeyChannel, "__init__", interrupted)
        with pytest.raises(KeyboardInterrupt):
            tx.key_blocks(0)
    found: list[object] = []
    thread = threading.Thread(target=lambda: found.append(list(tx.key_blocks(0))), daemon=True)
    thread.start()  # in a thread of its own, so that a lock that is held for good fails the test
    thread.join(timeout=10)
    assert found == [[]]


def test_a_unit_closes_streams_key_channel_and_control_in_this_order(tx: hal.Transmitter, closings: list[str]) -> None:
    stream = tx.telemetry_stream(0.1, timeout=5)
    next(stream)
    tx.close()
    assert closings == ["keys", "keys", "control"]
    with pytest.raises(hal.ClosedError):
        next(stream)
    closings.clear()
    tx.close()  # once more, and nothing is left of the stream
    assert closings == ["keys", "control"]


def test_a_stream_that_ended_is_forgotten(tx: hal.Transmitter, closings: list[str]) -> None:
    for _ in range(3):
        stream: Any = tx.telemetry_stream(0.1, timeout=5)
        next(stream)
        stream.close()
    closings.clear()
    tx.close()
    assert closings == ["keys", "control"]


def test_ctrl_c_while_a_stream_is_closed_still_closes_the_rest(
    tx: hal.Transmitter, closings: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = tx.telemetry_stream(0.1, timeout=5)
    next(stream)
    close: Any = ZmqTransport.close
    interrupt = iter([KeyboardInterrupt()])

    def interrupted(self: ZmqTransport) -> None:
        close(self)
        for error in interrupt:
            raise error

    with monkeypatch.context() as patch:
        patch.setattr(ZmqTransport, "close", interrupted)
        with pytest.raises(KeyboardInterrupt):
            tx.close()
    assert closings == ["keys", "keys", "control"]
    with pytest.raises(hal.ClosedError):
        tx.state()


def test_a_closed_unit_makes_no_key_channel(tx: hal.Transmitter, closings: list[str]) -> None:
    tx.close()
    with pytest.raises(hal.ClosedError, match="was closed"):
        tx.key_blocks(0)
    assert closings == ["control"]


def test_a_closed_key_channel_begins_no_stream(tx: hal.Transmitter) -> None:
    stream = tx.telemetry_stream(0.1, timeout=5)
    tx.close()
    with pytest.raises(hal.ClosedError, match="was closed"):
        next(stream)
