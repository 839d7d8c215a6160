"""`tokaido monitor --plot` and `--sparklines`: values over time, in a window, a file or the terminal."""

from __future__ import annotations

import json
import math
import os
import pty
import struct
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tokaido.console import main
from tokaido.console._monitor import sparkline
from tokaido_testing.extras import later, needs

from .conftest import Plug

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

Capture = pytest.CaptureFixture[str]
pytestmark = needs("matplotlib", "needs the extra `plot`")
plt = later("matplotlib.pyplot")


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """What is drawn, by a backend that has no windows."""
    plt().switch_backend("agg")
    drawn: list[Figure] = []
    make = plt().figure

    def figure(**options: object) -> Figure:
        drawn.append(make(**options))
        return drawn[-1]

    monkeypatch.setattr("matplotlib.pyplot.figure", figure)
    return drawn


def heights(line: Line2D) -> list[float]:
    found: Any = line.get_ydata()
    return [float(value) for value in found]


def test_values_are_drawn_by_unit_of_measure_with_limits(
    plug: Plug, figures: list[Figure], tmp_path: Path, capsys: Capture
) -> None:
    picture = tmp_path / "live.png"
    values = ["laser_power", "output_power", "laser_temperature"]
    words = ["monitor", f"toshiba.transmitter@serial:{plug('T12-TX').port}", *values]
    assert main([*words, "--plot", "-o", str(picture), "--count", "3", "--interval", "0.05"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 3
    (figure,) = figures
    power, temperature = figure.axes
    assert [axes.get_ylabel() for axes in (power, temperature)] == ["dBm", "degC"]
    laser, output = (line for line in power.get_lines() if line.get_label() in values)
    assert heights(laser) == [-0.52] * 3
    assert all(math.isnan(value) for value in heights(output))  # it has no data
    seconds: Any = laser.get_xdata()
    assert 0 <= seconds[0] < seconds[1] < seconds[2]
    assert -3 in [heights(line)[0] for line in power.get_lines() if line.get_label() not in values]
    with picture.open("rb") as file:
        assert struct.unpack(">II", file.read(24)[16:])[0] > 300
    assert plt().get_fignums() == []


def test_a_round_without_answer_leaves_a_gap(plug: Plug, figures: list[Figure], tmp_path: Path) -> None:
    peer = plug("T12-TX")
    peer.answers = iter([True, True, False])
    words = ["monitor", f"toshiba.transmitter@serial:{peer.port}", "laser_power", "--plot", "--count", "3"]
    assert main([*words, "-o", str(tmp_path / "live.svg"), "--interval", "0.05"]) == 0
    assert [math.isnan(value) for value in heights(figures[0].axes[0].get_lines()[0])] == [False, True, False]


def test_the_window_ends_the_command_when_it_is_closed(
    plug: Plug, figures: list[Figure], monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    waits: list[float] = []

    def pass_time(canvas: FigureCanvasAgg, timeout: float) -> None:
        waits.append(timeout)
        if len(waits) == 2:
            plt().close(canvas.figure)

    monkeypatch.setattr(FigureCanvasAgg, "required_interactive_framework", "toy")
    monkeypatch.setattr(FigureCanvasAgg, "start_event_loop", pass_time)
    monkeypatch.setattr("matplotlib.pyplot.show", lambda *, block: None)
    unit = f"toshiba.transmitter@serial:{plug('T12-TX').port}"
    assert main(["monitor", unit, "laser_power", "--plot", "--interval", "0.05"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(waits) == 2
    assert all(0 < wait <= 0.05 * 2 for wait in waits)  # where the device is slower, too, the window lives
    assert len(figures) == 1


@pytest.mark.usefixtures("figures")
@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["laser_power", "--plot"], 1, "no window can be opened here. Give --output FILE"),
        (["--plot", "-o", "x.png"], 2, "which values are to be plotted is not clear. Name them"),
        (["laser_power", "state", "--plot", "-o", "x.png"], 2, "state is not a number"),
        (["laser_power", "--plot", "-o", "x.gif"], 2, "names no kind of picture"),
        (["laser_power", "-o", "x.png"], 2, "no plot. Add --plot"),
        (["laser_power", "--sparklines"], 2, "sparklines are for a terminal"),
    ],
)
def test_what_cannot_be_drawn_is_refused(words: list[str], code: int, says: str, plug: Plug, capsys: Capture) -> None:
    assert main(["monitor", f"toshiba.transmitter@serial:{plug('T12-TX').port}", *words, "--count", "1"]) == code
    assert says in capsys.readouterr().err
    assert plt().get_fignums() == []


def test_json_goes_on_beside_a_plot(plug: Plug, figures: list[Figure], tmp_path: Path, capsys: Capture) -> None:
    unit, file = f"toshiba.transmitter@serial:{plug('T12-TX').port}", str(tmp_path / "live.svg")
    assert main(["monitor", unit, "laser_power", "--plot", "-o", file, "--count", "1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["values"]["laser_power"]["value"] == -0.52
    assert len(figures) == 1


# --- the terminal -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ([0, 1, 2, 3, 4, 5, 6, 7], "▁▂▃▄▅▆▇█"),
        ([7, math.nan, 0], "█ ▁"),
        ([3, 3], "▄▄"),
        ([math.nan], " "),
        ([], ""),
        ([-1e308, 1e308], "▁█"),
    ],
)
def test_a_sparkline_goes_from_the_least_to_the_greatest(values: list[float], shown: str) -> None:
    assert sparkline(values) == shown


def test_sparklines_stand_in_the_table(plug: Plug) -> None:
    peer = plug("T12-TX")
    ours, theirs = pty.openpty()
    code = "import sys; from tokaido.console import main; sys.exit(main())"
    words = ["monitor", f"toshiba.transmitter@serial:{peer.port}", "laser_power", "--sparklines", "--count", "3"]
    with subprocess.Popen(
        [sys.executable, "-c", code, *words, "--interval", "0.05"],
        stdout=theirs,
        env={**os.environ, "COLUMNS": "120", "LINES": "40", "TERM": "xterm"},
    ) as process:
        os.close(theirs)
        said = b""
        try:
            while piece := os.read(ours, 4096):
                said += piece
        except OSError:  # its end
            pass
        assert process.wait(timeout=30) == 0
    os.close(ours)
    assert "▄▄▄" in said.decode()
