"""A sweep before it begins: what is set and read, under which names, and all that is wrong with it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import tokaido.hal as hal
from tokaido.lab.sweeps._axes import Axis, axis_of
from tokaido.lab.sweeps._probes import AnyColumn, columns_of

TIME: Final = "utc"
"""The coordinate that says when each point was read."""
REASON: Final = "_reason"
"""What is behind the name of a variable in the one that says why it has no value."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a sweep will do, checked."""

    axes: dict[str, Axis]
    """What is set, by dimension; the first changes most seldom."""
    values: dict[str, list[Any]]
    """What each is set to, in this order."""
    columns: dict[str, AnyColumn]
    """What is read, by variable."""
    devices: list[hal.Device]
    """Every device that has to do with it."""

    @property
    def shape(self) -> tuple[int, ...]:
        """How many values each dimension has."""
        return tuple(map(len, self.values.values()))

    @property
    def points(self) -> int:
        """How many points there are."""
        return math.prod(self.shape)


def plan_of(over: Mapping[Any, Iterable[Any]], read: Iterable[Any], devices: Iterable[hal.Device]) -> Plan:
    """Return the plan of a sweep.

    Raises:
        ConfigurationError: With every mistake in it.
        TransportError: A switch could not be asked how large it is.
    """
    if not isinstance(over, Mapping):
        raise hal.ConfigurationError(
            f"what to sweep is a mapping, not {over!r}", remedy='Give {("attenuation", device): [0, 3, 6]}'
        )
    mistakes: list[str] = []
    axes: list[Axis] = []
    values: list[list[Any]] = []
    columns: list[AnyColumn] = []
    for swept, wanted in over.items():
        try:
            axis = axis_of(swept)
        except (hal.ConfigurationError, hal.RangeError, hal.ValueTypeError) as error:
            mistakes.append(str(error))
            continue
        axes.append(axis)
        values.append(_checked(axis, wanted, mistakes))
    swept_here = {(axis.device, axis.name) for axis in axes if axis.device is not None}
    for readable in read:
        try:
            found = columns_of(readable)
            if isinstance(readable, hal.Device):  # a swept one is a dimension already
                found = [one for one in found if (one.device, one.name) not in swept_here]
            columns += found
        except hal.ConfigurationError as error:
            mistakes.append(str(error))
    if not over:
        mistakes.append('nothing is swept: give {("attenuation", device): [0, 3, 6]}')
    if not columns and not mistakes:
        mistakes.append('nothing is read: give [("qber", device)]')
    names = _names([*axes, *columns], mistakes)
    if mistakes:
        count = len(mistakes)
        raise hal.ConfigurationError(
            f"the sweep has {count} mistake{'s' if count > 1 else ''}; nothing was set", mistakes=tuple(mistakes)
        )
    known = dict.fromkeys(one.device for one in [*axes, *columns] if one.device is not None)
    return Plan(
        dict(zip(names, axes, strict=False)),
        dict(zip(names, values, strict=False)),
        dict(zip(names[len(axes) :], columns, strict=True)),
        list(dict.fromkeys([*known, *devices])),
    )


def _checked(axis: Axis, wanted: Iterable[Any], mistakes: list[str]) -> list[Any]:
    """Return the values that something is to be set to, and note those that it does not take."""
    found: list[Any] = []
    if isinstance(wanted, str) or not isinstance(wanted, Iterable):
        mistakes.append(f"{axis.name}: values are given in a list, not as {wanted!r}")
        return found
    asked = list(wanted)
    if not asked:
        mistakes.append(f"{axis.name}: there is no value to set it to")
    for value in asked:
        try:
            found.append(axis.check(value))
        except (hal.RangeError, hal.ValueTypeError) as error:
            mistakes.append(f"{axis.name} to {value!r}: {error.what}")
    return found


def _names(things: list[Axis | AnyColumn], mistakes: list[str]) -> list[str]:
    """Return names of dimensions and variables: each its own, and with its device before it where others share it."""
    shared = Counter(one.name for one in things)
    names = [
        one.name if shared[one.name] == 1 or one.device is None else f"{one.device.name}.{one.name}" for one in things
    ]
    taken = Counter([*names, TIME])
    mistakes += [
        f"{name} stands {'for the time of a point' if name == TIME else 'twice'}: take a Knob or a Probe with a name"
        for name, times in taken.items()
        if times > 1
    ]
    return names
