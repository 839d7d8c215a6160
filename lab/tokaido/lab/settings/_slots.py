"""The settings that a device has now, whatever holds them: declared values, and what its role adds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

from tokaido.hal import NoDataError, Quality, UnsupportedError, ValueTypeError
from tokaido.hal.driver import Setting, Valued, encode

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokaido.hal import Device
    from tokaido.hal.driver import FurtherSetting, Light, Plain, States

DIMMING, NEUTRAL, BRIGHTENING = range(3)
"""In which order settings are restored: first what makes less light, last what makes more."""
ROUNDING: Final = 1e-9


@dataclass(frozen=True, slots=True)
class Slot:
    """One setting of an opened device."""

    present: Plain | None
    """What is in force; None where nothing is."""
    unit: str
    light: Light
    states: States | None
    """In which states of the device it can be set; None where that is not declared."""
    check: Callable[[Plain], object]
    """Raises a `TokaidoError` for what the setting does not take, before anything is sent."""
    set: Callable[[Plain], object]
    """Sets it, and reads it back."""
    same: Callable[[Plain, Plain], bool]
    """Whether a value that is read is the one that was asked for."""
    rank: Callable[[Plain], float]
    """Orders its values, so that one can be greater than another."""
    why_none: str = ""
    """Why nothing is in force."""

    def turn(self, wanted: Plain) -> int:
        """Return when `wanted` is set: DIMMING, NEUTRAL or BRIGHTENING."""
        if self.light not in ("less", "more"):
            return NEUTRAL
        if self.present is None:
            return BRIGHTENING
        rises = self.rank(wanted) > self.rank(self.present)
        return BRIGHTENING if rises == (self.light == "more") else DIMMING


def slots_of(device: Device) -> dict[str, Slot]:
    """Ask a device for its settings, by path, those that it cannot tell now included.

    Raises:
        TokaidoError: The device could not be asked, or one of its answers is none.
    """
    telemetry = device.telemetry()
    found: dict[str, Slot] = {}
    for path in device.value_paths():
        owner, value = device.find(path)
        if not isinstance(value, Setting) or (light := _light(owner, value.name)) == "source":
            continue
        reading = telemetry.get(path)
        present: Any = None
        why_none = ""
        if reading is not None and reading.quality is Quality.GOOD:
            present = reading.value
        else:
            try:
                present = owner.read(value)
            except (NoDataError, UnsupportedError) as error:
                why_none = error.what
        found[path] = _declared(owner, value, present, light, why_none)
    return found | {path: _further(setting) for path, setting in device.further_settings().items()}


def _light(owner: Valued, name: str) -> Light:
    """Return what a setting does to light: as its own declaration says, or the role's behind it."""
    for kind in type(owner).__mro__:
        declared = vars(kind).get(name)
        light: Light | None = declared.light if isinstance(declared, Setting) else None
        if light is not None:
            return light
    return "none"


def _declared(owner: Valued, value: Setting[Any], present: Any, light: Light, why_none: str) -> Slot:
    def typed(plain: Plain) -> Any:
        return value.check(_member(value.kind, plain, value.name) if issubclass(value.kind, Enum) else plain)

    def rank(plain: Plain) -> float:
        of_kind = typed(plain)
        return list(type(of_kind)).index(of_kind) if isinstance(of_kind, Enum) else float(of_kind)

    return Slot(
        encode(present) if isinstance(present, Enum) else present,
        value.unit,
        light,
        value.states,
        typed,
        lambda plain: owner.write(value, typed(plain)),
        lambda asked, got: value.confirms(typed(asked), typed(got)),
        rank,
        why_none,
    )


def _member(kind: type[Enum], plain: Plain, name: str) -> Enum:
    for member in kind:
        if encode(member) == plain:
            return member
    raise ValueTypeError(f"{name} takes one of {', '.join(encode(member) for member in kind)}, not {plain!r}")


def _further(setting: FurtherSetting) -> Slot:
    def same(asked: Plain, got: Plain) -> bool:
        if isinstance(asked, (int, float)) and isinstance(got, (int, float)) and not isinstance(got, bool):
            return math.isclose(asked, got, rel_tol=ROUNDING, abs_tol=setting.tolerance)
        return asked == got

    return Slot(
        setting.value,
        setting.unit,
        setting.light,
        None,
        setting.check,
        setting.set,
        same,
        lambda plain: float(plain) if isinstance(plain, (int, float)) else 0.0,
        "" if setting.value is not None else "not in force",
    )
