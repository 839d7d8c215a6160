"""The commands about one device: identify, read, set, monitor and snapshot."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tokaido.hal as hal
from tokaido.console._devices import forced, opened
from tokaido.console._orders import map_lines
from tokaido.console._output import escaped, number, on_terminal, print_json, table, terminal
from tokaido.console._readings import brief, judgement, limits, quantity, style
from tokaido.hal.driver import Setting, real_in, whole_in
from tokaido.hal.files import write_whole

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.table import Table

    from tokaido.hal import Device, Reading
    from tokaido.hal.driver import Measured


def identify(device_text: str, *, as_json: bool, trace: bool) -> None:
    """Print who a device says it is, and its state."""
    with opened(device_text, trace=trace) as device:
        found = device.identity()
        states = {name: number(device.ask(query)) for name, query in device.queries().items() if name == "state"}
    facts = {
        "vendor": found.vendor,
        "model": found.model,
        "serial_number": found.serial_number,
        "firmware": found.firmware,
        **states,
    }
    if as_json:
        print_json(facts)
        return
    width = max(map(len, facts))
    for name, fact in facts.items():
        print(f"{name.replace('_', ' '):{width}}  {fact}")


# --- read -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Sample:
    """What a device told at one instant."""

    states: dict[str, str]
    readings: dict[str, Reading[Any]]
    connections: dict[int, int] | None = None
    """Outputs by inputs; None for what is not a switch."""

    @property
    def bad(self) -> list[str]:
        """Paths of the readings that have no value."""
        return [path for path, reading in self.readings.items() if reading.quality is hal.Quality.BAD]

    def record(self) -> dict[str, Any]:
        """Return the sample ready for JSON."""
        found: dict[str, Any] = {
            "states": self.states,
            "values": {path: reading.record() for path, reading in self.readings.items()},
        }
        if self.connections is not None:
            found["connections"] = {str(source): target for source, target in sorted(self.connections.items())}
        return found


def read(device_text: str, wanted: Sequence[str], *, as_json: bool, trace: bool) -> int:
    """Print values of a device, all if none is named; 1 if one that was named has no value."""
    with opened(device_text, trace=trace) as device:
        sample = take(device, wanted)
        name = device.name
    if as_json:
        print_json(sample.record())
    elif on_terminal():
        screen = terminal()
        screen.print(sample_table(sample, name, screen.width))
    else:
        for path, state in sample.states.items():
            print(f"{path}\t{state}")
        for path, reading in sample.readings.items():
            print(f"{path}\t{quantity(reading)}\t{judgement(reading)}")
        if sample.connections is not None:
            print(*map_lines(sample.connections), sep="\n")
    return 1 if wanted and sample.bad else 0


def take(device: Device, wanted: Sequence[str]) -> Sample:
    """Ask a device for the named states and values, or for all it has, in as few exchanges as it allows.

    Of a switch, all it has is its map, too, with states of ports that are not fit for use, and the monitors' powers.

    Raises:
        ConfigurationError: It has no value of that name.
    """
    known_queries, known_paths = device.queries(), device.value_paths()
    for path in wanted:
        if path not in known_queries and path not in known_paths:
            raise device.no_such_value(path)
    asked = [path for path in wanted if path in known_queries] if wanted else list(known_queries)
    states: dict[str, str] = {}
    for name in asked:
        try:
            states[name] = number(device.ask(known_queries[name])) or "-"
        except hal.DeviceError as error:
            states[name] = f"unknown: {error}"
    chosen = [path for path in wanted if path in known_paths] if wanted else known_paths
    telemetry = device.telemetry() if chosen else hal.Telemetry({})
    sample = Sample(states, {path: telemetry[path] for path in chosen})
    return _with_map(sample, device) if isinstance(device, hal.OpticalSwitch) and not wanted else sample


def _with_map(sample: Sample, switch: hal.OpticalSwitch) -> Sample:
    states, readings = dict(sample.states), dict(sample.readings)
    if hal.SwitchCapability.PORT_STATES in switch.capabilities:
        unfit = {port: state for port, state in switch.port_states().items() if state is not hal.PortState.ENABLED}
        states |= {str(port): state.value for port, state in unfit.items()}
    if hal.SwitchCapability.POWER_MONITORS in switch.capabilities:
        readings |= {f"power at {port}": power for port, power in switch.port_powers().items()}
    return Sample(states, readings, switch.connections())


def sample_table(
    sample: Sample, name: str, width: int, *, most: int | None = None, sparks: Mapping[str, str] | None = None
) -> Table:
    """Return the table of a sample for a terminal of that width, of `most` rows at most; `sparks` by value."""
    if not sample.readings:
        grid = table("state", "answer", title=escaped(name))
        for path, state in sample.states.items():
            grid.add_row(path.replace("_", " "), escaped(state))
        _add_map(grid, sample)
        return grid
    states = ", ".join(
        state if path == "state" else f"{path.replace('_', ' ')} {state}"
        for path, state in sample.states.items()
        if state != "-"
    )
    grid = table(
        "value",
        "reading",
        "limits",
        "quality",
        *(() if sparks is None else ("course",)),
        title=escaped(f"{name}: {states}" if states else name),
        whole=3 if width >= 76 else 0,
    )
    grid.columns[1].justify = "right"
    _add_map(grid, sample, "", "")
    shown = list(sample.readings.items())
    for path, reading in shown[:most]:
        spark = () if sparks is None else (sparks.get(path, ""),)
        cells = (escaped(path), quantity(reading), limits(reading), escaped(brief(reading)), *spark)
        grid.add_row(*cells, style=style(reading))
    if most is not None and len(shown) > most:
        grid.caption = f"{len(shown) - most} more: name the values to watch, or enlarge the window"
    return grid


def _add_map(grid: Table, sample: Sample, *rest: str) -> None:
    if sample.connections == {}:
        grid.add_row("map", "empty", *rest)
    for source, target in sorted((sample.connections or {}).items()):
        grid.add_row(f"in {source}", f"out {target}", *rest)


# --- set --------------------------------------------------------------------------------------------------------------


def set_value(device_text: str, path: str, text: str, *, force: str, as_json: bool, trace: bool) -> None:
    """Set one value of a device and print what is in force afterwards."""
    with opened(device_text, trace=trace) as device:
        owner, value = device.find(path)
        if not isinstance(value, Setting):
            settable = [name for name in device.value_paths() if device.find(name)[1].writable]
            raise hal.ConfigurationError(
                f"{path} is measured and cannot be set", remedy=f"What can be: {', '.join(settable)}"
            )
        with forced(device, force):
            owner.write(value, _typed(value, path, text))
        got = owner.read(value)
    calibration = value.calibration
    if as_json:
        corrected = {} if calibration is None else {"raw": calibration.raw(got), "calibration": calibration.record()}
        print_json({path: number(got) if isinstance(got, Enum) else got, "unit": value.unit, **corrected})
    else:
        print(f"{path} {number(got)} {value.unit}".rstrip())
        if calibration is not None:
            told = f"{number(calibration.raw(got))} {value.unit}".rstrip()
            print(f"  calibrated: the device is set to {told} ({calibration})")


def _typed(value: Measured[Any], path: str, text: str) -> Any:
    """Return what a person typed as the value's own kind; its range is the declaration's business.

    Raises:
        ConfigurationError: It cannot be one.
    """
    kind: type[Any] = value.kind
    try:
        if issubclass(kind, Enum):
            return next(member for member in kind if str(member.value).lower() == text.lower())
        if kind is bool:
            return {"0": False, "off": False, "no": False, "1": True, "on": True, "yes": True}[text.lower()]
        return {int: whole_in, float: real_in}.get(kind, kind)(text)
    except (ValueError, KeyError, StopIteration):
        if issubclass(kind, Enum):
            wanted = f"one of {', '.join(str(member.value) for member in kind)}"
        else:
            wanted = {bool: "on or off", int: "a whole number", float: "a number"}.get(kind, kind.__name__)
        raise hal.ConfigurationError(f"{path} takes {wanted}, not {text!r}", remedy="Nothing was sent") from None


# --- snapshot ---------------------------------------------------------------------------------------------------------


def snapshot(device_text: str, output: Path | None, *, as_json: bool, trace: bool) -> None:
    """Print all that a device tells as JSON, or write it to a file."""
    with opened(device_text, trace=trace) as device:
        found = device.snapshot()
    if output is None:
        print_json(found)
        return
    text = json.dumps(found, ensure_ascii=False, allow_nan=False, indent=2) + "\n"
    write_whole(output, text.encode("utf-8", "backslashreplace"))
    if as_json:
        print_json({"file": str(output), "values": len(found["values"]), "errors": found["errors"]})
        return
    print(f"{output}: {len(found['values'])} values of {found['name']}, {len(found['errors'])} errors")
