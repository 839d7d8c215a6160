"""What `monitor --plot` draws: values over time, a panel for each unit of measure, in a window or a file."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import tokaido.hal as hal
from tokaido.console._plot_style import COLOURS, GREY, check_output, house_look, require_matplotlib, write_picture

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    from tokaido.hal import Device, Reading

MOST_POINTS: Final = 10_000
"""Of one value: older ones are forgotten, so that a plot can run for weeks."""
MOST_PANELS: Final = 6
MOMENT_S: Final = 0.01


@dataclass(slots=True)
class Course:
    """One value over time."""

    path: str
    unit: str
    operational: tuple[float, float] | None
    seconds: deque[float] = field(default_factory=lambda: deque[float](maxlen=MOST_POINTS))
    values: deque[float] = field(default_factory=lambda: deque[float](maxlen=MOST_POINTS))

    def add(self, seconds: float, reading: Reading[Any] | None) -> None:
        """Note a reading; one without a value leaves a gap."""
        value = None if reading is None else reading.value
        self.seconds.append(seconds)
        self.values.append(math.nan if value is None else float(value))


def courses_of(device: Device, paths: Sequence[str]) -> list[Course]:
    """Return an empty course for each of these values.

    Raises:
        ConfigurationError: One of them is not a number, or none is named.
    """
    found: list[Course] = []
    for path in paths:
        value = device.find(path)[1] if path in device.value_paths() else None
        if value is None or value.kind not in (int, float):
            raise hal.ConfigurationError(f"{path} is not a number, and cannot be plotted", remedy="Leave it out")
        found.append(Course(path, value.unit, value.operational))
    units = {course.unit for course in found}
    if not found or len(units) > MOST_PANELS:
        raise hal.ConfigurationError(
            "which values are to be plotted is not clear",
            remedy=f"Name them, for example laser_power, in {MOST_PANELS} units of measure at most",
        )
    return found


class LivePlot:
    """A plot that grows while values come: in a window if there can be one, and in a file if one is named.

    Args:
        device: Whose values they are.
        paths: Which ones.
        output: The file, written when it ends; None for none.

    Raises:
        ConfigurationError: A value cannot be plotted, or the file is not a picture.
        TokaidoError: matplotlib is not installed; or no window can be opened here, and no file is named.
    """

    def __init__(self, device: Device, paths: Sequence[str], output: Path | None) -> None:
        self.courses = courses_of(device, paths)
        if output is None:
            require_matplotlib()
        else:
            check_output(output)
        import matplotlib.pyplot as plt  # noqa: PLC0415 - pictures alone need it

        self._output = output
        self._lines: list[Line2D] = []
        self._axes: list[Axes] = []
        with house_look():
            self.figure: Figure = plt.figure(layout="constrained")
            self.has_window = getattr(self.figure.canvas, "required_interactive_framework", None) is not None
            if not self.has_window and output is None:
                plt.close(self.figure)
                raise hal.TokaidoError(
                    "no window can be opened here",
                    remedy="Give --output FILE for a picture, or --sparklines for the terminal",
                )
            self._draw_panels(device.name)
            if self.has_window:
                plt.show(block=False)

    def _draw_panels(self, name: str) -> None:
        units = list(dict.fromkeys(course.unit for course in self.courses))
        panels = self.figure.subplots(len(units), 1, sharex=True, squeeze=False)[:, 0]
        by_unit: dict[str, Axes] = dict(zip(units, panels, strict=True))
        for index, course in enumerate(self.courses):
            colour = COLOURS[index % len(COLOURS)]
            axes = by_unit[course.unit]
            self._lines += axes.plot([], [], label=course.path, color=colour, marker=".")
            for limit in course.operational or ():
                axes.axhline(limit, color=colour, linestyle=":", linewidth=0.8)
        for unit, axes in by_unit.items():
            axes.set_ylabel(unit or "1")
            axes.legend(loc="upper left")
        panels[0].set_title(name, color=GREY)
        panels[-1].set_xlabel("s since the first reading; dotted: operational limits")
        self._axes = list(panels)

    @property
    def closed(self) -> bool:
        """Whether a person has closed the window."""
        import matplotlib.pyplot as plt  # noqa: PLC0415 - loaded already

        return self.has_window and not plt.fignum_exists(self.figure.number)

    def add(self, seconds: float, readings: Mapping[str, Reading[Any]]) -> None:
        """Draw what was read at a time; a value that is not there leaves a gap."""
        for course, line in zip(self.courses, self._lines, strict=True):
            course.add(seconds, readings.get(course.path))
            line.set_data(list(course.seconds), list(course.values))
        for axes in self._axes:
            axes.relim()
            axes.autoscale_view()
        if self.has_window:
            self.figure.canvas.draw_idle()

    def wait(self, seconds: float) -> None:
        """Let time pass, and the window live meanwhile: for a moment also where the device is slower than asked for."""
        if self.has_window:
            self.figure.canvas.start_event_loop(max(seconds, MOMENT_S))
        else:
            hal.SYSTEM_CLOCK.wait(seconds)

    def close(self) -> None:
        """Write the file if one is named, and close the window.

        Raises:
            TokaidoError: The file cannot be written.
        """
        import matplotlib.pyplot as plt  # noqa: PLC0415 - loaded already

        try:
            if self._output is not None:
                write_picture(self.figure, self._output)
        finally:
            plt.close(self.figure)
