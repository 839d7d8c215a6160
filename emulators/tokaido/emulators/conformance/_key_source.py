"""What is asked of a source with a master's and a slave's end: both give the same keys, each once, and count losses."""

from __future__ import annotations

import secrets
import uuid
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Protocol, cast, runtime_checkable

import pytest

import tokaido.hal as hal
from tokaido.emulators.conformance._contract import Contract
from tokaido.emulators.conformance._key_rig import TIMEOUT_S, check_nothing_shows, locals_of, overheard
from tokaido.emulators.conformance._plan import WireFault
from tokaido.emulators.conformance._questions import Question, every_value
from tokaido.emulators.conformance._rig import OPENINGS, Rig, side_by_side

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from tokaido.emulators._fault_kinds import Direction
    from tokaido.emulators._faults import Fault
    from tokaido.emulators.conformance._plan import Plan

DRAWING = 5
"""Exchanges that one draw may take: to connect, to be told who is there, what there is, and to be given it, twice."""
KEYS = 3
"""Keys that are laid down for a block."""


@runtime_checkable
class HasDeliveries(Protocol):
    """A model of a pair of key managers whose stock a test may fill. The suite calls it under the emulator's lock.

    The suite wants a stock that is empty at launch, so that it knows every key.
    """

    @property
    def key_bits(self) -> int:
        """Size of a key for which none is asked, in bit."""
        ...

    def add_key(self, key_id: str, key: hal.KeyMaterial, /) -> None:
        """Lay a key down behind those that were: it is delivered before any other."""
        ...

    def key_orders(self) -> Sequence[tuple[str, str]]:
        """Return what was delivered: "enc_keys" at the master's end or "dec_keys" at the slave's, and the key's id."""
        ...


class SourceRig(Rig):
    """A rig whose stock can be filled, with a driver at either end."""

    def __init__(self, plan: Plan, wire_end: str) -> None:
        super().__init__(replace(plan, timeout=max(plan.timeout, TIMEOUT_S)), wire_end, real=True)
        self.laid: dict[str, bytes] = {}
        """Every key of this rig by its id, to compare with and to look for where it must not be."""
        self.drawn: dict[str, hal.KeyBlock] = {}
        """Blocks that came at the master's end, by their sessions."""
        self.at_order: Callable[[], None] | None = None
        """Called once, just before the next request that takes keys."""
        self._nonce = secrets.token_bytes(16)
        self._slave: hal.KeySource | None = None

    @property
    def master(self) -> hal.KeySource:
        """The driver at the master's end."""
        return cast("hal.KeySource", self.device)

    @property
    def slave(self) -> hal.KeySource:
        """The driver at the other end, which is opened when it is first asked for."""
        if self._slave is None:
            options = {"timeout": self.plan.timeout, "trace": self._note, "clock": self.clock}
            opened = hal.KeySource.open(self.plan.driver, **options, **self.emulator.counterpart)  # type: ignore[arg-type]
            self._slave = self._stack.enter_context(opened)
        return self._slave

    @property
    def model(self) -> HasDeliveries:
        """The model; the test is skipped if it has no stock that can be filled."""
        model = self.emulator.model
        if not isinstance(model, HasDeliveries):
            pytest.skip(f"{type(model).__name__} has no key_bits, add_key or key_orders: see HasDeliveries")
        return model

    def fill(self, count: int = KEYS) -> None:
        """Lay down fresh keys."""
        model = self.model
        for _ in range(count):
            key_id, key = str(uuid.uuid4()), secrets.token_bytes(model.key_bits // 8)
            self.laid[key_id] = key
            with self.emulator.lock:
                self.emulator._shared.catch_up()
                model.add_key(key_id, hal.KeyMaterial(key))

    def delivered(self, method: str) -> list[str]:
        """Return the ids that were delivered so, oldest first."""
        with self.emulator.lock:
            return [key_id.lower() for by, key_id in self.model.key_orders() if by == method]

    def _note(self, record: hal.TraceRecord) -> None:
        super()._note(record)
        if self.at_order and record.direction == ">" and not self.plan.is_query(record.text):
            at_order, self.at_order = self.at_order, None
            at_order()

    # --- blocks -----------------------------------------------------------------------------------------------------

    def check(self, block: hal.KeyBlock, what: str) -> None:
        """Compare a block with what was laid down; one that is wrong fails the test."""
        info = block.info
        parts = [self.laid.get(key_id.lower(), b"") for key_id in info.key_ids]
        truth = hal.KeyMaterial(b"".join(parts)).digest(self._nonce)
        got = block.key.digest(self._nonce)
        named = (info.session, info.number, info.bits) == (info.key_ids[0], 0, block.key.bits)
        self.compare(f"the key of {what}", got, named and all(parts) and got == truth, truth=truth)

    def draw(self, fault: object = None) -> hal.KeyBlock | None:
        """Draw a block at the master's end, if one comes."""
        block = self.call(lambda: next(self.master.key_blocks(0, limit=1), None), exchanges=DRAWING)
        if not isinstance(block, hal.KeyBlock):
            return None
        self.check(block, f"a block under {fault}")
        block.commit()
        before = {key_id for one in self.drawn.values() for key_id in one.info.key_ids}
        assert before.isdisjoint(block.info.key_ids), "a key came twice"
        self.drawn[block.info.session] = block
        return block

    def fetch(self, block: hal.KeyBlock, fault: object = None) -> bool:
        """Fetch at the other end what was drawn; return whether it came."""
        info = block.info
        other = self.call(lambda: self.slave.fetch_block(info.key_ids, bits=info.bits), exchanges=DRAWING)
        if not isinstance(other, hal.KeyBlock):
            return False
        self.check(other, f"the fetched block under {fault}")
        assert (other.info.session, other.info.number) == (info.session, info.number), "its name is not the same"
        return True

    def draw_at_last(self, fault: object) -> hal.KeyBlock:
        """Draw what must come now, by the second draw; each draw finds fresh keys."""
        before = len(self.raised)
        for _ in range(round(2 * self.plan.slowness())):
            self.fill()
            if block := self.draw(fault):
                return block
        pytest.fail(f"draw 2 after {fault} must succeed: {'; '.join(map(str, self.raised[before:]))}")

    def check_the_books(self, fault: object = None) -> None:
        """Every key that was delivered came in a block, or a draw is counted as lost; none was delivered twice."""
        for method, source in (("enc_keys", self.master), ("dec_keys", self.slave)):
            gone = self.delivered(method)
            assert len(set(gone)) == len(gone), f"{method} under {fault}: a key was delivered twice"
            if method == "enc_keys":
                came = {key_id.lower() for block in self.drawn.values() for key_id in block.info.key_ids}
                lost = sorted(set(gone) - came)
                self.compare(f"losses under {fault}", source.draws_lost, not lost or source.draws_lost > 0, truth=lost)

    def check_nothing_shows(self, texts: Sequence[str] = ()) -> None:
        """Fail if a key's bytes are in a text, an error with its local variables, or a trace."""
        told = (part for error in self.raised for part in (str(error), repr(error), *locals_of(error)))
        check_nothing_shows(list(self.laid.values()), [*texts, *self.sent, *told])


class KeySourceContract(Contract):
    """A source with a master's and a slave's end. The emulator is the pair, with `resources` and `counterpart`."""

    def questions(self, rig: Rig) -> list[Question]:
        """Every number that the source tells and that no other one is."""
        found: dict[object, list[Question]] = {}
        for owner, value in every_value(rig.device):
            try:
                now = owner.read(value)
            except hal.TokaidoError:
                continue
            ask = lambda owner=owner, value=value: owner.read(value)  # noqa: E731 - bound to this one
            found.setdefault(now, []).append(Question(value.name, ask, lambda now=now: now))  # type: ignore[misc]
        return [*super().questions(rig), *(same[0] for same in found.values() if len(same) == 1)]

    def source_rig(self) -> SourceRig:
        """Return the emulated pair, and its drivers."""
        return SourceRig(self.plan, self.plan.wire_ends[-1])

    def test_both_ends_give_the_same_keys_each_once(self) -> None:
        """What the master's end draws the slave's fetches by the ids, and nobody gets it a second time."""
        with self.source_rig() as rig:
            rig.unhurry()
            blocks = []
            for count in (1, KEYS, 1):
                rig.fill(count)
                block = rig.draw()
                assert block is not None
                assert len(block.info.key_ids) == count
                blocks.append(block)
            assert rig.draw() is None, "there is no more"
            for block in reversed(blocks):
                assert rig.fetch(block)
                assert not rig.fetch(block), "a key was given twice"
                assert isinstance(rig.raised[-1], hal.RefusedError)
            assert rig.master.draws_lost == rig.slave.draws_lost == 0
            rig.check_the_books()

    def test_each_end_says_which_it_is_and_refuses_what_the_other_does(self) -> None:
        """A slave's end draws nothing, a master's fetches nothing; neither asks the source."""
        with self.source_rig() as rig:
            assert (rig.master.key_end, rig.slave.key_end) == (hal.KeyEnd.MASTER, hal.KeyEnd.SLAVE)
            with rig.listening() as written:
                with pytest.raises(hal.UnsupportedError):
                    rig.slave.key_blocks(0)
                with pytest.raises(hal.UnsupportedError):
                    rig.master.fetch_block((str(uuid.uuid4()),))
            assert written == []

    def test_ids_that_are_none_and_a_length_that_is_not_right_give_no_key(self) -> None:
        """Ids that nobody has are refused; a block of another length than the master's is never handed out."""
        with self.source_rig() as rig:
            rig.fill(1)
            block = rig.draw_at_last("nothing")
            for ids in ((), ("x",), block.info.key_ids * 2, (str(uuid.uuid4()),)):
                with pytest.raises((hal.KeyMaterialError, hal.RefusedError)):
                    rig.slave.fetch_block(ids)
            with pytest.raises(hal.ProtocolError):
                rig.slave.fetch_block(block.info.key_ids, bits=block.info.bits + 8)
            assert rig.slave.draws_lost == 1

    @pytest.mark.parametrize("way", ["to_unit", "from_unit"])
    def test_keys_under_a_fault_on_the_wire(self, way: Direction) -> None:
        """Every block is right, none comes twice, losses are counted; and soon well again."""
        with self.source_rig() as rig:
            _ = rig.model
        with overheard() as heard:
            faults = [
                fault
                for fault in self.plan.faults
                if fault.direction == way and "control" in fault.of.ports and not fault.of.in_model
            ]
            laid: list[bytes] = []
            side_by_side({str(fault): partial(self.check_keys, fault, laid) for fault in faults})
            check_nothing_shows(laid, heard)

    @contextmanager
    def struck(self, rig: SourceRig, fault: WireFault, *, of_order: bool) -> Generator[None]:
        """Let a fault meet the next request that takes keys, or its reply; or else any piece."""
        struck: list[Fault] = []
        if of_order:
            rig.at_order = lambda: struck.extend(rig.strike(fault))
        else:
            struck += rig.strike(fault, probability=0.5)
        yield
        assert not of_order or any(one.fired for one in struck), "the fault met nothing"
        rig.end(fault, struck)

    def check_keys(self, fault: WireFault, laid: list[bytes] | None = None) -> None:
        """Let a fault meet draws and fetches; then both must come."""
        with self.source_rig() as rig:
            rig.fill()
            assert any(rig.draw() for _ in range(OPENINGS)), "it must draw before the fault comes"
            rig.fill()
            struck = rig.strike(fault)
            for _ in range(2):
                rig.draw(fault)
            assert any(one.fired for one in struck), "the fault met nothing"
            rig.end(fault, struck)
            for of_order in (True, False):
                rig.draw_at_last(fault)
                rig.fill()
                with self.struck(rig, fault, of_order=of_order):
                    rig.draw(fault)
                block = rig.draw_at_last(fault)
                with self.struck(rig, fault, of_order=of_order):
                    came = rig.fetch(block, fault)
                recovered = came or any(rig.fetch(rig.draw_at_last(fault)) for _ in range(2))
                assert recovered, f"fetch 2 after {fault} must succeed"
            rig.check_the_books(fault)
            rig.check_nothing_shows()
            if laid is not None:
                laid += rig.laid.values()

    def test_keys_under_a_fault_of_the_source(self) -> None:
        """Whatever a source does wrong, no wrong key is handed out, nothing foreign raised; and soon well again."""
        for fault in self.source_rig_faults():
            with self.source_rig() as rig, overheard() as heard:
                rig.fill()
                block = rig.draw_at_last("nothing")
                rig.emulator.add_fault(fault)
                rig.fill()
                rig.draw(fault)
                rig.fetch(block, fault)
                rig.emulator.remove_fault(fault)
                assert rig.fetch(rig.draw_at_last(fault)), f"a fetch must succeed after {fault}"
                rig.check_the_books(fault)
                rig.check_nothing_shows(heard)

    def source_rig_faults(self) -> Sequence[str]:
        """Return the names of the model's faults."""
        with self.source_rig() as rig:
            _ = rig.model
            return tuple(type(rig.emulator.model).FAULTS)

    def test_no_byte_of_a_key_shows(self, capfd: pytest.CaptureFixture[str]) -> None:
        """Not in what represents a block or a source, an error, a trace, a log or the output: raw, in hex or base64."""
        with overheard() as heard, self.source_rig() as rig:
            rig.fill(2 * KEYS)
            block = rig.draw_at_last("nothing")
            shown = [repr(block), str(block), repr(block.info), repr(block.key), f"{block.key}"]
            assert rig.fetch(block)
            for kind in ("drop", "truncate"):
                fault = WireFault(kind, "from_unit")
                struck = rig.strike(fault)
                rig.fill()
                rig.draw(fault)
                rig.end(fault, struck)
            for source in (rig.master, rig.slave):
                shown += [repr(source), str(source), repr(vars(source)), repr(rig.call(source.snapshot))]
            rig.check_nothing_shows([*shown, *heard, *capfd.readouterr()])
