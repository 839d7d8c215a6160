"""A unit with a key channel, and a witness who knows every key block that was put into it."""

from __future__ import annotations

import logging
import secrets
import traceback
from collections import Counter
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, ClassVar, Protocol, cast, runtime_checkable

import pytest

import tokaido.hal as hal
from tokaido.emulators.conformance._leaks import LeakScanner
from tokaido.emulators.conformance._plan import WireFault
from tokaido.emulators.conformance._rig import OPENINGS, Rig

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

    from tokaido.emulators.conformance._plan import Plan

TIMEOUT_S = 0.4
"""Deadline of one exchange at the least, in s: a lost connection is made and authenticated again within it."""
BLOCK_BYTES = 512
LONG_BYTES = 16
"""Shorter keys may turn up anywhere by chance."""
SESSION = "00ff00ff00ff00ff"
CARRIED_TWICE = WireFault("duplicate", "to_unit")
"""What lets a unit hear twice what its host said once."""
OWN = "tokaido.emulators.conformance"
RECOVERY = 2
"""Which draw after a fault must succeed."""
DRAWING = 3
"""Exchanges that one block may take: to connect, to be offered, to be acknowledged."""

Name = tuple[str, int]
"""Session and number of a block."""


@runtime_checkable
class HasKeys(Protocol):
    """A model of a unit whose key store a test may fill, and that tells what hosts said of its blocks.

    The suite calls both methods under the emulator's lock.
    """

    PSK_BYTES: ClassVar[int]
    """Length of a pre-shared key: the only one that the unit takes."""

    def add_key_block(self, info: hal.KeyBlockInfo, key: hal.KeyMaterial, /) -> None:
        """Keep a block behind those that wait, as if both units of a link had just accepted it."""
        ...

    def key_orders(self) -> Sequence[tuple[str, str, int]]:
        """Return what hosts said of blocks, oldest first and as often as they said it, at least the last 100.

        Each is "ack" or "commit", the block's session and its number. What the unit refused is left out.
        """
        ...


class KeyRig(Rig):
    """A rig whose store can be filled, and whose blocks are compared with what was put into it.

    Its time is the machine's, and the key channel a socket with threads behind it, unless it is not `real`: then an end
    within the process has the key channel there, too, and time passes by waiting.
    """

    def __init__(self, plan: Plan, wire_end: str, *, speed: float = 1.0, real: bool = True) -> None:
        options = plan.options if speed == 1 else {**plan.options, "speed": speed}
        super().__init__(replace(plan, timeout=max(plan.timeout, TIMEOUT_S), options=options), wire_end, real=real)
        self.secrets: list[bytes] = []
        """Every key of this rig, to look for where it must not be."""
        self.confirmed: set[Name] = set()
        """Blocks whose commit the driver confirmed."""
        self.commits: Counter[Name] = Counter()
        """How often the driver was told to commit a block."""
        self._nonce = secrets.token_bytes(16)
        self._digests: dict[Name, str] = {}
        self._infos: dict[Name, hal.KeyBlockInfo] = {}

    @property
    def unit(self) -> hal.Unit:
        """The driver as the unit that it is."""
        return cast("hal.Unit", self.device)

    @property
    def model(self) -> HasKeys:
        """The model; the test is skipped if it has no store that can be filled."""
        model = self.emulator.model
        if not isinstance(model, HasKeys):
            pytest.skip(f"{type(model).__name__} has no add_key_block, key_orders or PSK_BYTES: see HasKeys")
        return model

    def fresh_key(self, size: int) -> hal.KeyMaterial:
        """Return a random key that is looked for afterwards."""
        fresh = secrets.token_bytes(size)
        if size >= LONG_BYTES:
            self.secrets.append(fresh)
        return hal.KeyMaterial(fresh)

    def lingers_s(self, fault: WireFault) -> float:
        """Return how long after its end a fault still has effects: a message that came is over, however long it is."""
        lasts_s = {
            "plug": 2 * self.plan.lasts_s["unplug"],
            "delay": max(self.plan.lasts_s["latency"] - self.plan.timeout, 0.0),
        }
        return lasts_s.get(fault.of.lingers.get("keys", ""), 0.0)

    # --- blocks -----------------------------------------------------------------------------------------------------

    def fill(self, count: int) -> list[Name]:
        """Put fresh blocks into the unit, and return their names, oldest first."""
        model = self.model
        names: list[Name] = []
        for _ in range(count):
            name = SESSION, len(self._digests)
            key = self.fresh_key(BLOCK_BYTES)
            facts = hal.KeyBlockFacts(*name, key.bits, "lim2014", "chernoff", 1e-10, insecure=False, emulated=True)
            info = hal.KeyBlockInfo.of(facts, self.emulator.serial_number)
            self._digests[name], self._infos[name] = key.digest(self._nonce), info
            with self.emulator.lock:
                self.emulator._shared.catch_up()
                model.add_key_block(info, key)
            names.append(name)
        return names

    def orders(self, verb: str) -> list[Name]:
        """Return the blocks of which hosts said this, as often as they said it."""
        with self.emulator.lock:
            return [(session, number) for said, session, number in self.model.key_orders() if said == verb]

    def check(self, block: hal.KeyBlock, fault: object = None) -> Name:
        """Return the name of a block that came; one that is wrong fails the test."""
        name = block.info.session, block.info.number
        what = f"block {name[0]}/{name[1]}{_under(fault)}"
        got, truth = block.key.digest(self._nonce), self._digests.get(name, "none of this unit's")
        own = block.info == self._infos.get(name) and block.info.bits == block.key.bits
        self.compare(f"the key of {what}", got, own and got == truth, truth=truth)
        assert name not in self.confirmed, f"{what} was committed and is handed out again"
        if hal.Capability.PUSHED_KEYS not in self.unit.capabilities:
            assert name in self.orders("ack"), f"{what} is handed out and was not acknowledged"
        return name

    def draw(self, fault: object = None) -> bool:
        """Draw the oldest block and commit it; return whether both were done."""
        left = set(self._digests) - set(self.orders("commit"))
        block = self.call(lambda: next(self.unit.key_blocks(0, limit=1), None), exchanges=DRAWING)
        if isinstance(block, hal.TokaidoError):
            return False
        if block is None:
            left -= set(self.orders("commit"))
            self.compare(f"what waits{_under(fault)}", "nothing", not left, truth=sorted(left))
            return True
        name = self.check(block, fault)
        return not isinstance(self.commit(block, name), hal.TokaidoError)

    def commit(self, block: hal.KeyBlock, name: Name) -> hal.TokaidoError | None:
        """Commit a block that was checked."""
        self.commits[name] += 1
        outcome = self.call(block.commit)
        if not isinstance(outcome, hal.TokaidoError):
            self.confirmed.add(name)
        return outcome

    def begin(self, count: int) -> None:
        """Fill the store, and draw one block: the key channel is connected then, however busy the machine is."""
        self.fill(count)
        assert any(self.draw() for _ in range(OPENINGS)), "it must draw before the fault comes"

    def commit_at_last(self, block: hal.KeyBlock, name: Name) -> None:
        """Commit a block, and once more if that failed, as a host does that stored it."""
        if self.commit(block, name) is not None:
            self.commit(block, name)

    def take(self) -> tuple[hal.KeyBlock, Name]:
        """Draw the oldest block and keep it uncommitted."""
        block = self.call(lambda: next(self.unit.key_blocks(0, limit=1), None), exchanges=DRAWING)
        assert isinstance(block, hal.KeyBlock), block
        return block, self.check(block)

    def check_recovery(self, fault: object) -> None:
        """Fail unless the second draw after a fault is as good as if there had been none; a busy machine gets more."""
        before, most = len(self.raised), round(RECOVERY * self.plan.slowness())
        recovered = any(self.draw(fault) for _ in range(most))
        assert recovered, f"draw {most} after {fault} must succeed: {'; '.join(map(str, self.raised[before:]))}"

    def check_the_books(self, fault: object = None) -> None:
        """Draw what is left; then every block is committed, and no driver committed one more often than it was told."""
        while blocks := list(islice(self.unit.key_blocks(0), len(self._digests) + 1)):
            for block in blocks:
                outcome = self.commit(block, self.check(block))
                assert outcome is None, f"it does not recover: {outcome}"
        committed = Counter(self.orders("commit"))
        lost = sorted(set(self._digests) - set(committed))
        self.compare(f"what was lost{_under(fault)}", lost, not lost, truth=[])
        twice = committed - self.commits
        if fault != CARRIED_TWICE:
            self.compare(f"what was committed too often{_under(fault)}", dict(twice), not twice, truth={})

    # --- what shows -------------------------------------------------------------------------------------------------

    def check_nothing_shows(self, texts: Sequence[str] = ()) -> None:
        """Fail if a key's bytes are in a text, in an error that was raised, or in what went over the control port.

        An error has the local variables of the driver too, which many tools print with it.
        """
        told = (part for error in self.raised for part in (str(error), repr(error), *locals_of(error)))
        check_nothing_shows(self.secrets, [*texts, *self.sent, *told])


def check_nothing_shows(secrets: list[bytes], texts: Sequence[str]) -> None:
    """Fail if bytes of a key are in a text."""
    scanner = LeakScanner(secrets)
    leaks = [number for number, text in enumerate(dict.fromkeys(texts)) if scanner.found(text)]  # the texts stay unsaid
    assert leaks == [], f"key bytes show in {len(leaks)} of {len(texts)} texts"


def locals_of(error: BaseException) -> Iterator[str]:
    """Return the local variables of an error and of those that led to it, without those of the suite."""
    seen: set[int] = set()
    chain: BaseException | None = error
    while chain is not None and id(chain) not in seen:
        seen.add(id(chain))
        for frame, _ in traceback.walk_tb(chain.__traceback__):
            if not frame.f_globals.get("__name__", "").startswith(OWN):
                yield from (repr(value) for value in list(frame.f_locals.values()))
        chain = chain.__cause__ or chain.__context__


def _under(fault: object) -> str:
    return f" under {fault}" if fault else ""


@contextmanager
def overheard() -> Generator[list[str]]:
    """Give the list of what is logged, and of what transports trace that are made, within the context."""
    heard: list[str] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            heard.append(f"{self.format(record)} {record.args!r}")

    root, listener = logging.getLogger(), Listener(logging.DEBUG)
    level = root.level
    root.addHandler(listener)
    root.setLevel(logging.DEBUG)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hal.Transport, "__init__", _tracing(hal.Transport.__init__, heard))
        try:
            yield heard
        finally:
            root.setLevel(level)
            root.removeHandler(listener)


def _tracing(build: Callable[..., None], heard: list[str]) -> Callable[..., None]:
    def __init__(transport: hal.Transport[object], *args: object, **options: object) -> None:  # noqa: N807
        build(transport, *args, **options)
        transport.add_sink(lambda record: heard.append(str(record)))

    return __init__
