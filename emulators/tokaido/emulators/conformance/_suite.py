"""Make the test class of one driver."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any

import pytest

import tokaido.hal as hal
from tokaido.emulators._options import model_class
from tokaido.emulators.conformance._contract import Contract
from tokaido.emulators.conformance._plan import FAULTS, Plan, Summary, WireFault, ends_of
from tokaido.hal import load_driver, roles_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from tokaido.emulators.conformance._plan import Through

GROUP = "tokaido.conformance"
"""Entry point group: the name of a role in `tokaido.roles`, and the contract that its drivers are held to."""

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
    through: Through | None = None,
    virtual_time: bool = False,
) -> type[Any]:
    """Return a class of tests that hold a driver to its role; bind it to a name that begins with `Test`.

    Questions to a role come from the package that brings the role, by the entry point groups `tokaido.roles` and
    `tokaido.conformance`. The class of a driver with several roles has one class of tests within it for each.

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
        slowness: How many times slower than an idle one the machine is now, asked again for every test. Deadlines are
            that many times as long, and so is what a call may take beyond them. Default: 1.
        through: Puts something between the driver and the device: given the emulator's resources, a context that gives
            those which the driver opens instead, such as a device server's. Default: nothing.
        virtual_time: Whether time passes only while the driver waits, on the wire ends `emu` and `visa`, except where
            a test has several threads or lets a device stall. Deadlines cost nothing then. Such a driver has no thread
            and no other clock than the one that it is opened with.

    Raises:
        ConfigurationError: There is no such driver or emulator, no wire end suits both, or a role's contract cannot be
            imported.
    """
    kind = load_driver(driver, hal.Device)
    model: Any = model_class(emulator or driver)
    ends = tuple(wire_ends) if wire_ends is not None else ends_of(model, kind.resource_kinds)
    if not ends:
        raise hal.ConfigurationError(f"{driver} and its emulator meet at no wire end")
    alarm = alarm or next(iter(model.FAULTS), "")
    contracts = {role: contract.suited_to(kind, keys=keys) for role, contract in contracts_of(kind).items()}
    plan = Plan(
        driver=driver,
        emulator=emulator or driver,
        options=dict(options or {}),
        wire_ends=ends,
        faults=tuple(fault for fault in faults if alarm or not fault.of.in_model),
        timeout=timeout,
        seed=seed,
        alarm=alarm,
        is_query=is_query,
        summary=Summary(driver),
        prepare=tuple(contract.prepare for contract in contracts.values()),
        slowness=slowness,
        through=through,
        virtual_time=virtual_time,
    )
    facts = {"plan": plan, "summary": plan.summary, "__doc__": f"{driver} as {', '.join(contracts)}"}
    if len(contracts) == 1:
        return type("Conformance", tuple(contracts.values()), facts)
    names = {role: "Test_" + re.sub(r"\W", "_", role) for role in contracts}
    classes = {names[role]: type(names[role], (contract,), facts) for role, contract in contracts.items()}
    return type("Conformance", (), facts | classes)


def contracts_of(driver: type[hal.Device]) -> dict[str, type[Contract]]:
    """Return the contracts of the roles that a driver fills, by the role's name.

    A role without a contract of its own is held to that of the nearest role that it inherits from, and a driver that
    has no such role either to what every device must keep.
    """
    registered = {entry.name: entry for entry in hal.installed(GROUP)}
    roles = {name: role for name, role in roles_of(driver).items() if name in registered}
    found: dict[str, type[Contract]] = {}
    for name, role in roles.items():
        if any(issubclass(other, role) for other in roles.values() if other is not role):
            continue
        found[name] = _load(registered[name])
    return found or {"device": Contract}


def _load(entry: hal.DriverEntry) -> type[Contract]:
    module = entry.target.partition(":")[0]
    if module not in sys.modules:
        pytest.register_assert_rewrite(module)  # its asserts are to explain
    try:
        contract = entry.load()
    except (ImportError, AttributeError) as error:
        raise hal.ConfigurationError(
            f"the contract of {entry.name}, {entry.target}, fails to import: {error}"
        ) from error
    if not isinstance(contract, type) or not issubclass(contract, Contract):
        raise hal.ConfigurationError(f"the contract of {entry.name}, {entry.target}, is not a class of Contract")
    return contract
