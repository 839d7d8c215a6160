"""The suite sees what may go wrong with keys: each of these breaks a driver, and the test that must notice it does."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest

import tokaido.hal as hal
from tokaido.drivers.toshiba import Transmitter
from tokaido.drivers.toshiba._keychannel import ToshibaKeyChannel
from tokaido.emulators.conformance import HasKeys, Summary, WireFault, suite
from tokaido.emulators.units import _keychannel
from tokaido.emulators.units._keyholder import KeyHolder
from tokaido.hal.driver import ZmqTransport
from tokaido_testing.patience import slowness

MUTANT = "toshiba.transmitter"
AUTHOR = logging.getLogger("acme.driver")

Breaking = Callable[[pytest.MonkeyPatch], None]


def put_to(test: str, *arguments: object, **options: str) -> Summary:
    """Run one test or check of the key channel's suite, and return what it counted."""
    warm = {"warm": True}
    made = suite(MUTANT, wire_ends=["emu"], slowness=slowness, options=warm, alarm="cover_opened", virtual_time=True)
    check = getattr(made(), test)
    if "keyed" in inspect.signature(check).parameters:
        with made().key_rig() as keyed:
            check(keyed)
    else:
        check(*arguments, **options)
    summary: Summary = made.summary
    return summary


def wrap(name: str, change: Callable[[ToshibaKeyChannel, Callable[..., Any]], Callable[..., Any]]) -> Breaking:
    """Return what puts another method in the place of one of the key channel's."""

    def broken(patch: pytest.MonkeyPatch) -> None:
        right = getattr(ToshibaKeyChannel, name)
        patch.setattr(
            ToshibaKeyChannel, name, lambda self, *args, **options: change(self, right.__get__(self))(*args, **options)
        )

    return broken


def each(change: Callable[[hal.KeyBlock], Iterator[hal.KeyBlock]]) -> Breaking:
    """Return what lets a driver hand out something else for each block."""

    def draws(
        _: ToshibaKeyChannel, draw: Callable[..., Iterator[hal.KeyBlock]]
    ) -> Callable[..., Iterator[hal.KeyBlock]]:
        return lambda *args: (given for block in draw(*args) for given in change(block))

    return wrap("key_blocks", draws)


def confirming(change: Callable[[Callable[..., None], str, hal.KeyBlockInfo], None]) -> Breaking:
    """Return what lets a driver acknowledge and commit in another way."""
    return wrap(
        "_confirm",
        lambda _, confirm: lambda verb, info, digest: change(lambda *said: confirm(*said, digest), verb, info),
    )


def hands_out_twice(block: hal.KeyBlock) -> Iterator[hal.KeyBlock]:
    yield block
    yield block


def hands_out_another_key(block: hal.KeyBlock) -> Iterator[hal.KeyBlock]:
    altered = bytearray(block.key.reveal())
    altered[len(altered) // 2] ^= 1
    yield hal.KeyBlock(block.info, hal.KeyMaterial(altered), block.commit)


def commits_before_it_is_told(block: hal.KeyBlock) -> Iterator[hal.KeyBlock]:
    block.commit()
    yield block


def commits_twice(confirm: Callable[..., None], verb: str, info: hal.KeyBlockInfo) -> None:
    confirm(verb, info)
    if verb == "commit":
        confirm(verb, info)


def never_commits(confirm: Callable[..., None], verb: str, info: hal.KeyBlockInfo) -> None:
    if verb == "ack":
        confirm(verb, info)


def acknowledges_late(confirm: Callable[..., None], verb: str, info: hal.KeyBlockInfo) -> None:
    if verb == "commit":
        confirm("ack", info)
        confirm(verb, info)


def forgets_what_it_handed_out(patch: pytest.MonkeyPatch) -> None:
    draw = ToshibaKeyChannel._draw
    patch.setattr(ToshibaKeyChannel, "_draw", lambda self, count, timeout, known: draw(self, 1, timeout, frozenset()))


def newest_first(patch: pytest.MonkeyPatch) -> None:
    blocks = ToshibaKeyChannel.key_blocks
    patch.setattr(
        ToshibaKeyChannel, "key_blocks", lambda self, timeout, limit: reversed(list(blocks(self, timeout, limit)))
    )


class AnyText(str):
    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return 0


def pads(patch: pytest.MonkeyPatch) -> None:
    load = ToshibaKeyChannel.load_preshared_key

    def padded(self: ToshibaKeyChannel, key: hal.KeyMaterial, peer: str = "", path: str = "") -> None:
        load(self, hal.KeyMaterial(bytes(key.reveal()).ljust(4096, b"\0")[:4096]), peer, path)

    patch.setattr(ToshibaKeyChannel, "load_preshared_key", padded)


def asks_the_unit_for_the_size(patch: pytest.MonkeyPatch) -> None:
    def load(self: ToshibaKeyChannel, key: hal.KeyMaterial, peer: str = "", path: str = "") -> None:
        try:
            self._call("load_psk", payload=[key.reveal()], repeatable=False)
        except hal.RefusedError as error:
            raise hal.KeyMaterialError(error.what) from error

    patch.setattr(ToshibaKeyChannel, "load_preshared_key", load)


def keeps_it_in_a_local_variable(patch: pytest.MonkeyPatch) -> None:
    load = ToshibaKeyChannel.load_preshared_key

    def careless(self: ToshibaKeyChannel, key: hal.KeyMaterial, peer: str = "", path: str = "") -> None:
        plain = bytes(key.reveal())
        load(self, hal.KeyMaterial(plain), peer, path)

    patch.setattr(ToshibaKeyChannel, "load_preshared_key", careless)


def loads_again_by_itself(patch: pytest.MonkeyPatch) -> None:
    load = ToshibaKeyChannel.load_preshared_key

    def stubborn(self: ToshibaKeyChannel, key: hal.KeyMaterial, peer: str = "", path: str = "") -> None:
        try:
            load(self, key, peer, path)
        except hal.OutcomeUnknownError:
            load(self, key, peer, path)

    patch.setattr(ToshibaKeyChannel, "load_preshared_key", stubborn)


def loads_for_the_link_in_force(patch: pytest.MonkeyPatch) -> None:
    load = ToshibaKeyChannel.load_preshared_key
    patch.setattr(ToshibaKeyChannel, "load_preshared_key", lambda self, key, peer="", path="": load(self, key))


def leaves_the_fence_out(patch: pytest.MonkeyPatch) -> None:
    select = Transmitter.select_link

    def selects(self: Transmitter, peer: str, path: str, *, fencing_token: int | None = None) -> hal.LinkSelection:
        return select(self, peer, path)

    patch.setattr(Transmitter, "select_link", selects)


def swallows_a_refusal(patch: pytest.MonkeyPatch) -> None:
    select = Transmitter.select_link

    def selects(self: Transmitter, peer: str, path: str, *, fencing_token: int | None = None) -> hal.LinkSelection:
        try:
            return select(self, peer, path, fencing_token=fencing_token)
        except hal.RefusedError:
            return hal.LinkSelection(peer, path)

    patch.setattr(Transmitter, "select_link", selects)


ORDER = "test_blocks_come_oldest_first_and_are_committed_once"
AGAIN = "test_what_was_not_committed_is_offered_again"
ONCE = "test_no_block_comes_twice_from_one_iterator"
SIZE = "test_a_preshared_key_of_another_size_is_refused_before_anything_is_sent"
LOAD = "test_a_preshared_key_is_sent_once"
LINKS = "test_a_link_is_selected_only_with_a_key_of_its_own"
BROKEN: list[tuple[Breaking, str]] = [
    (each(hands_out_twice), ORDER),
    (each(hands_out_twice), ONCE),
    (each(hands_out_another_key), ORDER),
    (each(commits_before_it_is_told), ORDER),
    (each(commits_before_it_is_told), AGAIN),
    (confirming(commits_twice), ORDER),
    (confirming(never_commits), ORDER),
    (confirming(acknowledges_late), ORDER),
    (forgets_what_it_handed_out, ONCE),
    (newest_first, ORDER),
    (pads, SIZE),
    (asks_the_unit_for_the_size, SIZE),
    (loads_again_by_itself, LOAD),
    (keeps_it_in_a_local_variable, LOAD),
    (loads_for_the_link_in_force, LINKS),
    (leaves_the_fence_out, LINKS),
    (swallows_a_refusal, LINKS),
]


@pytest.mark.parametrize("test", [ORDER, AGAIN, ONCE, SIZE, LOAD, LINKS])
def test_a_driver_that_is_right_passes(test: str) -> None:
    summary = put_to(test)
    assert summary.wrong == summary.foreign == 0


@pytest.mark.parametrize(("broken", "test"), BROKEN)
def test_a_driver_that_is_wrong_about_keys_is_found_out(
    monkeypatch: pytest.MonkeyPatch, broken: Breaking, test: str
) -> None:
    broken(monkeypatch)
    with pytest.raises((AssertionError, hal.RefusedError)):
        put_to(test)


# --- on a bad wire --------------------------------------------------------------------------------------------------


def test_a_driver_that_believes_another_box_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """The other one has no blocks, and says so; here it does not look whom a request is for."""
    monkeypatch.setattr(_keychannel.KeyServer, "_check_serial_number", lambda *_: None)
    other = WireFault("wrong_id", "to_unit")
    assert put_to("check_keys", other).wrong == 0
    decode = ToshibaKeyChannel._decode

    def believing(self: ToshibaKeyChannel, header: bytes, kind: type[Any]) -> Any:
        return msgspec.structs.replace(decode(self, header, kind), serial_number=self._serial_number)

    monkeypatch.setattr(ToshibaKeyChannel, "_decode", believing)
    with pytest.raises(AssertionError, match="what waits"):
        put_to("check_keys", other)


@pytest.mark.parametrize("within", ["", "emu"])
def test_a_driver_that_takes_a_foreign_reply_is_found_out(monkeypatch: pytest.MonkeyPatch, within: str) -> None:
    """Without ids and without a new connection after a failure, a late reply answers the next request for ever."""
    late = WireFault("latency", "from_unit")
    pack, unpack, sent = ToshibaKeyChannel._pack, ToshibaKeyChannel._unpack, [0]

    def packs(self: ToshibaKeyChannel, number: int, header: dict[str, Any]) -> list[bytes]:
        sent[0] = number
        return pack(self, number, header)

    def unpacks(self: ToshibaKeyChannel, frames: list[bytes]) -> tuple[int, bytes, list[bytes]] | None:
        found = unpack(self, frames)
        return found and (sent[0], *found[1:])

    def make_ready(self: Any, deadline: Any) -> None:
        if not self._trusted and self._socket is None:
            self._reopen(deadline)
        self._trusted = True

    assert put_to("check_keys", late, within=within).wrong == 0
    monkeypatch.setattr(ToshibaKeyChannel, "_pack", packs)
    monkeypatch.setattr(ToshibaKeyChannel, "_unpack", unpacks)
    monkeypatch.setattr(ZmqTransport, "_make_ready", make_ready)
    with pytest.raises(AssertionError):
        put_to("check_keys", late, within=within)


def test_keys_within_the_process_are_drawn_in_virtual_time_over_messages_that_never_leave_it() -> None:
    made = suite(MUTANT, wire_ends=["pty", "emu"], options={"warm": True}, virtual_time=True)()
    with made.key_rig(within="emu") as keyed:
        assert keyed.virtual
        assert keyed.emulator.resources["keys"].startswith("zmq:inproc://")


def test_a_driver_that_sends_a_commit_again_by_itself_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    lost = WireFault("drop", "from_unit")
    confirm = ToshibaKeyChannel._confirm

    def stubborn(self: ToshibaKeyChannel, verb: Any, info: hal.KeyBlockInfo, digest: str) -> None:
        for _ in range(3):
            try:
                return confirm(self, verb, info, digest)
            except hal.DeviceTimeoutError:
                continue
        return confirm(self, verb, info, digest)

    monkeypatch.setattr(ToshibaKeyChannel, "_confirm", stubborn)
    with pytest.raises(AssertionError, match="too often"):
        put_to("check_keys", lost)


def test_a_driver_that_gives_up_after_a_broken_connection_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    reopen = ZmqTransport._reopen

    def once(self: Any, deadline: Any) -> None:
        if self.generation:
            raise hal.NotConnectedError("the connection was lost")
        reopen(self, deadline)

    monkeypatch.setattr(ZmqTransport, "_reopen", once)
    with pytest.raises(AssertionError, match="must succeed: the connection was lost"):
        put_to("check_keys_below", "garble", "from_unit")


def test_a_driver_that_lets_an_exception_of_its_library_out_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def raw(*_: object) -> object:
        raise KeyError("a mistake")

    made = suite(MUTANT, wire_ends=["emu"], slowness=slowness, options={"warm": True})
    monkeypatch.setattr(ToshibaKeyChannel, "_info", raw)
    with pytest.raises(KeyError):
        made().check_keys(WireFault("drop", "to_unit"))
    assert made.summary.foreign == 1


# --- what shows -----------------------------------------------------------------------------------------------------


def shows_in_repr(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(hal.KeyMaterial, "__repr__", lambda self: f"<KeyMaterial {bytes(self._buffer).hex()}>")


def shows_in_a_log(patch: pytest.MonkeyPatch) -> None:
    def logging_too(block: hal.KeyBlock) -> Iterator[hal.KeyBlock]:
        AUTHOR.debug("drew %r", bytes(block.key.reveal()))
        yield block

    each(logging_too)(patch)


def shows_in_an_error(patch: pytest.MonkeyPatch) -> None:
    def load(self: ToshibaKeyChannel, key: hal.KeyMaterial, peer: str = "", path: str = "") -> None:
        raise hal.KeyMaterialError(f"{bytes(key.reveal()).hex()} has another size")

    patch.setattr(ToshibaKeyChannel, "load_preshared_key", load)


def shows_in_a_trace(patch: pytest.MonkeyPatch) -> None:
    record = ZmqTransport._record

    def plain(self: Any, direction: Any, content: Any, *, confidential: bool) -> None:
        record(self, direction, b"".join(content), confidential=False)

    patch.setattr(ZmqTransport, "_record", plain)


def shows_in_the_output(patch: pytest.MonkeyPatch) -> None:
    def printing(block: hal.KeyBlock) -> Iterator[hal.KeyBlock]:
        print(list(block.key.reveal()))
        yield block

    each(printing)(patch)


@pytest.mark.parametrize(
    "broken", [shows_in_repr, shows_in_a_log, shows_in_an_error, shows_in_a_trace, shows_in_the_output]
)
def test_a_driver_that_shows_a_key_is_found_out(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], broken: Breaking
) -> None:
    broken(monkeypatch)
    with pytest.raises(AssertionError, match="key bytes show"):
        put_to("test_no_byte_of_a_key_shows", capfd)


def test_a_model_whose_store_cannot_be_filled_is_skipped_with_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    made = suite(MUTANT, wire_ends=["emu"], slowness=slowness)
    with made().key_rig() as keyed:
        assert isinstance(keyed.emulator.model, HasKeys)
        monkeypatch.delattr(KeyHolder, "add_key_block")
        with pytest.raises(pytest.skip.Exception, match="add_key_block"):
            _ = keyed.model


def test_a_driver_that_believes_what_arrives_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Encryption does not see what the unit altered itself."""
    altered = WireFault("garble", "from_unit")
    assert put_to("check_keys", altered).wrong == 0
    assert put_to("check_altered_keys").wrong == 0
    monkeypatch.setattr("tokaido.hal._key_channel.block_digest", lambda *_: AnyText())
    with pytest.raises(AssertionError, match="the key of block"):
        put_to("check_altered_keys")


def test_a_message_meets_every_fault_that_the_port_knows() -> None:
    made = suite(MUTANT, wire_ends=["emu"], alarm="cover_opened")()
    met = {str(fault) for fault in made._key_faults()}
    both = ["latency", "drop", "duplicate", "garble", "truncate", "unplug", "hang", "endless"]
    both += ["noise", "lost_byte", "parity", "blank", "stale", "swap"]
    assert met == {f"{kind}-{way}" for kind in both for way in ("to_unit", "from_unit")} | {
        "wrong_id-to_unit",
        "alarm-to_unit",
        "echo-to_unit",
    }


@pytest.mark.parametrize(
    ("kind", "at_control_s", "at_keys_s"),
    [("unplug", 0.1, 0.1), ("wrong_id", 0.1, 0.0), ("latency", 1.3, 0.3), ("endless", 1.3, 0.0), ("drop", 0.0, 0.0)],
)
def test_a_fault_goes_on_after_its_end_as_its_kind_says(kind: str, at_control_s: float, at_keys_s: float) -> None:
    keyed = suite(MUTANT, wire_ends=["emu"], timeout=1.0, alarm="cover_opened")().key_rig()
    fault = WireFault(kind, "to_unit")
    rig: Any = type(keyed).__base__  # what a control port is tried with
    assert rig.lingers_s(keyed, fault) == pytest.approx(at_control_s)
    assert keyed.lingers_s(fault) == pytest.approx(at_keys_s)
