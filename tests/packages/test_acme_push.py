"""A unit that pushes its keys, of a third party: its driver passes the suite, and broken ones do not."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import pytest

import tokaido.hal as hal
from tokaido.emulators import launch
from tokaido.emulators.conformance import WireFault, suite
from tokaido_testing.packages import PACKAGES
from tokaido_testing.patience import slowness

if TYPE_CHECKING:
    from collections.abc import Callable

PACKAGE = str(PACKAGES / "acme_units")
FAULTS = tuple(WireFault(kind, "from_unit") for kind in ("drop", "duplicate", "garble", "truncate", "unplug", "hang"))
GAP = "test_a_lost_block_is_told_and_costs_no_other"
ORDER = "test_pushed_blocks_come_oldest_first_and_once"
ALTERED = "test_an_altered_block_is_not_handed_out"


@pytest.fixture(autouse=True)
def acme(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the package installed, for the length of a test."""
    monkeypatch.syspath_prepend(PACKAGE)


with pytest.MonkeyPatch.context() as installed:
    installed.syspath_prepend(PACKAGE)
    TestPushingTransmitter = suite(
        "acme.pushing_transmitter", wire_ends=("emu",), faults=FAULTS, options={"warm": True}, slowness=slowness
    )


def put_to(test: str) -> None:
    made = suite("acme.pushing_transmitter", wire_ends=["emu"], slowness=slowness, options={"warm": True})
    check = made()
    with check.key_rig() as keyed:
        getattr(check, test)(keyed)


def tells_no_gap(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("tokaido.hal._pushed_keys.PushedKeys._lost_before", lambda *_: 0)


def believes_what_arrives(patch: pytest.MonkeyPatch) -> None:
    unpack = pushed_keys()._unpack

    def believing(self: Any, frames: list[bytes]) -> Any:
        pushed = unpack(self, frames)
        return pushed and type(pushed)(pushed.info, pushed.key, pushed.sequence)

    patch.setattr(pushed_keys(), "_unpack", believing)


def hands_out_newest_first(patch: pytest.MonkeyPatch) -> None:
    blocks = pushed_keys().key_blocks
    patch.setattr(pushed_keys(), "key_blocks", lambda *args: reversed(list(blocks(*args))))


def pushed_keys() -> Any:
    return importlib.import_module("acme_units.pushing").AcmePush


@pytest.mark.parametrize(
    ("broken", "test"), [(tells_no_gap, GAP), (believes_what_arrives, ALTERED), (hands_out_newest_first, ORDER)]
)
def test_a_driver_that_is_wrong_about_pushed_keys_is_found_out(
    monkeypatch: pytest.MonkeyPatch, broken: Callable[[pytest.MonkeyPatch], None], test: str
) -> None:
    broken(monkeypatch)
    with pytest.raises(AssertionError):
        put_to(test)


def test_what_it_lacks_is_said() -> None:
    with (
        launch("acme.pushing_transmitter") as unit,
        hal.Transmitter.open("acme.pushing_transmitter", **unit.resources) as tx,
    ):
        assert hal.Capability.PUSHED_KEYS in tx.capabilities
        with pytest.raises(hal.UnsupportedError, match="front panel"):
            tx.load_preshared_key(hal.KeyMaterial(bytes(4096)))
