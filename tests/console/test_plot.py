"""`tokaido plot`: what the figures hold, not their pixels; and files that are what their names say."""

from __future__ import annotations

import struct
import sys
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, cast
from xml.etree import ElementTree

import numpy as np
import pytest

from tokaido.console import main
from tokaido.console._plot import published, requests
from tokaido.console._plot_rates import Curve, curves, draw_qber, draw_rate_distance
from tokaido.console._plot_session import draw_session
from tokaido.console._plot_style import COLOURS
from tokaido.emulators import optics

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

Capture = pytest.CaptureFixture[str]


def legend(figure: Figure) -> list[str]:
    """Return every line of every legend."""
    legends = [*figure.legends, *(axes.get_legend() for axes in figure.axes)]
    return [text.get_text() for one in legends if one is not None for text in one.get_texts()]


def lines(axes: Axes) -> dict[str, tuple[list[float], list[float]]]:
    """Return the points of each line by its label."""
    return {str(line.get_label()): points(line) for line in axes.get_lines()}


def points(line: Line2D) -> tuple[list[float], list[float]]:
    """Return the points of a line."""
    x, y = np.asarray(line.get_data(), float).tolist()
    return x, y


def asked(*presets: str, attack: str | None = None, settings: str = "published") -> list[Curve]:
    wanted = requests(presets, method=None, settings=settings, attack=attack)
    return curves(wanted, 150.0)


# --- files ------------------------------------------------------------------------------------------------------------


def check_png(path: Path) -> None:
    """Walk through the chunks of a PNG and check each sum, and that something is in it."""
    data = path.read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    place, names = 8, []
    while place < len(data):
        length, name = struct.unpack(">I4s", data[place : place + 8])
        body = data[place + 4 : place + 8 + length]
        assert zlib.crc32(body) == struct.unpack(">I", data[place + 8 + length : place + 12 + length])[0]
        names.append(name)
        place += 12 + length
    assert (names[0], names[-1]) == (b"IHDR", b"IEND")
    assert b"IDAT" in names


@pytest.mark.parametrize(
    "arguments",
    [
        ("rate-distance", "--preset", "t12", "--preset", "gys", "--longest", "150"),
        ("qber", "--preset", "t12"),
        ("session", "--hours", "2"),
    ],
    ids=lambda arguments: arguments[0],
)
def test_pictures_are_written_and_the_same_each_time(
    arguments: tuple[str, ...], tmp_path: Path, capsys: Capture
) -> None:
    paths = [tmp_path / name for name in ("first.png", "first.svg", "second.png", "second.svg")]
    for path in paths if arguments[0] == "rate-distance" else paths[:3]:
        assert main(["plot", *arguments, "--output", str(path)]) == 0
        assert capsys.readouterr().out.startswith(f"{path}: ")
        again = tmp_path / f"first{path.suffix}"
        assert again.read_bytes() == path.read_bytes()
        assert path.stat().st_size < 200_000
    check_png(tmp_path / "first.png")
    svg = (tmp_path / "first.svg").read_text()
    assert ElementTree.fromstring(svg).tag == "{http://www.w3.org/2000/svg}svg"
    assert "<dc:date>" not in svg


def test_a_name_that_is_no_picture_is_refused(tmp_path: Path, capsys: Capture) -> None:
    assert main(["plot", "qber", "--output", str(tmp_path / "qber.doc")]) == 2
    assert "End it in .png or .svg" in capsys.readouterr().err


def test_a_file_that_cannot_be_written_is_told(tmp_path: Path, capsys: Capture) -> None:
    assert main(["plot", "qber", "--preset", "gys", "--output", str(tmp_path / "none" / "qber.png")]) == 1
    assert "could not be written: No such file or directory" in capsys.readouterr().err


def test_without_matplotlib_the_way_to_it_is_told(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert main(["plot", "qber", "--output", str(tmp_path / "qber.png")]) == 1
    assert "pip install 'tokaido[plot]'" in capsys.readouterr().err
    assert not (tmp_path / "qber.png").exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("rate-distance", "--preset", "t13"), "'t12', 't12-even'"),
        (("rate-distance", "--preset", "t12:luck"), "choose 'lim', 'lucamarini'"),
        (("rate-distance", "--longest", "0"), "Give a length in km"),
        (("qber", "--preset", "t12", "--set", "duty=3"), "duty = 3.0 is not possible"),
        (("qber", "--preset", "t12", "--attack", "blackmail"), "There are intercept-resend"),
        (("session", "--preset", "dps-2007"), "decoy-state BB84. Choose t12"),
        (("session", "--drift", "stormy"), "choose 'buried', 'aerial', 'calm'"),
        (("session", "--pulses", "5"), "pulses_per_block = 5.0"),
        (("session", "--hours", "0"), "is not possible"),
    ],
)
def test_what_is_asked_wrongly_is_told(arguments: tuple[str, ...], says: str, tmp_path: Path, capsys: Capture) -> None:
    assert main(["plot", *arguments, "--output", str(tmp_path / "picture.png")]) == 2
    assert says in capsys.readouterr().err


# --- rate-distance ----------------------------------------------------------------------------------------------------


def test_a_curve_ends_where_the_key_ends() -> None:
    (curve,) = asked("t12")
    assert curve.reach_km is not None
    link = optics.preset("t12", distance_km=curve.reach_km)
    assert optics.link_rate(link).secret_bps > 0
    assert optics.link_rate(optics.preset("t12", distance_km=curve.reach_km + 0.02)).secret_bps == 0
    assert list(curve.km) == sorted(curve.km)


def test_the_rate_picture_has_each_curve_with_what_it_holds_for() -> None:
    drawn = asked("t12", "t12:lim", "gys")
    figure = draw_rate_distance(drawn, [], "rates")
    (axes,) = figure.axes
    assert axes.get_yscale() == "log"
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("length of the fibre (km)", "secret rate (bit/s)")
    assert legend(figure) == [
        "t12 (published): lucamarini, gaussian bound, n = 1.2e12 pulses, eps 1e-10",
        "t12 (published): lim, chernoff bound, n = 1.2e12 pulses, eps 1e-10",
        "gys (published): asymptotic, n without end",
    ]
    km, bps = lines(axes)[legend(figure)[0]]
    assert bps[0] == pytest.approx(optics.link_rate(optics.preset("t12", distance_km=0)).secret_bps)
    assert km[-1] == drawn[0].reach_km
    first, second, third = axes.get_lines()
    assert first.get_color() == second.get_color() != third.get_color()
    assert len({line.get_linestyle() for line in (first, second, third)}) == 3


def test_published_points_stand_only_beside_their_own_presets() -> None:
    found = published({"t12"})
    assert {point.preset for point in found} == {"t12"}
    figure = draw_rate_distance(asked("t12"), found, "rates")
    measured, moved = (text for text in legend(figure) if "published:" in text)
    assert "Lucamarini 2013" in measured
    km, bps = lines(figure.axes[0])[measured]
    assert bps[km.index(50.0)] == 1.09e6
    assert not published({"nec-sspd"})
    assert "Sasaki 2011" in moved


def test_a_point_stands_where_the_fibre_of_its_curve_has_its_loss() -> None:
    field = next(point for point in published({"t12"}) if "Sasaki" in point.source)
    assert field.km == pytest.approx(14.5 / 0.2)  # 45 km of field fibre
    assert field.moved
    assert not any(point.moved for point in published({"boaron-2018"}))


def test_a_link_without_key_is_named_and_not_drawn() -> None:
    figure = draw_rate_distance(asked("t12", attack="intercept-resend=0.5"), [], "rates")
    (label,) = legend(figure)
    assert label.endswith("intercept-resend=0.5, no key at any length")
    assert lines(figure.axes[0])[label] == ([], [])


def test_colours_are_those_that_everybody_can_tell_apart() -> None:
    from matplotlib.colors import to_hex

    figure = draw_rate_distance(asked("t12", "gys", "dps-2007"), [], "rates")
    drawn = [to_hex(line.get_color()).upper() for line in figure.axes[0].get_lines()]
    assert drawn == list(COLOURS[:3])


# --- qber -------------------------------------------------------------------------------------------------------------


def test_the_qber_picture_has_both_bases_and_where_the_key_ends() -> None:
    (curve,) = drawn = asked("t12")
    figure = draw_qber(drawn, "errors")
    (axes,) = figure.axes
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("length of the fibre (km)", "QBER (%)")
    (label,) = legend(figure)
    assert label.endswith(f"Z solid, X dashed, key to {curve.reach_km:.0f} km")
    z, x = axes.get_lines()
    assert (z.get_linestyle(), x.get_linestyle()) == ("-", "--")
    rate = optics.link_rate(optics.preset("t12", distance_km=0))
    assert [points(line)[1][0] for line in (z, x)] == pytest.approx([100 * rate.qber_z, 100 * rate.qber_x])
    (mark,) = cast("list[int]", z.get_markevery())
    assert points(z)[0][mark] == curve.reach_km


def test_protocols_with_one_error_rate_have_one_line() -> None:
    figure = draw_qber(asked("dps-2007"), "errors")
    assert len(figure.axes[0].get_lines()) == 1
    assert "one error rate, key beyond 150 km" in legend(figure)[0]


# --- session ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def day() -> optics.DayOfLink:
    params = optics.preset("t12", settings="short-block", channel_loss_db=14.5)
    return optics.simulate_day(params, drift="aerial", seconds=4 * 3600, seed=3, pulses_per_block=6e10)


def test_the_session_picture_has_errors_rates_and_alarms(day: optics.DayOfLink) -> None:
    figure = draw_session(day, "a day")
    errors, rates, alarms = figure.axes
    assert [axes.get_ylabel() for axes in (errors, rates)] == ["QBER (%)", "rate (kb/s)"]
    assert alarms.get_xlabel() == "time of day (h)"
    assert alarms.get_xlim() == (0, 4)
    told = legend(figure)
    for words in ("key basis (Z)", "check basis (X)", "sifted", "RUN", "DEGRADED", "REALIGN"):
        assert words in told
    assert "secret: lim2014, chernoff bound, n = 6e10 pulses in 60 s, eps 1e-10" in told
    assert day.alarms
    rows = [label.get_text() for label in alarms.get_yticklabels()]
    assert rows == ["state", *dict.fromkeys(alarm.code for alarm in day.alarms)]


def test_the_session_picture_shows_what_the_day_was(day: optics.DayOfLink) -> None:
    from matplotlib.patches import StepPatch

    errors, rates, alarms = draw_session(day, "a day").axes
    shown = lines(errors)["key basis (Z)"][1]
    width = day.time_s.size // 480
    assert shown[0] == pytest.approx(100 * float(day.qber_z[:width].mean()))
    (secret,) = rates.patches
    assert isinstance(secret, StepPatch)
    values, edges, _ = secret.get_data()
    bits = sum(1e3 * value * 3600 * (end - begin) for value, begin, end in zip(values, edges, edges[1:], strict=False))
    assert bits == pytest.approx(day.secret_bits)
    spans = [path for collection in alarms.collections[3:] for path in collection.get_paths()]
    assert len(spans) == len(day.alarms)


def test_a_day_without_alarms_says_so() -> None:
    params = optics.preset("nec-sspd", settings="short-block", channel_loss_db=10)
    calm = optics.simulate_day(params, drift="calm", seconds=600, pulses_per_block=1e10)
    assert not calm.alarms
    alarms = draw_session(calm, "a calm day").axes[2]
    assert [label.get_text() for label in alarms.get_yticklabels()] == ["state", "alarms"]
    assert [text.get_text() for text in alarms.texts] == ["none"]


def test_the_session_command_says_what_the_day_gave(tmp_path: Path, capsys: Capture) -> None:
    assert main(["plot", "session", "--distance", "60", "--hours", "1", "-o", str(tmp_path / "day.png")]) == 0
    assert "secret bits in" in capsys.readouterr().out
