"""What is asked of a unit's key channel: the right blocks, each of them once, and no byte of a key anywhere else."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

import pytest

import tokaido.hal as hal
from tokaido.emulators._plugs import WITHIN
from tokaido.emulators.conformance._key_rig import (
    DRAWING,
    LONG_BYTES,
    KeyRig,
    Name,
    check_nothing_shows,
    overheard,
)
from tokaido.emulators.conformance._plan import WireFault
from tokaido.emulators.conformance._proxy import SPOILS, TcpProxy
from tokaido.emulators.conformance._rig import side_by_side
from tokaido.emulators.conformance._unit import UnitContract

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from tokaido.emulators._fault_kinds import Direction
    from tokaido.emulators._faults import Fault

BLOCKS = 12
ALTERED = 24
LATER_S = 0.1
PATIENCE_S = 2.0
HURRY = 30.0
"""Emulated seconds per second, where a unit holds on to a host that is gone."""


class KeyContract(UnitContract):
    """A unit with a key channel. The control port's wire end makes no difference here, so one of them is enough."""

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Run tests of the key channel under the faults of each way."""
        super().pytest_generate_tests(metafunc)
        if "way" in metafunc.fixturenames:
            metafunc.parametrize("way", dict.fromkeys(fault.direction for fault in self._key_faults()))

    def _key_faults(self) -> list[WireFault]:
        """Return the faults that messages meet: those that alter bytes strike in the unit, within the encryption."""
        return [fault for fault in self.plan.faults if "keys" in fault.of.ports]

    def key_rig(self, speed: float = 1.0, *, within: str = "") -> KeyRig:
        """Return an emulator, which may live faster than we do, and its driver; or one at an end within the process."""
        return KeyRig(self.plan, within or self.plan.wire_ends[-1], speed=speed, real=not within)

    @pytest.fixture
    def keyed(self) -> Iterator[KeyRig]:
        """The emulator, the driver on it, and a store that can be filled."""
        with self.key_rig() as keyed:
            _ = keyed.model
            yield keyed

    # --- blocks -----------------------------------------------------------------------------------------------------

    def test_blocks_come_oldest_first_and_are_committed_once(self, keyed: KeyRig) -> None:
        """Each block is acknowledged, handed out with its own key, and committed by a clean exit, once."""
        names = keyed.fill(BLOCKS)
        drawn: list[Name] = []
        for block in itertools.islice(keyed.unit.key_blocks(0), BLOCKS + 1):
            name = keyed.check(block)
            assert keyed.orders("commit") == drawn, "a block was committed that nobody committed"
            keyed.commits[name] += 1
            with block:
                drawn.append(name)
            block.commit()
            keyed.confirmed.add(name)
        assert drawn == names
        assert keyed.orders("commit") == names
        assert list(keyed.unit.key_blocks(0)) == []
        keyed.check_the_books()

    def test_what_was_not_committed_is_offered_again(self) -> None:
        """A block whose storing failed, or that nobody committed, comes again, also after the driver was reopened."""
        with self.key_rig(speed=HURRY) as keyed:
            names = keyed.fill(3)
            blocks = keyed.unit.key_blocks(0)
            with pytest.raises(ArithmeticError):
                self._fail_to_store(keyed, next(blocks))
            keyed.commit(second := next(blocks), keyed.check(second))
            keyed.check(next(blocks))
            for reopened in (False, True):
                if reopened:
                    keyed.reopen()
                    self._wait_until_free(keyed)
                again = [keyed.check(block) for block in itertools.islice(keyed.unit.key_blocks(0), 3)]
                assert again == [names[0], names[2]], "opened again" if reopened else "drawn again"
            assert keyed.orders("commit") == names[1:2]
            keyed.check_the_books()

    def _fail_to_store(self, keyed: KeyRig, block: hal.KeyBlock) -> None:
        with block:
            keyed.check(block)
            raise ArithmeticError

    def _wait_until_free(self, keyed: KeyRig) -> None:
        """Wait until the unit lets another host draw: a driver that is opened again is another one."""
        deadline = hal.Deadline(keyed.clock, PATIENCE_S)
        while not deadline.passed:
            outcome = keyed.call(lambda: next(keyed.unit.key_blocks(0, limit=1), None), exchanges=DRAWING)
            if not isinstance(outcome, hal.DeviceBusyError):
                return
            keyed.clock.wait(LATER_S)

    def test_no_block_comes_twice_from_one_iterator(self, keyed: KeyRig) -> None:
        """One that waits is handed out once, committed or not; one that is made meanwhile comes when it is there."""
        names = keyed.fill(4)
        blocks = keyed.unit.key_blocks(PATIENCE_S, limit=6)
        held = list(itertools.islice(blocks, 4))
        assert [keyed.check(block) for block in held] == names
        for late in ("while none is committed", "while one is"):
            with ThreadPoolExecutor(1) as pool:
                filled = pool.submit(self._fill_later, keyed)
                block = keyed.call(lambda: next(blocks), exchanges=2 + round(PATIENCE_S / keyed.plan.timeout))
                assert not isinstance(block, hal.TokaidoError), f"{late}: {block}"
                assert [keyed.check(block)] == filled.result(), late
            keyed.commit(held[0], names[0])
        assert next(blocks, None) is None, "it hands out more than its limit"
        keyed.check_the_books()

    def _fill_later(self, keyed: KeyRig) -> list[Name]:
        hal.SYSTEM_CLOCK.wait(LATER_S)
        return keyed.fill(1)

    # --- the pre-shared key -----------------------------------------------------------------------------------------

    def test_a_preshared_key_of_another_size_is_refused_before_anything_is_sent(self, keyed: KeyRig) -> None:
        """It is never padded or cut; the right one is loaded, and never goes over the control port."""
        size = keyed.model.PSK_BYTES
        for wrong in (0, 1, size - 1, size + 1, 2 * size):
            key = keyed.fresh_key(wrong)
            tap = keyed.emulator.faults.add("latency", direction="to_unit", port="keys", seconds=0)
            with keyed.listening() as written:
                outcome = keyed.call(lambda key=key: keyed.unit.load_preshared_key(key))  # type: ignore[misc]
            assert isinstance(outcome, hal.KeyMaterialError), f"{wrong} bytes: {outcome}"
            hal.SYSTEM_CLOCK.wait(0.02)  # for what may be under way
            assert (tap.fired, written) == (0, []), f"something was sent for a key of {wrong} bytes"
            tap.remove()
        assert not keyed.unit.preshared_key_loaded()
        keyed.unit.load_preshared_key(keyed.fresh_key(size))
        assert keyed.unit.preshared_key_loaded()
        keyed.check_nothing_shows([])

    def test_a_preshared_key_is_sent_once(self, keyed: KeyRig) -> None:
        """When the unit's answer is lost, nobody knows what became of it, and the driver says so."""
        keyed.begin(1)
        key = keyed.fresh_key(keyed.model.PSK_BYTES)
        faults = keyed.emulator.faults
        tap = faults.add("latency", direction="to_unit", port="keys", seconds=0, match=bytes(key.reveal()[:LONG_BYTES]))
        faults.add("drop", port="keys", count=1)
        outcome = keyed.call(lambda: keyed.unit.load_preshared_key(key))
        assert isinstance(outcome, hal.OutcomeUnknownError), outcome
        assert tap.fired == 1
        assert keyed.unit.preshared_key_loaded()
        keyed.check_nothing_shows([])

    def test_a_link_is_selected_only_with_a_key_of_its_own(self, keyed: KeyRig) -> None:
        """A link is refused before its key is loaded, and so is one under a lower fencing token: nothing changes."""
        unit = keyed.unit
        before = keyed.call(unit.link)
        if isinstance(before, hal.UnsupportedError):
            pytest.skip(f"{unit.name} does not know links")
        assert isinstance(before, hal.LinkSelection), before
        peer, key = f"{keyed.emulator.serial_number[:20]}-P1", keyed.fresh_key(keyed.model.PSK_BYTES)
        self._check_refused(keyed, peer, "north", None)
        assert keyed.unit.link_keys() == ()
        unit.load_preshared_key(hal.KeyMaterial(key.reveal()), peer=peer, path="north")
        assert [(held.peer, held.path) for held in unit.link_keys()] == [(peer, "north")]
        assert unit.link_keys()[0].remaining_bits > 0
        fencing_token = before.fencing_token + 7
        chosen = hal.LinkSelection(peer, "north", fencing_token)
        assert unit.link() == before, "loading a key selects nothing"
        assert unit.select_link(peer, "north", fencing_token=fencing_token) == unit.link() == chosen
        self._check_refused(keyed, peer, "north", fencing_token - 1)
        self._check_refused(keyed, peer, "south", fencing_token + 1)
        assert isinstance(keyed.call(lambda: unit.load_preshared_key(key, peer=peer, path="south")), hal.TokaidoError)
        assert [(held.peer, held.path) for held in unit.link_keys()] == [(peer, "north")]
        assert unit.select_link(peer, "north") == chosen
        keyed.reopen()
        assert keyed.unit.link() == chosen, "opening changes the selection"
        assert keyed.unit.select_link("", "") == hal.LinkSelection("", "", fencing_token)
        keyed.check_nothing_shows([])

    def _check_refused(self, keyed: KeyRig, peer: str, path: str, fencing_token: int | None) -> None:
        before = keyed.unit.link()
        outcome = keyed.call(lambda: keyed.unit.select_link(peer, path, fencing_token=fencing_token))
        assert isinstance(outcome, hal.RefusedError), f"{path} under {fencing_token}: {outcome}"
        assert keyed.unit.link() == before

    # --- a bad wire -------------------------------------------------------------------------------------------------

    def test_keys_under_a_fault_on_the_wire(self, way: Direction) -> None:
        """Every block that is handed out is the right one; none is lost and none comes twice; and soon well again."""
        self._skip_without_keys()
        with overheard() as heard:
            faults = [fault for fault in self._key_faults() if fault.direction == way]
            secrets: list[bytes] = []
            side_by_side({str(fault): partial(self.check_keys, fault, secrets) for fault in faults})
            check_nothing_shows(secrets, heard)

    def test_keys_under_a_fault_within_the_process(self, way: Direction) -> None:
        """The same where messages never leave the process and time passes by waiting."""
        within = next((end for end in self.plan.wire_ends if end in WITHIN), "")
        if not within or not self.plan.virtual_time:
            pytest.skip("its suite has no end within the process, or no virtual time")
        self._skip_without_keys()
        for fault in self._key_faults():
            if fault.direction == way:
                with overheard() as heard:
                    secrets: list[bytes] = []
                    self.check_keys(fault, secrets, within=within)
                    check_nothing_shows(secrets, heard)

    def check_keys(self, fault: WireFault, secrets: list[bytes] | None = None, *, within: str = "") -> None:
        """Let a fault meet what a draw says first, a commit, and any message; draw before, under and after it."""
        with self.key_rig(within=within) as keyed:
            keyed.begin(BLOCKS)
            with self._struck(keyed, fault) as struck:
                self._draw_twice(keyed, fault)
                assert any(one.fired for one in struck), "the fault met nothing"
            block, name = keyed.take()
            with self._struck(keyed, fault) as struck:
                keyed.commit_at_last(block, name)
                assert any(one.fired for one in struck), "the fault met nothing"
            with self._struck(keyed, fault, probability=0.5):
                self._draw_twice(keyed, fault)
            keyed.check_the_books(fault)
            keyed.check_nothing_shows()
            if secrets is not None:
                secrets += keyed.secrets

    def test_a_block_that_the_unit_altered_is_not_handed_out(self) -> None:
        """One altered byte of an offer, of a key or of what is said of it: the block comes right, or an error comes."""
        self.check_altered_keys()

    def check_altered_keys(self) -> None:
        """Alter one byte of an offer, again and again, while every block is drawn."""
        self._skip_without_keys()
        with self.key_rig() as keyed:
            keyed.begin(ALTERED)
            for _ in range(ALTERED):
                fault = keyed.emulator.faults.add("garble", port="keys", count=1)
                keyed.draw(WireFault("garble", "from_unit"))
                fault.remove()
            keyed.check_the_books()

    @contextmanager
    def _struck(self, keyed: KeyRig, fault: WireFault, probability: float = 1.0) -> Generator[list[Fault]]:
        """Let a fault strike within the context; the second call after it must succeed."""
        struck = keyed.strike(fault, "keys", probability)
        yield struck
        keyed.end(fault, struck)
        keyed.check_recovery(fault)

    def _draw_twice(self, keyed: KeyRig, fault: object) -> None:
        for _ in range(2):
            keyed.draw(fault)

    @pytest.mark.parametrize("towards", ["to_unit", "from_unit"])
    def test_keys_under_a_fault_below_the_encryption(self, towards: Direction) -> None:
        """The same when the encrypted bytes are altered, cut, lost, carried twice or torn off."""
        self._skip_without_keys()
        with overheard() as heard:
            secrets: list[bytes] = []
            works = {f"{how}-{towards}": partial(self.check_keys_below, how, towards, secrets) for how in SPOILS}
            side_by_side(works)
            check_nothing_shows(secrets, heard)

    def check_keys_below(self, how: str, direction: Direction, secrets: list[bytes] | None = None) -> None:
        """Draw before, under and after a fault of the TCP connection that the encryption lies on."""
        with self.key_rig() as keyed:
            place = keyed.emulator.resources["keys"]
            port = hal.Resource.parse(place).address.rpartition(":")[2]
            with TcpProxy(int(port)) as proxy:
                keyed.places["keys"] = place.replace(f":{port}", f":{proxy.port}", 1)
                keyed.reopen()
                keyed.begin(BLOCKS)
                proxy.spoil(how, direction)
                self._draw_twice(keyed, f"{how}-{direction}")
                keyed.check_recovery(how)
                block, name = keyed.take()
                proxy.spoil(how, direction)
                keyed.commit_at_last(block, name)
                assert proxy.struck == 2, "the fault met nothing"
                keyed.check_recovery(how)
                keyed.check_the_books(how)
                keyed.check_nothing_shows()
                if secrets is not None:
                    secrets += keyed.secrets
                keyed.close()

    def _skip_without_keys(self) -> None:
        with self.key_rig() as keyed:
            _ = keyed.model

    # --- what shows -------------------------------------------------------------------------------------------------

    def test_no_byte_of_a_key_shows(self, capfd: pytest.CaptureFixture[str]) -> None:
        """Not in what represents a block or a unit, an error, a trace, a log or the output: raw, in hex or base64."""
        self._skip_without_keys()
        with overheard() as heard, self.key_rig() as keyed:
            keyed.fill(3)
            shown = []
            for size in (keyed.model.PSK_BYTES - 1, keyed.model.PSK_BYTES):
                key = keyed.fresh_key(size)
                keyed.call(lambda key=key: keyed.unit.load_preshared_key(key))  # type: ignore[misc]
                shown += [repr(key), str(key), f"{key}"]
            for block in keyed.unit.key_blocks(0):
                keyed.check(block)
                shown += [repr(block), str(block), repr(block.info), repr(block.key), f"{block.key}"]
            for kind in ("drop", "endless"):
                fault = WireFault(kind, "from_unit")
                struck = keyed.strike(fault, "keys")
                keyed.draw(fault)
                keyed.end(fault, struck)
            keyed.check_the_books()
            shown += [repr(keyed.unit), str(keyed.unit), repr(vars(keyed.unit)), repr(keyed.unit.snapshot())]
            shown += [repr(keyed.call(keyed.unit.link_keys)), repr(dict(keyed.unit.telemetry()))]
            assert keyed.raised, "nothing was refused"
            keyed.check_nothing_shows([*shown, *heard, *capfd.readouterr()])
