"""A reply that came after everybody had given it up is not believed: the first one after that must come alone."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from tokaido.hal import DeviceTimeoutError, ProtocolError, Resource
from tokaido.hal.transports import LineCodec, StreamTransport
from tokaido_testing.toy_clock import ToyClock

TIMEOUT_S = 0.2


@dataclass
class Box:
    """Answers line by line in a time of its own: `delays_s` holds how long, by question."""

    clock: ToyClock
    delays_s: dict[str, float] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    _coming: list[tuple[int, bytes]] = field(default_factory=list)

    def ready(self, seconds: float) -> bool:
        end_ns = self.clock.monotonic_ns() + round(seconds * 1e9)
        while not self._arrived():
            if self.clock.monotonic_ns() >= end_ns:
                return False
            self.clock.wait(0.001)
        return True

    def read(self) -> bytes:
        arrived = self._arrived()
        self._coming = [one for one in self._coming if one not in arrived]
        return b"".join(data for _, data in arrived)

    def write(self, data: bytes | memoryview) -> int:
        text = bytes(data).decode().strip()
        self.asked.append(text)
        self._coming.append(
            (self.clock.monotonic_ns() + round(self.delays_s.get(text, 0.001) * 1e9), f"answer to {text}\n".encode())
        )
        return len(data)

    def writable(self, seconds: float) -> None:
        """It takes everything."""

    def abandon(self) -> bool:
        """The line goes on."""
        return False

    def close(self) -> None:
        """Bytes under way come by the next opening too, as on a serial line."""

    def _arrived(self) -> list[tuple[int, bytes]]:
        return [one for one in self._coming if one[0] <= self.clock.monotonic_ns()]


class BoxTransport(StreamTransport):
    """A way to the box that needs no descriptor."""

    def __init__(self, box: Box) -> None:
        super().__init__(Resource("serial", "box", {}), LineCodec(), clock=box.clock, timeout_s=TIMEOUT_S)
        self.box = box

    def _dial(self, deadline: object) -> Box:
        return self.box


@pytest.fixture
def box() -> Box:
    return Box(ToyClock())


@pytest.fixture
def transport(box: Box) -> BoxTransport:
    made = BoxTransport(box)
    made.open()
    return made


def miss(transport: BoxTransport, text: str, delay_s: float) -> None:
    """Ask something whose reply comes so late that nobody waits for it any more."""
    transport.box.delays_s[text] = delay_s
    with pytest.raises(DeviceTimeoutError):
        transport.query(text)


def test_a_reply_that_comes_after_its_debt_ended_answers_no_other_question(transport: BoxTransport, box: Box) -> None:
    miss(transport, "A?", 0.41)  # it is owed until 0.4 s after it was asked
    box.delays_s["B?"] = 0.02
    with pytest.raises(ProtocolError, match="two replies came to one question"):
        transport.query("B?", 1.0)  # sent just then: the answer to A? comes first
    assert box.asked == ["A?", "B?"]
    assert transport.query("C?") == "answer to C?"


def test_the_doubt_lasts_over_an_opening_and_ends_with_a_reply_that_came_alone(
    transport: BoxTransport, box: Box
) -> None:
    miss(transport, "A?", 60.0)  # it never comes
    start_s = box.clock.monotonic_ns() / 1e9
    assert transport.query("B?", 1.0) == "answer to B?"
    waited_s = box.clock.monotonic_ns() / 1e9 - start_s
    assert waited_s >= 0.2 + 0.05  # for the reply that was owed, and whether a second one follows
    start_s = box.clock.monotonic_ns() / 1e9
    assert transport.query("C?") == "answer to C?"
    assert box.clock.monotonic_ns() / 1e9 - start_s < 0.01  # nothing is in doubt any more


def test_a_reply_that_comes_while_it_is_owed_leaves_no_doubt(transport: BoxTransport, box: Box) -> None:
    miss(transport, "A?", 0.3)
    assert transport.query("B?", 1.0) == "answer to B?"
    box.delays_s["C?"] = 0.02
    start_s = box.clock.monotonic_ns() / 1e9
    assert transport.query("C?") == "answer to C?"
    assert box.clock.monotonic_ns() / 1e9 - start_s < 0.03
