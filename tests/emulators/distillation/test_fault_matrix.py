"""Every message of either end, lost, late, moved, repeated or altered: what may come of it and what may not."""

from __future__ import annotations

import contextlib
import random
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import pytest

from tokaido.emulators.distillation import AbortReason, AcceptedBlock, MessageError, QuarantinedBlock
from tokaido.emulators.distillation._messages import Accept, TranscriptTag, decode, encode
from tokaido_testing.distillation import NONCE, SMALL, pair, portions, raw_data

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from _pytest.mark import ParameterSet

    from tokaido.emulators.distillation import BlockResult, Distiller
    from tokaido.emulators.distillation._messages import AnyMessage

Side = Literal["transmitter", "receiver"]
SIDES: tuple[Side, Side] = "transmitter", "receiver"
OTHER: dict[Side, Side] = {"transmitter": "receiver", "receiver": "transmitter"}

SETTINGS = msgspec.structs.replace(
    SMALL, block_bits=6000, frame_bits=2000, frames_in_flight=2, eps_sec=0.1, eps_cor=1e-9
)
RECORDS = raw_data(60_000, 0.004, settings=SETTINGS)
BOUND = 6000
"""Messages after which a run that does not come to an end hangs. Three blocks take about 500."""
SENT_BY: dict[Side, tuple[str, ...]] = {
    "transmitter": (
        "Hello", "SiftResult", "ParityAnswer", "VerifyTag", "Amplify", "TranscriptTag", "Accept", "Abort",
    ),
    "receiver": (
        "Hello", "BlockPlan", "Announcement", "BlockStart", "ParityRequest", "BisectRequest", "VerifyRequest",
        "FrameDone", "TranscriptTag", "Accept", "Abort",
    ),
}  # fmt: skip
HEADER: dict[str, Callable[[Any], Any]] = {
    "version": lambda value: value + 1,
    "session": lambda value: bytes(byte ^ 1 for byte in value) or b"x",
    "block": lambda value: value + 1,
    "direction": lambda value: 1 - value,
    "sequence": lambda value: value + 1,
}
FAULTS = (
    "drop", "drop and all that follow until silence", "drop three",
    "delay by two", "delay until silence", "swap with the next",
    "repeat at once", "repeat after three", "repeat in the next block", "send back",
    "flip an early bit", "flip a middle bit", "flip the last bit", "cut the end", "add a byte", "empty",
    *(f"other {name}" for name in HEADER),
)  # fmt: skip
OCCURRENCES: dict[str, tuple[int, ...]] = {"Abort": (0,), "ParityAnswer": (0, 7, 40), "BisectRequest": (0, 7, 40)}


def altered(data: bytes, fault: str) -> bytes:
    """Return what arrives instead."""
    if fault.startswith("other "):
        fields: list[Any] = msgspec.msgpack.decode(data)
        name = fault.removeprefix("other ")
        place = 1 + list(HEADER).index(name)  # after the tag
        fields[place] = HEADER[name](fields[place])
        return msgspec.msgpack.encode(fields)
    match fault:
        case "cut the end":
            return data[:-1]
        case "add a byte":
            return data + b"\0"
        case "empty":
            return b""
    place = {"flip an early bit": min(24, len(data) // 3), "flip a middle bit": len(data) // 2}.get(fault, -1)
    changed = bytearray(data)
    changed[place] ^= 1
    return bytes(changed)


class Wire:
    """Carries messages between two ends and does one thing to one of them; delayed ones come after later ones."""

    def __init__(self, side: Side, kind: str, fault: str, occurrence: int) -> None:
        self.side: Side = side
        self.kind, self.fault, self.left = kind, fault, occurrence
        self.struck_block: int | None = None
        self.other_session = False
        """Whether what arrived names another session, which is how an end learns that its hello was altered."""
        self.sent: list[tuple[Side, AnyMessage]] = []
        self._held: list[tuple[str, int, Side, bytes]] = []  # when to release: after so many, in a block, in silence
        self._dropping = 0

    def carry(self, side: Side, data: bytes) -> list[tuple[Side, bytes]]:
        """Return what arrives for a message, each with the side that it seems to come from."""
        message = decode(data)
        self.sent.append((side, message))
        arriving = self._strike(side, data, message)
        return arriving + self._due(side, message)

    def silence(self) -> list[tuple[Side, bytes]]:
        """Return what was held back until nobody had more to say."""
        self._dropping = 0
        due: list[tuple[Side, bytes]] = [(side, data) for when, _, side, data in self._held if when != "block"]
        self._held = [held for held in self._held if held[0] == "block"]
        return due

    def _due(self, side: Side, message: AnyMessage) -> list[tuple[Side, bytes]]:
        due, kept = [], []
        for when, count, owner, data in self._held:
            at_count = when == "count" and owner == side
            in_block = when == "block" and message.session and message.block >= count
            if in_block or (at_count and count == 0):
                due.append((owner, data))
            else:
                kept.append((when, count - at_count, owner, data))
        self._held = kept
        return due

    def _strike(self, side: Side, data: bytes, message: AnyMessage) -> list[tuple[Side, bytes]]:
        if self._dropping and side == self.side:
            self._dropping -= 1
            return []
        if self.struck_block is not None or side != self.side or type(message).__name__ != self.kind:
            return [(side, data)]
        if self.left:
            self.left -= 1
            return [(side, data)]
        self.struck_block = message.block
        match self.fault:
            case "drop":
                return []
            case "drop three":
                self._dropping = 2
                return []
            case "drop and all that follow until silence":
                self._dropping = BOUND
                return []
            case "delay by two":
                self._held.append(("count", 2, side, data))
                return []
            case "delay until silence":
                self._held.append(("silence", 0, side, data))
                return []
            case "swap with the next":
                self._held.append(("count", 1, side, data))
                return []
            case "repeat at once":
                return [(side, data), (side, data)]
            case "repeat after three":
                self._held.append(("count", 3, side, data))
                return [(side, data)]
            case "repeat in the next block":
                self._held.append(("block", message.block + 1, side, data))
                return [(side, data)]
            case "send back":
                return [(side, data), (OTHER[side], data)]
            case _:
                changed = altered(data, self.fault)
                with contextlib.suppress(MessageError):
                    self.other_session = decode(changed).session != message.session
                return [(side, changed)]


@dataclass
class Run:
    """Two ends, a wire, and what both released."""

    wire: Wire
    seed: int = 1
    results: dict[Side, list[BlockResult]] = field(default_factory=lambda: defaultdict(list))

    def __post_init__(self) -> None:
        self.transmitter, self.receiver = pair(SETTINGS, seed=self.seed)
        self.ends: dict[Side, Distiller] = {"transmitter": self.transmitter, "receiver": self.receiver}
        self.time = iter(portions(RECORDS, 100))
        self.carried = 0
        self.arrived: set[bytes] = set()
        self.provoked = self.wire.kind != "Abort"

    def deliver(self, arriving: Iterable[tuple[Side, bytes]]) -> None:
        for side, data in arriving:
            self.arrived.add(data)
            self.ends[OTHER[side]].receive(data)

    def pump(self) -> None:
        """Carry messages until silence, or until both ends released a block after the one that was struck."""
        moved = True
        while moved and not self.went_on:
            moved = False
            for side in SIDES:
                end = self.ends[side]
                for data in end.outgoing():
                    moved = True
                    self.carried += 1
                    assert self.carried < BOUND, "the ends go on for ever"
                    self.deliver(self.wire.carry(side, data))
                self.results[side] += end.results()
            if not self.provoked and self.transmitter.statistics.block == 1:
                self.provoked = True
                self.ends[self.wire.side].abort(AbortReason.STOPPED, "provoked")

    def to_the_end(self) -> None:
        """Let time pass; in silence, do what owners of two ends do: late messages come, then who waits gives up."""
        silent = 0
        while True:
            self.pump()
            if self.went_on or all(end.closed for end in self.ends.values()):
                break
            if any(end.awaiting_peer for end in self.ends.values()):
                silent += 1
                late = self.wire.silence()
                self.deliver(late)
                if not late and silent > 2:
                    for waiting in (self.receiver, self.transmitter):
                        if waiting.awaiting_peer:
                            waiting.abort(AbortReason.TIMED_OUT, "no answer")
                    self.pump()
            else:
                silent = 0
            if not self.pass_time():
                break
        self.deliver(self.wire.silence())
        for side, end in self.ends.items():
            end.close()
            self.results[side] += end.results()

    def pass_time(self) -> bool:
        """Let slots pass, the transmitter's first; return whether there were any left."""
        sent, got, until = next(self.time, (None, None, 0))
        if sent is None or got is None:
            return False
        self.transmitter.add(sent, until)
        self.receiver.add(got, until)
        return True

    def accepted(self, side: Side) -> dict[int, str]:
        return {r.number: r.key.digest(NONCE) for r in self.results[side] if isinstance(r, AcceptedBlock)}

    @property
    def went_on(self) -> bool:
        """Whether both ends released a block later than the one that was struck."""
        struck = self.wire.struck_block
        if struck is None:
            return False
        both = self.accepted("transmitter").keys() & self.accepted("receiver").keys()
        return bool(both) and max(both) > struck

    def check(self) -> None:
        """What holds whatever happened."""
        first, second = self.accepted("transmitter"), self.accepted("receiver")
        assert all(first[number] == second[number] for number in first.keys() & second.keys())
        assert first.keys() <= second.keys()  # the receiver releases first
        quarantined = {r.number for r in self.results["transmitter"] if isinstance(r, QuarantinedBlock)}
        assert second.keys() - first.keys() <= quarantined
        accepts = {(side, m.block): encode(m) for side, m in self.wire.sent if isinstance(m, Accept)}
        for side in SIDES:
            for number in self.accepted(side):  # the accept of the peer came, as it was sent
                assert accepts[OTHER[side], number] in self.arrived
        assert all(("receiver", number) in accepts for number in second)
        for side in self.ends:
            pads = [m.index for who, m in self.wire.sent if who == side and isinstance(m, TranscriptTag | Accept)]
            assert len(set(pads)) == len(pads)
            ended = [r.number for r in self.results[side] if not isinstance(r, QuarantinedBlock) or not r.released]
            assert len(set(ended)) == len(ended)  # every block has one end


def cases() -> Iterator[ParameterSet]:
    """Yield the whole matrix; of each fault of each message the short form has one occurrence, all of them in turn."""
    for side, kinds in SENT_BY.items():
        for row, kind in enumerate(kinds):
            occurrences = OCCURRENCES.get(kind, (0, 1))
            for column, fault in enumerate(FAULTS):
                for place, occurrence in enumerate(occurrences):
                    short = (row + column) % len(occurrences) == place
                    name = f"{side}-{kind}-{fault}-{occurrence}".replace(" ", "_")
                    marks = () if short else pytest.mark.thorough
                    yield pytest.param(side, kind, fault, occurrence, id=name, marks=marks)


@pytest.mark.parametrize(("side", "kind", "fault", "occurrence"), [*cases()])
def test_no_fault_makes_two_keys_or_a_one_sided_one_and_the_session_goes_on_or_says_why(
    side: Side, kind: str, fault: str, occurrence: int
) -> None:
    wire = Wire(side, kind, fault, occurrence)
    run = Run(wire)
    run.to_the_end()
    assert wire.struck_block is not None
    run.check()
    if not run.went_on:
        reasons = [r.reason for results in run.results.values() for r in results if not isinstance(r, AcceptedBlock)]
        assert [reason for reason in reasons if reason is not AbortReason.STOPPED], "it ended and did not say why"
        assert kind in {"Hello", "Abort"} or wire.other_session, "one message within a block ended the session"


class Storm(Wire):
    """Does something, now and then, to any message."""

    def __init__(self, seed: int) -> None:
        super().__init__("transmitter", "", "", 0)
        self._random = random.Random(seed)

    def _strike(self, side: Side, data: bytes, message: AnyMessage) -> list[tuple[Side, bytes]]:
        if self._dropping and side == self.side:
            self._dropping -= 1
            return []
        if self._random.random() > 0.004:
            return [(side, data)]
        self.struck_block, self.left, self.side, self.kind = None, 0, side, type(message).__name__
        self.fault = self._random.choice(FAULTS)
        arriving = super()._strike(side, data, message)
        self.struck_block = None
        return arriving


@pytest.mark.parametrize(
    "seed", [*range(8), *(pytest.param(seed, marks=pytest.mark.thorough) for seed in range(8, 24))]
)
def test_a_storm_of_faults_makes_no_two_keys_either(seed: int) -> None:
    run = Run(Storm(seed), seed=seed)
    run.to_the_end()
    run.check()


def test_the_matrix_names_every_message() -> None:
    run = Run(Wire("transmitter", "", "", 0))
    run.pump()
    while run.pass_time():
        run.pump()
    run.receiver.abort(AbortReason.STOPPED, "")
    run.transmitter.abort(AbortReason.STOPPED, "")
    run.pump()
    seen = {(side, type(message).__name__) for side, message in run.wire.sent}
    assert seen == {(side, kind) for side, kinds in SENT_BY.items() for kind in kinds}
    assert len(run.accepted("receiver")) >= 4
