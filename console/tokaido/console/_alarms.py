"""The commands `alarms` and `ack`: what stands at devices, and what an operator clears."""

from __future__ import annotations

import sys
from contextlib import ExitStack, nullcontext, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import tokaido.hal as hal
from tokaido.console._devices import forced, opened, opened_station, to_station
from tokaido.console._orders import in_role
from tokaido.console._output import number, print_error, print_json, print_table
from tokaido.console._signals import terminated_as_interrupt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from tokaido.hal import Device

    Openers = dict[str, Callable[[], AbstractContextManager[Device]]]


@dataclass(frozen=True, slots=True)
class Standing:
    """One alarm, whatever the role of its device tells of it."""

    code: str
    severity: str = "-"
    latched: bool = False
    age_s: float | None = None
    text: str = ""

    def record(self) -> dict[str, Any]:
        """Return the alarm ready for JSON."""
        return {
            "alarm": self.code,
            "severity": None if self.severity == "-" else self.severity,
            "latched": self.latched,
            "age_s": self.age_s,
            **({"text": self.text} if self.text else {}),
        }


def has_alarms(device: Device) -> bool:
    """Whether the role of a device tells alarms."""
    return isinstance(device, (hal.Unit, hal.OpticalAmplifier))


def standing(device: Device) -> list[Standing]:
    """Ask a device for the alarms that are active; none where its role tells none."""
    if isinstance(device, hal.Unit):
        return [Standing(alarm.code, alarm.severity.value, alarm.latched, alarm.age_s) for alarm in device.alarms()]
    if isinstance(device, hal.OpticalAmplifier):
        found = device.alarms()
        return [Standing(alarm.name, text=alarm.value) for alarm in hal.AmplifierAlarm if alarm in found]
    return []


def _openers(stack: ExitStack, text: str, *, trace: bool) -> Openers:
    """Return how to open the devices that a text names, by name."""
    if not to_station(text):
        device = stack.enter_context(opened(text, trace=trace))
        if not has_alarms(device):
            raise hal.ConfigurationError(f"{device.name} is a {type(device).__name__}, whose role tells no alarms")
        return {device.name: lambda: nullcontext(device)}
    station = stack.enter_context(opened_station(text, trace=trace))
    return {name: partial(station.visit, name) for name in station.devices}


# --- once -------------------------------------------------------------------------------------------------------------


def show(text: str, *, as_json: bool, trace: bool) -> int:
    """Print the alarms that are active; 1 if a device could not be asked."""
    found: dict[str, list[Standing]] = {}
    errors: dict[str, hal.TokaidoError] = {}
    with ExitStack() as stack:
        for name, open_ in _openers(stack, text, trace=trace).items():
            try:
                with open_() as device:
                    if has_alarms(device):
                        found[name] = standing(device)
            except hal.TransportError as error:
                errors[name] = error
    if as_json:
        alarms = [{"device": name, **alarm.record()} for name, of_device in found.items() for alarm in of_device]
        print_json({"alarms": alarms, "not_asked": {name: str(error) for name, error in errors.items()}})
    else:
        rows = [_row(name, alarm) for name, of_device in found.items() for alarm in of_device]
        if rows:
            print_table(("device", "alarm", "severity", "latched", "since"), rows)
        else:
            print("no alarms" if found else "no device that tells alarms")
    for why in errors.values():
        print_error(why, as_json=as_json)
    return int(bool(errors))


def _row(name: str, alarm: Standing) -> tuple[str, ...]:
    since = "" if alarm.age_s is None else f"{number(alarm.age_s)} s"
    return name, alarm.code, alarm.severity, "latched" if alarm.latched else "", since or alarm.text


# --- again and again --------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Watched:
    """One device that is watched: what is known to stand at it, and whether it answers."""

    name: str
    open: Callable[[], AbstractContextManager[Device]]
    stack: ExitStack
    device: Device | None = None
    known: dict[str, Standing] = field(default_factory=dict[str, Standing])
    answers: bool = True

    def changes(self) -> Iterator[tuple[bool, Standing]]:
        """Ask, and yield what was raised (True) and cleared (False) since the last time, as far as can be known.

        A unit's announcements tell of alarms, too, that came and went between two looks.
        """
        if self.device is None:
            self.device = self.stack.enter_context(self.open())
        if isinstance(self.device, hal.Unit):
            for event in self.device.alarm_events():
                told = Standing(event.code, event.severity.value, text=event.text)
                if event.raised and event.code not in self.known:
                    self.known[event.code] = told
                    yield True, told
                elif not event.raised and event.code in self.known:
                    del self.known[event.code]
                    yield False, told
        now = {alarm.code: alarm for alarm in standing(self.device)}
        for code, alarm in now.items():
            if code not in self.known:
                yield True, alarm
        for code, alarm in self.known.items():
            if code not in now:
                yield False, alarm
        self.known = now


def follow(text: str, *, interval: float, seconds: float | None, as_json: bool, trace: bool) -> int:
    """Print what is raised and cleared until Ctrl-C, or for `seconds`; 1 if a device did not answer the last time.

    Alarms that stand in the beginning are told as raised. A device that falls silent is reported once, and asked again.
    """
    clock = hal.SYSTEM_CLOCK
    deadline: hal.Deadline | None = None
    with terminated_as_interrupt(), ExitStack() as stack:
        watched = [_Watched(name, open_, stack) for name, open_ in _openers(stack, text, trace=trace).items()]
        with suppress(KeyboardInterrupt):
            while True:
                for one in list(watched):
                    _look(one, as_json=as_json)
                    if one.device is not None and not has_alarms(one.device):
                        watched.remove(one)
                if not watched:
                    raise hal.ConfigurationError(f"{text} has no device whose role tells alarms")
                if deadline is None and seconds is not None:
                    deadline = hal.Deadline(clock, seconds)  # from the first look on: to open devices takes its time
                if deadline is not None and deadline.passed:
                    break
                clock.wait(interval if deadline is None else min(interval, deadline.remaining_s))
        return int(not all(one.answers for one in watched))


def _look(one: _Watched, *, as_json: bool) -> None:
    try:
        for raised, alarm in one.changes():
            _tell(one.name, "raised" if raised else "cleared", alarm, as_json=as_json)
    except hal.TransportError as error:
        if one.answers:
            print_error(error, as_json=as_json)
        one.answers = False
    else:
        if not one.answers and not as_json:
            print(f"{one.name} answers again", file=sys.stderr, flush=True)
        one.answers = True


def _tell(name: str, what: str, alarm: Standing, *, as_json: bool) -> None:
    utc = datetime.now(UTC).isoformat(timespec="milliseconds")
    if as_json:
        print_json({"utc": utc, "device": name, "event": what, **alarm.record()}, compact=True)
    else:
        print(utc, name, what, alarm.code, alarm.severity, alarm.text, sep="\t", flush=True)


# --- ack --------------------------------------------------------------------------------------------------------------


def acknowledge(text: str, codes: Sequence[str], *, everything: bool, force: str, as_json: bool, trace: bool) -> None:
    """Acknowledge latched alarms of a unit, and print its state and the alarms that are left.

    A unit clears all its latched alarms together, so that all of them have to be named: nobody clears one unseen.

    Raises:
        ConfigurationError: Another alarm is latched, or one that is named is not.
        RefusedError: The cause of one of them lasts.
    """
    if bool(codes) == everything:
        raise hal.ConfigurationError("which alarms are meant is not clear", remedy="Name them, or give --all")
    with opened(text, trace=trace) as device:
        unit = in_role(device, hal.Unit)
        latched = [alarm.code for alarm in unit.alarms() if alarm.latched]
        wanted = latched if everything else list(codes)
        not_there = [code for code in wanted if code not in latched]
        unseen = [code for code in latched if code not in wanted]
        if not_there:
            raise hal.ConfigurationError(
                f"{unit.name} has no latched alarm {', '.join(not_there)}",
                remedy=f"Latched are: {', '.join(latched) or 'none'}. Other alarms end with their cause",
            )
        if unseen:
            raise hal.ConfigurationError(
                f"{unit.name} clears its latched alarms together, and {', '.join(unseen)} is not named",
                remedy="Look at it, and name it, too; or give --all",
            )
        if wanted:
            with forced(unit, force):
                _clear(unit)
        left, state = standing(unit), unit.state().value
    if as_json:
        cleared = [code for code in wanted if code not in {alarm.code for alarm in left}]
        print_json({"state": state, "cleared": cleared, "alarms": [alarm.record() for alarm in left]})
        return
    print(f"state\t{state}")
    for alarm in left:
        print(*_row(unit.name, alarm), sep="\t")


def _clear(unit: hal.Unit) -> None:
    """Give the order by which a unit in this state clears what is latched."""
    if unit.state() is hal.UnitState.FAULT:
        unit.clear_fault()
    else:
        unit.acknowledge_security()
