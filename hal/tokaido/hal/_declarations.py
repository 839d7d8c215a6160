"""How a role or a driver declares its values: `measured`, `setting`, `query`, `unsupported`."""

from __future__ import annotations

from enum import Enum
from typing import Any, TypeVar, overload

from tokaido.hal._value_texts import NO_YES
from tokaido.hal._values import DEFAULT_STALE_AFTER_S, Light, Measured, Query, Setting, States

T = TypeVar("T")
N = TypeVar("N", int, float)
E = TypeVar("E", bound=Enum)


@overload
def measured(
    kind: type[N],
    command: str | None = None,
    *,
    unit: str,
    operational: tuple[N, N] | None = None,
    absolute: tuple[N, N] | None = None,
    stale_after_s: float = DEFAULT_STALE_AFTER_S,
) -> Measured[N]: ...
@overload
def measured(kind: type[bool], command: str | None = None, *, words: tuple[str, str] = NO_YES) -> Measured[bool]: ...
@overload
def measured(kind: type[str], command: str | None = None) -> Measured[str]: ...
def measured(kind: type[Any], command: str | None = None, **options: Any) -> Measured[Any]:
    """Declare a value that the device measures: `laser_power = measured(float, "LAS:POW", unit="dBm")`."""
    return Measured(kind, command, **options)


@overload
def setting(
    kind: type[bool],
    command: str | None = None,
    *,
    words: tuple[str, str] = NO_YES,
    states: States | None = None,
    light: Light | None = None,
) -> Setting[bool]: ...
@overload
def setting(
    kind: type[N],
    command: str | None = None,
    *,
    unit: str,
    range: tuple[N, N] | None = None,
    states: States | None = None,
    operational: tuple[N, N] | None = None,
    absolute: tuple[N, N] | None = None,
    resolution: float = 0.0,
    light: Light | None = None,
) -> Setting[N]: ...
@overload
def setting(
    kind: type[E], command: str | None = None, *, states: States | None = None, light: Light | None = None
) -> Setting[E]: ...
def setting(kind: type[Any], command: str | None = None, **options: Any) -> Setting[Any]:
    """Declare a value that can be set: `attenuation = setting(float, "VOA:ATT", unit="dB", range=(0, 60))`."""
    return Setting(kind, command, **options)


def query(kind: type[T], command: str | None = None, *, field: int | None = None) -> Query[T]:
    """Declare a state or flag that is asked by a call: `state = query(UnitState, "STAT")`, then `tx.state()`."""
    return Query(kind, command, field)


def unsupported(kind: type[T], why: str) -> Setting[T]:
    """Declare that this driver's device lacks a value of its role: asking for it raises `UnsupportedError`."""
    return Setting(kind, None, unsupported=why)
