"""What a sweep found, as an `xarray.Dataset`."""

from __future__ import annotations

import importlib
from enum import Enum
from typing import TYPE_CHECKING, Any

import numpy as np

import tokaido.hal as hal
from tokaido.hal.driver import encode
from tokaido.lab.sweeps._plan import REASON, TIME

if TYPE_CHECKING:
    from collections.abc import Mapping

    import xarray as xr

    from tokaido.lab.sweeps._axes import Axis
    from tokaido.lab.sweeps._plan import Plan
    from tokaido.lab.sweeps._probes import AnyColumn, Sampled

NOT_REACHED = "not reached"
"""Why a point has no value that the sweep did not come to."""


def xarray() -> Any:
    """Return the module `xarray`.

    Raises:
        TokaidoError: It is not installed.
    """
    try:
        return importlib.import_module("xarray")
    except ImportError as error:
        raise hal.TokaidoError(
            "a sweep needs xarray, which is not installed", remedy="Install it with: pip install 'tokaido[lab]'"
        ) from error


class Table:
    """What was read so far, point by point."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._values: dict[str, np.ndarray[Any, np.dtype[Any]]] = {
            name: np.full(plan.shape, None, dtype=object) for name in plan.columns
        }
        self._reasons: dict[str, np.ndarray[Any, np.dtype[Any]]] = {
            name: np.full(plan.shape, NOT_REACHED, dtype=object) for name in plan.columns
        }
        self._utc = np.full(plan.shape, np.datetime64("NaT", "ns"))
        self.done = 0
        """How many points are in it."""

    def add(self, index: tuple[int, ...], utc_ns: int, found: Mapping[str, Sampled]) -> None:
        """Add a point."""
        self._utc[index] = np.datetime64(utc_ns, "ns")
        for name, sampled in found.items():
            self._values[name][index] = sampled.value
            self._reasons[name][index] = sampled.reason
        self.done += 1

    def dataset(self, attributes: Mapping[str, Any]) -> xr.Dataset:
        """Return it as a data set."""
        plan = self._plan
        dims = tuple(plan.axes)
        coordinates: dict[str, Any] = {TIME: (dims, self._utc)}
        for name, axis in plan.axes.items():
            coordinates[name] = (name, _coordinate(plan.values[name]), _attributes(axis))
        variables: dict[str, Any] = {}
        for name, column in plan.columns.items():
            values = self._values[name]
            filled = _words(values) if column.words else values.astype(float)
            variables[name] = (dims, filled, _attributes(column))
            variables[name + REASON] = (dims, _words(self._reasons[name]), {"long_name": f"why {name} has no value"})
        found: xr.Dataset = xarray().Dataset(variables, coordinates, dict(attributes))
        return found


def _attributes(of: Axis | AnyColumn) -> dict[str, str]:
    told = {"units": of.unit, "calibration": of.calibration}
    return {name: text for name, text in told.items() if text}


def _words(values: np.ndarray[Any, np.dtype[Any]]) -> np.ndarray[Any, np.dtype[Any]]:
    """Return an array of text, empty where there is none."""
    return np.array(["" if one is None else str(one) for one in values.flat], dtype=str).reshape(values.shape)


def _coordinate(values: list[Any]) -> np.ndarray[Any, np.dtype[Any]]:
    """Return what something was set to as numbers or words, whatever kind they are; text of what is neither."""
    plain = [
        encode(one) if isinstance(one, Enum) else one.item() if isinstance(one, np.generic) else one for one in values
    ]
    array = np.array(plain) if all(isinstance(one, (bool, int, float, str)) for one in plain) else None
    return array if array is not None and array.ndim == 1 else np.array([str(one) for one in plain], dtype=str)
