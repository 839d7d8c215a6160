"""Make the test class of one driver."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import tokaido.hal as hal
from tokaido.emulators._launch import model_class
from tokaido.emulators.conformance._contract import Contract
from tokaido.emulators.conformance._keys import KeyContract
from tokaido.emulators.conformance._plan import FAULTS, Plan, Summary, WireFault, ends_of
from tokaido.emulators.conformance._switch import SwitchContract
from tokaido.emulators.conformance._unit import UnitContract
from tokaido.hal import load_driver

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

CONTRACTS: tuple[tuple[type[hal.Device], type[Contract]], ...] = (
    (hal.OpticalSwitch, SwitchContract),
    (hal.Unit, UnitContract),
    (hal.Device, Contract),
)
"""What is asked of each role, the most special first."""


_STATEMENT = re.compile(r";|\\r|\\n")
"""What stands between the statements of one text on the wire, control characters escaped."""


def only_asks(text: str) -> bool:
    """Return whether every statement of a text is a question."""
    return all("?" in statement for statement in _STATEMENT.split(text) if statement.strip())


def suite(
    driver: str,
    *,
    emulator: str = "",
    options: Mapping[str, Any] | None = None,
    wire_ends: Iterable[str] | None = None,
    faults: Iterable[WireFault] = FAULTS,
    timeout: float = 0.15,
    seed: int = 0,
    alarm: str = "",
    is_query: Callable[[str], bool] = only_asks,
    keys: bool = True,
    slowness: Callable[[], float] = lambda: 1.0,
) -> type[Any]:
    """Return a class of tests that hold a driver to its role; bind it to a name that begins with `Test`.

    Args:
        driver: Its name in the registry.
        emulator: Name of its emulator, if that has another.
        options: What the emulator is launched with.
        wire_ends: Where it runs; by default every wire end of the model that leads to a resource the driver takes.
        faults: What happens on the wire.
        timeout: Deadline of one exchange in s. Short ones make a quick suite; the driver itself needs 0.1.
        seed: Decides which pieces are struck and what is set.
        alarm: The model fault that `alarm` begins; default: the model's first one.
        is_query: Whether a text on the wire, control characters escaped, asks and changes nothing; by default, whether
            there is a `?` in each of its statements, which `;`, CR or LF divide.
        keys: Whether a unit's key channel is tried as well; among several suites of one driver, one need do that.
        slowness: How many times slower than an idle one the machine is now, asked anew for every test. Deadlines are
            that many times as long, and so is what a call may take beyond them. Default: 1.

    Raises:
        ConfigurationError: There is no such driver or emulator, or no wire end suits both.
    """
    kind = load_driver(driver, hal.Device)
    model: Any = model_class(emulator or driver)
    ends = tuple(wire_ends) if wire_ends is not None else ends_of(model, kind.resource_kinds)
    if not ends:
        raise hal.ConfigurationError(f"{driver} and its emulator meet at no wire end")
    alarm = alarm or next(iter(model.FAULTS), "")
    plan = Plan(
        driver=driver,
        emulator=emulator or driver,
        options=dict(options or {}),
        wire_ends=ends,
        faults=tuple(fault for fault in faults if alarm or fault.kind != "alarm"),
        timeout=timeout,
        seed=seed,
        alarm=alarm,
        is_query=is_query,
        summary=Summary(driver),
        slowness=slowness,
    )
    contract = next(contract for role, contract in CONTRACTS if issubclass(kind, role))
    if contract is UnitContract and keys and "keys" in kind.resource_kinds:
        contract = KeyContract
    return type("Conformance", (contract,), {"plan": plan, "summary": plan.summary, "__doc__": f"{driver} as its role"})
