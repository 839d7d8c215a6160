"""The sweep itself: every point of a grid is set, waited for and read, and what was done is never lost."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import tokaido.hal as hal
from tokaido.hal.driver import real
from tokaido.lab.sweeps._dataset import Table, xarray
from tokaido.lab.sweeps._plan import plan_of
from tokaido.lab.sweeps._probes import telemetry_of
from tokaido.lab.sweeps._progress import progress_shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import xarray as xr

    from tokaido.lab.sweeps._axes import Axis, Swept
    from tokaido.lab.sweeps._plan import Plan
    from tokaido.lab.sweeps._probes import Readable

SETTING: Final = ("value", "unit", "quality", "error", "raw", "calibration")
"""What is kept of each setting as it was before."""

logger = logging.getLogger("tokaido.lab.sweep")


def sweep(
    over: Mapping[Swept, Iterable[Any]],
    read: Iterable[Readable],
    *,
    settle: float | Callable[[], object] = 0.0,
    restore: bool = False,
    devices: Iterable[hal.Device] = (),
    seed: int | None = None,
    progress: bool | None = None,
    clock: hal.Clock = hal.SYSTEM_CLOCK,
) -> xr.Dataset:
    """Set things to one value after the other, read others at each point, and return all of it.

    `lab.sweep({("attenuation", tx): range(0, 30, 3)}, [("qber", rx)], settle=2.0)` has the dimension `attenuation` and
    the variable `qber`. Several settings make a grid; the first changes most seldom, and only what changes is set.

    The data set has for each variable another one, `qber_reason`, that says why a point has no value: a reading that is
    bad or stale is NaN (or "", where words are read), as is a point that was not reached. Names are those of the
    values, with the device's before them where two share one: `alice.laser_power`. The coordinate `utc` is when a point
    was read. Units of measure are in the attribute `units` of variables and dimensions; what corrected a calibrated one
    is in `calibration`, as JSON text. A value whose calibration has expired is kept, and its reason says so.

    Ctrl-C, a device that fails and a callable that raises end the sweep, and what was done is returned. Attributes of
    the data set: `complete` (1, or 0 if it was ended), `ended` (why), `points`, `points_done`, `utc_start`, `utc_end`,
    `tokaido_version`, `seed` if one is given, `not_restored`, and `devices`: JSON text of what each device was before
    the sweep, with `driver`, `identity`, `settings`, `states`, of a switch its `connections`, and `errors`.

    Args:
        over: What is set, and the values of each.
        read: What is read at each point. A device is asked once a point for all of its values.
        settle: What comes between setting and reading: a time in s, or a callable that returns when all is settled.
        restore: Whether everything is set at the end to what it was before.
        devices: Further devices to describe in the attributes, such as those that a callable uses.
        seed: Seed of the emulated world, to be kept with the data; a driver cannot tell that it drives an emulator.
        progress: Whether a bar is shown on stderr. Default: if it is a terminal.
        clock: Where time comes from; in virtual time that of the bench.

    Raises:
        ConfigurationError: With every mistake in what is asked, values out of their ranges included; nothing was set.
        TransportError: A device could not be reached before the sweep; nothing was set.
        TokaidoError: xarray is not installed; it comes with the extra `lab`.
    """
    xarray()
    wait = _wait_of(settle, clock)
    plan = plan_of(over, read, devices)
    before = {name: axis.now() for name, axis in plan.axes.items()} if restore else {}
    attributes: dict[str, Any] = {
        "tokaido_version": _version(),
        "utc_start": _iso(clock.utc_ns()),
        "devices": json.dumps(_described(plan.devices), ensure_ascii=False),
    }
    if seed is not None:
        attributes["seed"] = seed
    table = Table(plan)
    not_restored: list[str] = []
    try:
        ended = _run(plan, table, wait, clock, progress)
    finally:
        not_restored += _restored(plan.axes, before)
    attributes |= {
        "utc_end": _iso(clock.utc_ns()),
        "complete": int(not ended),
        "ended": ended,
        "points": plan.points,
        "points_done": table.done,
        "not_restored": "\n".join(not_restored),
    }
    return table.dataset(attributes)


def _run(plan: Plan, table: Table, wait: Callable[[], object], clock: hal.Clock, progress: bool | None) -> str:
    """Go through the points, and return why that ended early; empty if it did not."""
    import numpy as np  # noqa: PLC0415 - for those who sweep

    at: dict[str, int] = {}
    try:
        with progress_shown(plan.points, progress) as told:
            for index in np.ndindex(plan.shape):
                for (name, axis), now in zip(plan.axes.items(), index, strict=True):
                    if at.get(name) != now:
                        axis.set_to(plan.values[name][now])
                        at[name] = now
                wait()
                telemetry = telemetry_of(plan.columns.values())
                found = {name: column.sample(telemetry) for name, column in plan.columns.items()}
                table.add(index, clock.utc_ns(), found)
                told(", ".join(f"{name} {plan.values[name][now]}" for name, now in at.items()))
    except KeyboardInterrupt:
        ended = "interrupted"
    except Exception as error:  # noqa: BLE001 - hours of readings must not go with a mistake in a callable
        ended = str(error) if isinstance(error, hal.TokaidoError) else f"{type(error).__name__}: {error}"
    else:
        return ""
    logger.warning("the sweep ended at point %d of %d: %s", table.done + 1, plan.points, ended)
    return ended


def _restored(axes: Mapping[str, Axis], before: Mapping[str, Any]) -> list[str]:
    """Put everything back, the last first, and return what could not be."""
    failed: list[str] = []
    for name in reversed(list(before)):
        try:
            axes[name].set_to(before[name])
        except (KeyboardInterrupt, Exception) as error:  # noqa: BLE001 - each gets its turn, and the data are kept
            why = str(error) if isinstance(error, hal.TokaidoError) else f"{type(error).__name__}: {error}"
            failed.append(f"{name}: {why}")
            logger.warning("%s was not put back: %s", name, why)
    return failed


def _wait_of(settle: float | Callable[[], object], clock: hal.Clock) -> Callable[[], object]:
    if callable(settle):
        return settle
    seconds = real(settle, "settle")
    if not 0 <= seconds <= 1e6:
        raise hal.ConfigurationError(f"settle must lie in 0 to 1e6 s, not {settle!r}", remedy="Nothing was set")
    return lambda: clock.wait(seconds)


def _described(devices: Iterable[hal.Device]) -> dict[str, Any]:
    """Return what each device is and how it is set.

    Raises:
        TransportError: One could not be reached.
    """
    found: dict[str, Any] = {}
    for number, device in enumerate(devices, 1):
        device.identity()  # a snapshot goes on without the device, and a sweep must not begin so
        record = device.snapshot()
        name = device.name if device.name not in found else f"{device.name} ({number})"
        settings = {
            path: {key: told.get(key) for key in SETTING if key in told}
            for path, told in record["values"].items()
            if device.find(path)[1].writable
        }
        kept = ("driver", "identity", "states", "connections", "errors")
        found[name] = {key: record[key] for key in kept if key in record} | {"settings": settings}
    return found


def _version() -> str:
    from importlib.metadata import version  # noqa: PLC0415 - 28 ms

    return version("tokaido")


def _iso(utc_ns: int) -> str:
    return datetime.fromtimestamp(utc_ns / hal.NS_PER_S, UTC).isoformat(timespec="milliseconds")
