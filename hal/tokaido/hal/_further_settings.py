"""Settings that no declared value holds, since a method makes them: the map of a switch, where a retarder stands."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokaido.hal._values import Light

if not TYPE_CHECKING:
    from tokaido.hal._records import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable
    from dataclasses import dataclass

Plain = bool | int | float | str | dict[str, int]
"""A setting as a file holds it: words for members of enumerations, output by input for a map."""


@dataclass(frozen=True, slots=True)
class FurtherSetting:
    """One setting of a device, as it is, and how it is set."""

    value: Plain | None
    """What is in force; None where nothing is: the range of a meter that chooses it by itself."""
    set: Callable[[Plain], object]
    """Sets it, and reads it back. Raises a `TokaidoError` for what it does not take."""
    check: Callable[[Plain], object] = lambda _: None
    """Raises a `TokaidoError` for what can be seen to be wrong before anything is sent."""
    unit: str = ""
    """Unit of measure."""
    light: Light = "none"
    """What a greater value does to light."""
    tolerance: float = 0.0
    """How far from what it was set to a number may be read."""
