"""A process that has more than 1,024 descriptors open, as one with 68 emulated units has."""

from __future__ import annotations

import os
import resource
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

import tokaido.hal as hal
from tokaido.emulators import Emulator, launch
from tokaido_testing.patience import patient

if TYPE_CHECKING:
    from collections.abc import Iterator

MANY = 1200


@pytest.fixture(autouse=True)
def _many() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 2 * MANY:
        pytest.skip(f"this user may have {hard} descriptors only")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2 * MANY), hard))
    with ExitStack() as opened:
        first = os.open(os.devnull, os.O_RDONLY)
        opened.callback(os.close, first)
        for _ in range(MANY):
            opened.callback(os.close, os.dup(first))
        yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def place(emulated: Emulator, wire_end: str) -> str:
    control = emulated.resources["control"].partition("?")[0]
    return (
        f"visa:ASRL{control.removeprefix('serial:')}::INSTR"
        if wire_end.endswith("ASRL")
        else emulated.resources["control"]
    )


@pytest.mark.parametrize(
    ("driver", "wire_end"),
    [
        ("dicon.selector", "pty"),
        ("dicon.selector", "pty as ASRL"),
        ("polatis.matrix", "tcp"),
        ("polatis.matrix", "hislip"),
    ],
)
def test_a_driver_and_its_emulator_work(driver: str, wire_end: str) -> None:
    with (
        launch(driver, wire_end=wire_end.partition(" ")[0]) as emulated,
        hal.OpticalSwitch.open(driver, timeout=patient(1), control=place(emulated, wire_end)) as switch,
    ):
        switch.connect(1, 1)
        assert switch.connections() == {1: 1}
