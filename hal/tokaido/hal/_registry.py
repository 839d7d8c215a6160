"""Which roles, drivers and emulators there are: found by entry points, ours and other people's alike."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar, cast

from tokaido.hal._device import Device
from tokaido.hal._entry_points import DriverEntry, entries, load
from tokaido.hal._errors import ConfigurationError
from tokaido.hal._own_entries import DRIVERS, ROLES
from tokaido.hal.transports._kinds import transport_kind
from tokaido.hal.transports._resources import Resource

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

D = TypeVar("D", bound=Device)

EMULATORS = "tokaido.emulators"


def drivers() -> tuple[DriverEntry, ...]:
    """Return the drivers that are installed, by name, without importing them."""
    return installed(DRIVERS)


def emulators() -> tuple[DriverEntry, ...]:
    """Return the emulators that are installed, by name, without importing them."""
    return installed(EMULATORS)


def installed(group: str) -> tuple[DriverEntry, ...]:
    """Return what distributions bring in an entry point group, by name, without importing it.

    Of two entries of one name it is that of Tokaido, or one of the others.
    """
    return tuple(entries(group))


def load_driver(name: str, role: Callable[..., D]) -> type[D]:
    """Import a driver and check that it fills `role`.

    Raises:
        ConfigurationError: There is none, or it fills another role.
    """
    found = load(DRIVERS, name)
    if not isinstance(found, type) or not issubclass(found, Device):
        raise ConfigurationError(f"{name} is registered as a driver and is none: {found!r}")
    if not isinstance(role, type) or not issubclass(found, role):
        wanted = getattr(role, "__name__", str(role))
        raise ConfigurationError(f"{name} does not fill the role {wanted}", remedy=f"Open it as {role_name(found)}")
    return cast("type[D]", found)


def roles_of(kind: type[Device]) -> dict[str, type[Device]]:
    """Return the registered roles that a driver fills, by name, the most special first.

    A role that cannot be imported is left out: a driver that fills it could not be imported either.
    """
    registered: dict[object, str] = {}
    for entry in entries(ROLES):
        with suppress(ImportError, AttributeError):
            registered[entry.load()] = entry.name
    return {registered[base]: base for base in kind.__mro__ if base in registered}


def role_name(kind: type[Device]) -> str:
    """Return the class name of the role that a driver fills; of several, the one that it names first."""
    return next((role.__name__ for role in roles_of(kind).values()), Device.__name__)


def parse_resources(driver: str, kind: type[Device], resources: Mapping[str, str | Resource]) -> dict[str, Resource]:
    """Parse and check the resources that a driver is opened with.

    Raises:
        ConfigurationError: With every mistake in them.
    """
    parsed: dict[str, Resource] = {}
    mistakes: list[str] = []
    for name, text in resources.items():
        try:
            parsed[name] = text if isinstance(text, Resource) else Resource.parse(text)
        except ConfigurationError as error:
            mistakes += [f"{name}: {mistake}" for mistake in error.mistakes or (str(error),)]
    return check_resources(driver, kind, parsed, mistakes)


def check_resources(
    driver: str, kind: type[Device], resources: Mapping[str, Resource], mistakes: Sequence[str] = ()
) -> dict[str, Resource]:
    """Return the resources if the driver takes them.

    Raises:
        ConfigurationError: With all mistakes, those that the caller found before included.
    """
    found = list(mistakes)
    for name, resource in resources.items():
        if name not in kind.resource_kinds:
            found.append(f"{name}: {driver} takes no such resource; it takes {', '.join(kind.resource_kinds)}")
        elif not _fits(resource.kind, kind.resource_kinds[name]):
            found.append(
                f"{name}: {driver} takes {' or '.join(sorted(kind.resource_kinds[name]))} here, not {resource.kind}"
            )
    if not found:
        found += kind.complaints(resources)
    broken = {mistake.split(":", 1)[0] for mistake in found}
    found += [
        f"{name}: missing; {driver} needs it"
        for name in kind.resource_kinds
        if name not in resources and name not in kind.optional_resources and name not in broken
    ]
    if found:
        raise ConfigurationError(f"{driver} cannot be opened", mistakes=tuple(found))
    return dict(resources)


def _fits(name: str, taken: frozenset[str]) -> bool:
    """Return whether a driver that takes some kinds of resource takes this one, too."""
    if name in taken:
        return True
    try:
        return not taken.isdisjoint(transport_kind(name).stands_for)
    except ConfigurationError:
        return False
