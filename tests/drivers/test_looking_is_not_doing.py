"""To look at a device is not to ask it: completion, listings and help send nothing; a closed one stays closed."""

from __future__ import annotations

import inspect
import pydoc
import rlcompleter
from collections.abc import Callable
from contextlib import suppress

import pytest

import tokaido.hal as hal
from tokaido.emulators import launch
from tokaido_testing.patience import patient

DRIVERS = tuple(entry.name for entry in hal.drivers() if entry.distribution == "tokaido")


def completes(owner: object) -> list[str]:
    """What the interpreter offers after `it.` and TAB."""
    completer = rlcompleter.Completer({"it": owner})
    found: list[str] = []
    while (match := completer.complete("it.", len(found))) is not None:
        found.append(match.removeprefix("it.").rstrip("()"))
    return found


LOOKS: dict[str, Callable[[object], object]] = {
    "dir": dir,
    "TAB": completes,
    "repr": repr,
    "help": lambda owner: pydoc.render_doc(type(owner)),
    "getmembers_static": inspect.getmembers_static,
    "getmembers of the class": lambda owner: inspect.getmembers(type(owner)),
    "hasattr of the class": lambda owner: hasattr(type(owner), "laser_power"),
    "values": lambda owner: owner.values() if isinstance(owner, hal.Device) else None,
    "isinstance of protocols": lambda owner: (callable(owner), isinstance(owner, Callable)),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("driver", DRIVERS)
def test_to_look_at_a_device_or_part_sends_nothing(driver: str) -> None:
    sent: list[hal.TraceRecord] = []
    with (
        launch(driver) as box,
        hal.Device.open(driver, timeout=patient(1.0), trace=sent.append, **box.resources) as device,
    ):
        looked_at: list[object] = [device, *device.parts[:2]]
        del sent[:]
        for owner in looked_at:
            for name, look in LOOKS.items():
                look(owner)
                assert sent == [], (owner, name)
            assert isinstance(owner, (hal.Device, hal.Part))
            assert set(owner.values()) <= set(completes(owner))
        for value in device.values().values():
            if not value.unsupported:
                with suppress(hal.DeviceError):
                    getattr(device, value.name)
                assert sent, "the trace sees what is asked"
                break


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_closed_device_is_not_opened_by_whatever_looks_at_it(driver: str) -> None:
    with launch(driver) as box:
        sent: list[hal.TraceRecord] = []
        device = hal.Device.open(driver, timeout=patient(1.0), trace=sent.append, **box.resources)
        device.close()
        generation = device.transport.generation
        del sent[:]
        looks: list[Callable[[object], object]] = [*LOOKS.values(), inspect.getmembers]
        for look in looks:
            with suppress(hal.ClosedError, hal.UnsupportedError):
                look(device)
        for name in device.values():
            with suppress(hal.ClosedError, hal.UnsupportedError):
                hasattr(device, name)
        assert sent == []
        assert device.transport.generation == generation
