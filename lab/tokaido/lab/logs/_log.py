"""Logging: each device at its own pace, so that one that is gone costs no other a row."""

from __future__ import annotations

import threading
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import tokaido.hal as hal
from tokaido.hal.driver import real, whole
from tokaido.hal.files import path_of
from tokaido.lab.logs._file import LogFile, rows_of
from tokaido.lab.logs._rotation import Rotation
from tokaido.lab.logs._source import Source, chosen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from tokaido.lab.logs._rows import Rows

Format: TypeAlias = Literal["", "csv", "jsonl", "parquet"]
"""How rows are written; empty: as the name of the file says."""
SHORTEST_INTERVAL_S: Final = 0.01
RETRY_S: Final = 0.5
"""How soon a device that is gone is asked again, at least, in s."""
END_S: Final = 60.0
"""How long the last exchanges may take when it ends, in s."""
BEGIN_S: Final = 1.0
"""How long a thread may take to begin, or to end when all is done, in s."""


@dataclass(slots=True)
class LogSummary:
    """What came of a log."""

    rows: int = 0
    """Rows that were written, those about gaps included."""
    polls: int = 0
    """Polls that were answered, of all devices."""
    gaps: int = 0
    """How many times a device did not answer any more, or not yet."""
    skipped: int = 0
    """Polls left out since the device, or this machine, was slower than the interval."""
    rotated: list[Path] = field(default_factory=list)
    """Files that were full, in their order."""


def log_telemetry(
    station: hal.Station,
    file: str | Path,
    *,
    interval: float = 1.0,
    values: Iterable[str] = (),
    format: Format = "",  # noqa: A002 - the word of the command line, too
    duration: float | None = None,
    count: int | None = None,
    rotate_bytes: int | None = None,
    rotate_every: float | None = None,
    on_gap: Callable[[str], None] | None = None,
    stop: threading.Event | None = None,
    clock: hal.Clock = hal.SYSTEM_CLOCK,
) -> LogSummary:
    """Write the telemetry of the devices of a station to a file, a row for each reading, until it is told to end.

    The columns are `utc` (when it was measured), `device`, `value` (its path), `reading`, `unit`, `quality` (good,
    uncertain, stale, bad) and `age_s` (how old it was when it came); a bad reading is empty. In Parquet `reading` is a
    number, and a column `text` has words. A calibrated value, `power`, has a row `power.raw` besides, with what the
    device told, and in each file one row `power.calibration`. A device that does not answer costs the others nothing: a
    row with an empty `value` says that it is `gone`, and one that it is `back`.

    It ends after `duration` or `count`, when `stop` is set, or at Ctrl-C. The station stays open, and its devices as
    they are.

    Args:
        station: The station; devices are opened as they are needed.
        file: Where to. A log that is there is continued; anything else is left as it is.
        interval: From one poll of a device to the next, 0.01 s or more.
        values: `alice` for all values of a device, `alice.laser_power` or `alice.state` for one, `west.connections`
            for the map of a switch. Default: all values of every device.
        format: `csv`, `jsonl` or `parquet` (extra `parquet`). Default: as the name of the file says.
        duration: How long, in s. Default: until it is told to end.
        count: How many polls of each device, answered or not. Default: as many as there are.
        rotate_bytes: A file that would become larger is renamed, and a new one begun. Nothing is ever deleted. In
            Parquet it is the journal that is measured, which is larger than the file.
        rotate_every: So long a period is in one file, in s: whole minutes that divide a day, counted from midnight UTC.
            The file is then renamed by when its period began.
        on_gap: Called with a sentence when a device does not answer, and when it does again; by any thread.
        stop: Ends it when it is set.
        clock: Where time comes from. With any but the machine's, all is done in this thread, one device after the
            other, as virtual time needs.

    Raises:
        ConfigurationError: A device or value does not exist, or the file is not a log of these columns.
        TokaidoError: The file cannot be written, another program logs to it, or an extra is not installed.
    """
    path = path_of(file, "the log")
    pace = _Pace(clock, interval, duration, count)
    rows = rows_of(path, format)
    asked = chosen(station, values)
    for name in asked:
        hal.load_driver(station.entry(name).driver, hal.Device)
    rotation = Rotation(rotate_bytes, rotate_every)
    opening = threading.Lock() if station.interlocks else nullcontext()  # an interlock opens other devices
    summary = LogSummary()
    with LogFile(path, rows, rotation, clock) as log:
        devices = [
            _Logged(station, name, wanted, rows=rows(name), log=log, opening=opening, on_gap=on_gap)
            for name, wanted in asked.items()
        ]
        try:
            if clock is hal.SYSTEM_CLOCK:
                _in_threads(devices, pace, stop or threading.Event())
            else:
                _in_turn(devices, pace, stop)
        except KeyboardInterrupt:  # it is how a log is ended
            pass
        for device in devices:
            device.add_to(summary)
        summary.rotated = log.rotated
    return summary


class _Pace:
    """When a device is polled, and for how long."""

    def __init__(self, clock: hal.Clock, interval: float, duration: float | None, count: int | None) -> None:
        self.clock = clock
        self.interval_s = real(interval, "interval")
        if not SHORTEST_INTERVAL_S <= self.interval_s <= 1e6:
            raise hal.RangeError(f"interval must lie in {SHORTEST_INTERVAL_S} to 1e6 s, not {interval!r}")
        self._duration_s = None if duration is None else real(duration, "duration")
        if self._duration_s is not None and not 0 < self._duration_s <= 1e9:
            raise hal.RangeError(f"duration must lie above 0 s, up to 1e9 s, not {duration!r}")
        self._count = None if count is None else whole(count, "count")
        if self._count is not None and self._count < 1:
            raise hal.RangeError(f"count must be 1 or more, not {count!r}")
        self._began_ns = clock.monotonic_ns()

    def elapsed_s(self) -> float:
        """Seconds since it began."""
        return (self.clock.monotonic_ns() - self._began_ns) / hal.NS_PER_S

    def has(self, polls: int, at_s: float) -> bool:
        """Whether there is a poll at that time, after so many."""
        return (self._count is None or polls < self._count) and (self._duration_s is None or at_s < self._duration_s)


class _Logged:
    """One device: asked, written down, and asked again when it is gone."""

    def __init__(
        self,
        station: hal.Station,
        name: str,
        wanted: Sequence[str],
        *,
        rows: Rows,
        log: LogFile,
        opening: AbstractContextManager[Any],
        on_gap: Callable[[str], None] | None,
    ) -> None:
        self._station, self.name, self._wanted = station, name, wanted
        self._rows, self._log, self._opening, self._on_gap = rows, log, opening, on_gap
        self._source: Source | None = None
        self._gone_since_ns: int | None = None
        self._summary = LogSummary()
        self.asked = 0
        """How many times it was asked."""
        self.next_s = 0.0
        """When it is asked next, in s since the beginning."""

    def poll(self, pace: _Pace) -> None:
        """Ask it once, write what it says, and settle when it is asked next.

        Raises:
            ConfigurationError: It has no value of a name that is asked for, and nothing was logged of it yet.
            TokaidoError: The file cannot be written.
        """
        self.asked += 1
        try:
            readings = list(self._ask(pace.clock))
        except hal.TokaidoError as error:
            if isinstance(error, hal.ConfigurationError) and self.asked == 1:
                raise
            self._gone(pace.clock, str(error))
        else:
            self._came(pace.clock)
            if readings:
                self._write(self._rows.of(readings), len(readings))
            self._summary.polls += 1
        wait_s = pace.interval_s if self._gone_since_ns is None else max(pace.interval_s, RETRY_S)
        late_s = pace.elapsed_s() - (self.next_s + wait_s)
        missed = int(late_s / pace.interval_s) if late_s > 0 else 0
        self._summary.skipped += missed if self._gone_since_ns is None else 0
        self.next_s += wait_s + missed * pace.interval_s

    def _ask(self, clock: hal.Clock) -> Iterable[tuple[str, hal.Reading[Any]]]:
        if self._source is None:
            with self._opening:
                device = self._station.device(self.name, hal.Device)
            self._source = Source(device, self._wanted, clock)
        return self._source.poll(len(self._log.rotated))

    def _gone(self, clock: hal.Clock, why: str) -> None:
        if self._gone_since_ns is not None:
            return
        self._gone_since_ns = clock.monotonic_ns()
        self._summary.gaps += 1
        self._write(self._rows.gone(clock.utc_ns(), why), 1)
        self._tell(f"{self.name} does not answer: {why}")

    def _came(self, clock: hal.Clock) -> None:
        if self._gone_since_ns is None:
            return
        after_s = (clock.monotonic_ns() - self._gone_since_ns) / hal.NS_PER_S
        self._gone_since_ns = None
        self._write(self._rows.back(clock.utc_ns(), after_s), 1)
        self._tell(f"{self.name} answers again, after {after_s:.1f} s")

    def _tell(self, what: str) -> None:
        if self._on_gap is not None:
            self._on_gap(what)

    def _write(self, lines: str, rows: int) -> None:
        self._log.write(lines)
        self._summary.rows += rows

    def add_to(self, summary: LogSummary) -> None:
        """Add what came of it."""
        for name in ("rows", "polls", "gaps", "skipped"):
            setattr(summary, name, getattr(summary, name) + getattr(self._summary, name))


def _in_turn(devices: Sequence[_Logged], pace: _Pace, stop: threading.Event | None) -> None:
    """Poll in this thread, whichever device is due next."""
    while stop is None or not stop.is_set():
        due = [device for device in devices if pace.has(device.asked, max(device.next_s, pace.elapsed_s()))]
        if not due:
            return
        device = min(due, key=lambda one: one.next_s)
        if pace.clock.wait(max(device.next_s - pace.elapsed_s(), 0.0), stop):
            return
        device.poll(pace)


def _in_threads(devices: Sequence[_Logged], pace: _Pace, stop: threading.Event) -> None:
    """Poll each device in a thread of its own, until all are done or one cannot go on.

    Raises:
        TokaidoError: Why one could not.
    """
    failed: list[Exception] = []
    ends = [threading.Event() for _ in devices]  # an interrupted `join` of Python 3.11 takes a thread for ended

    def run(device: _Logged, ended: threading.Event) -> None:
        try:
            _in_turn([device], pace, stop)
        except Exception as error:  # noqa: BLE001 - it is raised where the caller is
            failed.append(error)
            stop.set()
        finally:
            ended.set()

    begun: list[tuple[threading.Thread, threading.Event]] = []
    try:
        for one, ended in zip(devices, ends, strict=True):
            thread = threading.Thread(target=run, args=(one, ended), name=f"log of {one.name}", daemon=True)
            begun.append((thread, ended))
            thread.start()
        for ended in ends:
            while not ended.wait(1.0):
                pass
    finally:
        stop.set()
        deadline = hal.Deadline(hal.SYSTEM_CLOCK, END_S)
        for thread, ended in begun:
            known = thread.ident is not None  # else it was interrupted as it began, and may never run
            if ended.wait(deadline.remaining_s if known else BEGIN_S):
                thread.join(BEGIN_S)
    if failed:
        raise failed[0]
