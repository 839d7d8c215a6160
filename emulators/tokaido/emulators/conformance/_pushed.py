"""What is asked of a key channel that only pushes: the right blocks, once each, and a word for each that is lost."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest

import tokaido.hal as hal
from tokaido.emulators.conformance._key_rig import KeyRig, Name, overheard
from tokaido.emulators.conformance._plan import WireFault
from tokaido.emulators.conformance._rig import OPENINGS, side_by_side
from tokaido.emulators.conformance._unit import UnitContract

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

BLOCKS = 12
LATE_S = 0.3
"""How long a push may take to come, on a machine of usual speed."""


class PushedKeyContract(UnitContract):
    """A unit with `Capability.PUSHED_KEYS`. It sends a block once, when it is made, to those who listen."""

    @pytest.fixture
    def listening(self) -> Iterator[KeyRig]:
        """The emulator, and a driver that hears what is pushed."""
        with self.key_rig() as keyed:
            yield keyed

    def key_rig(self) -> KeyRig:
        """Return an emulator and its driver."""
        return KeyRig(self.plan, self.plan.wire_ends[-1])

    def listen(self, keyed: KeyRig) -> None:
        """Have a driver hear what is pushed: fill the store until a block comes."""
        _ = keyed.model
        for _ in range(4 * OPENINGS):
            keyed.fill(1)
            if self.draw(keyed):
                self.draw(keyed)
                return
        pytest.fail("nothing comes of what is pushed")

    def draw(self, keyed: KeyRig, fault: object = None) -> list[hal.KeyBlock]:
        """Return what came; a block that is wrong fails the test, an error of ours does not."""
        found: list[hal.KeyBlock] = []
        blocks = keyed.unit.key_blocks(LATE_S * self.plan.slowness())
        while True:
            block = keyed.call(lambda: next(blocks, None), exchanges=1 + round(LATE_S / self.plan.timeout))
            if not isinstance(block, hal.KeyBlock):
                return found
            name = keyed.check(block, fault)
            block.commit()
            block.commit()
            assert block.committed
            keyed.confirmed.add(name)
            found.append(block)

    def names(self, blocks: Sequence[hal.KeyBlock]) -> list[Name]:
        """Return what blocks are called."""
        return [(block.info.session, block.info.number) for block in blocks]

    def test_pushed_blocks_come_oldest_first_and_once(self, listening: KeyRig) -> None:
        """Each with its own key; none is missing, none comes again, and committing one asks nothing of the unit."""
        self.listen(listening)
        names = listening.fill(BLOCKS)
        blocks = self.draw(listening)
        assert self.names(blocks) == names
        assert [block.lost for block in blocks] == [0] * BLOCKS
        assert self.draw(listening) == []
        assert list(listening.model.key_orders()) == []

    def test_no_more_blocks_come_than_are_asked_for(self, listening: KeyRig) -> None:
        """The others come with the next draw."""
        self.listen(listening)
        names = listening.fill(3)
        wait_s = LATE_S * self.plan.slowness()
        first = list(listening.unit.key_blocks(wait_s, limit=2))
        assert self.names([*first, *self.draw(listening)]) == names

    def test_a_lost_block_is_told_and_costs_no_other(self, listening: KeyRig) -> None:
        """The block behind the gap comes, and says how many are missing, or that nobody can know."""
        self.listen(listening)
        fault = listening.emulator.faults.add("drop", port="keys", count=2)
        listening.fill(2)
        assert self.draw(listening) == []
        assert fault.fired == 2
        names = listening.fill(2)
        blocks = self.draw(listening)
        assert self.names(blocks) == names
        assert blocks[0].lost in (2, None), "a gap was not told"
        assert blocks[1].lost == 0

    def test_an_altered_block_is_not_handed_out(self, listening: KeyRig) -> None:
        """It counts as lost: nobody sends it again."""
        self.listen(listening)
        altered = listening.emulator.faults.add("garble", port="keys", probability=0.5)
        listening.fill(2 * BLOCKS)
        came = self.draw(listening, WireFault("garble", "from_unit"))
        assert altered.fired, "the fault met nothing"
        altered.remove()
        listening.fill(1)
        came += self.draw(listening)
        assert came, "nothing comes after the fault"
        self.check_the_count(listening, came, 2 * BLOCKS + 1, "garble")

    def test_pushed_keys_under_a_fault_on_the_wire(self) -> None:
        """Every block that is handed out is right, none comes twice, the lost ones are counted; and soon well again."""
        with self.key_rig() as keyed:
            _ = keyed.model
        with overheard() as heard:
            faults = [
                fault for fault in self.plan.faults if "keys" in fault.of.ports and fault.direction == "from_unit"
            ]
            side_by_side({str(fault): partial(self.check_pushed, fault, heard) for fault in faults})

    def check_pushed(self, fault: WireFault, heard: Sequence[str] = ()) -> None:
        """Let a fault meet pushes; what came before and behind it and what is told as lost is all that was pushed."""
        with self.key_rig() as keyed:
            self.listen(keyed)
            before = len(keyed.fill(1))
            came = self.draw(keyed)
            struck = keyed.strike(fault, "keys")
            before += len(keyed.fill(4))
            came += self.draw(keyed, fault)
            assert any(one.fired for one in struck), "the fault met nothing"
            keyed.end(fault, struck)
            came += self.draw(keyed, fault)
            for _ in range(4 * OPENINGS):
                before += len(keyed.fill(1))
                if last := self.draw(keyed, fault):
                    came += last
                    break
            else:
                pytest.fail(f"nothing comes after {fault}")
            self.check_the_count(keyed, came, before, fault)
            keyed.check_nothing_shows(heard)

    def check_the_count(self, keyed: KeyRig, came: Sequence[hal.KeyBlock], pushed: int, fault: object) -> None:
        """Compare what was pushed with what came and what is told as lost, if the driver can know that."""
        lost = [block.lost for block in came]
        if None not in lost:
            total = len(came) + sum(filter(None, lost))
            keyed.compare(f"what came and what was lost under {fault}", total, total == pushed, truth=pushed)
