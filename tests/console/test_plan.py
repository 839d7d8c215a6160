"""`tokaido plan`: what people and programs are told of a line before it is built."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tokaido.console import main
from tokaido.emulators.planning import plan_line, read_line, sweep_drift
from tokaido_testing.patience import patient

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "tokaido-line" / "line.toml"


def run(capsys: pytest.CaptureFixture[str], *arguments: str | Path, code: int = 0) -> tuple[str, str]:
    assert main(["plan", *map(str, arguments)]) == code
    return capsys.readouterr()


def changed(folder: Path, *changes: tuple[str, str]) -> Path:
    """Write the example with some text replaced."""
    text = EXAMPLE.read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path = folder / "line.toml"
    path.write_text(text, encoding="utf-8")
    return path


def told(capsys: pytest.CaptureFixture[str], *arguments: str | Path, code: int = 0) -> Any:
    out, err = run(capsys, *arguments, "--json", code=code)
    return json.loads(out or err)


def test_the_example_is_fine_and_its_rows_have_the_plans_figures(capsys: pytest.CaptureFixture[str]) -> None:
    plan = plan_line(read_line(EXAMPLE))
    rows = [line.split("\t") for line in run(capsys, EXAMPLE)[0].splitlines()]
    named = {row[0].strip(): row for row in rows if len(row) > 1}
    link = plan.links["hamamatsu-nagoya"]
    assert named["hamamatsu-nagoya"][1:5] == ["long-haul", "108.9", "22.8", f"{link.secret_bps / 1000:.0f}"]
    assert named["or nagoya-maibara-B"][2:4] == ["87", "20.4"]
    assert named["mid-haul"] == ["mid-haul", "t12", "3,000,000 bits", "lim", "chernoff", "1e-10", "within 5%"]
    assert named["tokyo to kobe"][1] == "links " + ", ".join(
        ["tokyo-odawara", "odawara-shizuoka", "shizuoka-hamamatsu", "hamamatsu-nagoya", "osaka-kobe"]
    ) + "; sites " + ", ".join(["odawara", "shizuoka", "hamamatsu", "nagoya", "osaka"])
    assert ["koganei to tokyo, two routes", "20", "20"] in [row[:3] for row in rows]
    assert not any("lacking" in row[0] for row in rows)


def test_the_failures_are_shown_when_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert "link maibara-osaka\t" not in run(capsys, EXAMPLE)[0]
    out, _ = run(capsys, EXAMPLE, "--failures")
    assert re.search(
        r"^link maibara-osaka\ttokyo to kobe\t10\ttokyo > .* > nagoya > kameyama > nara > osaka", out, re.MULTILINE
    )


def test_programs_are_told_all_of_it_in_the_members_of_the_page(capsys: pytest.CaptureFixture[str]) -> None:
    record = told(capsys, EXAMPLE, "--drift-days", "1")
    page = (ROOT / "docs" / "reference" / "cli.md").read_text(encoding="utf-8")
    section = page.partition("## plan\n")[2].partition("\n## ")[0]

    def names(value: Any) -> set[str]:
        if isinstance(value, dict):
            return set(value).union(*map(names, value.values()))
        return set().union(*map(names, value)) if isinstance(value, list) else set()

    assert {name for name in names(record) if f"`{name}`" not in section} == set()
    maibara = next(link for link in record["links"] if link["name"] == "nagoya-maibara")
    assert [path["fibre"] for path in maibara["paths"]] == ["nagoya-maibara-A", "nagoya-maibara-B"]
    assert record["demands"][0]["granted"]["by"][0][0] == "tokyo"
    assert record["lacking"] == []
    assert [link["name"] for link in record["drift"]["links"]] == [link["name"] for link in record["links"]]
    assert record["drift"]["demands"][0]["keys_per_s"]["mean"] > 10


@pytest.mark.thorough
def test_days_of_drift_are_shown_and_a_seed_repeats_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    drift = sweep_drift(plan_line(read_line(EXAMPLE)), 1, seed=7)
    out, _ = run(capsys, EXAMPLE, "--drift-days", "1", "--seed", "7")
    link, demand = drift.links[0], drift.demands[0]
    rows = [line.split("\t") for line in out.partition("1 day of drift, seed 7")[2].splitlines()]
    named = {row[0]: row for row in rows}
    assert named[link.name][1] == f"{link.secret_bps.mean / 1000:.0f}"
    assert named[link.name][5] == f"{link.secret_bps.without_key:.2%}"
    assert named["tokyo to kobe"][-1] == f"{demand.stock_s:.3g} s"
    line = changed(tmp_path, ("length_km = 33.1,", "length_km = 33.1, dead = true,"))
    out, _ = run(capsys, line, "--drift-days", "1", code=3)
    assert re.search(r"^osaka-kobe\t0\t0\t0\t0\t100\.00%\t24 h\tnone\t0 a day$", out, re.MULTILINE)
    assert re.search(r"^tokyo to kobe\t.*\tnone lasts$", out, re.MULTILINE)
    assert "0 is not in the range" in run(capsys, EXAMPLE, "--drift-days", "0", code=2)[1]


def test_without_dask_or_a_scheduler_the_way_to_it_is_told(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, err = run(capsys, EXAMPLE, "--drift-days", "1", "--scheduler", "localhost", code=2)
    assert "Give tcp://HOST:PORT or tls://HOST:PORT" in err
    monkeypatch.setitem(sys.modules, "distributed", None)
    _, err = run(capsys, EXAMPLE, "--drift-days", "1", "--scheduler", "tcp://127.0.0.1:1", code=1)
    assert "pip install 'tokaido[cluster]'" in err


def test_dask_is_not_imported_before_a_scheduler_is_named() -> None:
    code = (
        "import sys, tokaido.hal; from tokaido.console import main; main(['--help']); "
        f"main(['plan', {str(EXAMPLE)!r}, '--drift-days', '1']); "
        "print({name.partition('.')[0] for name in sys.modules} & {'dask', 'distributed', 'tornado'})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True, timeout=patient(50))
    assert done.stdout.splitlines()[-1] == "set()"


def test_a_line_that_lacks_says_what_and_ends_with_3(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = changed(tmp_path, ("length_km = 76.9", "length_km = 150"), ("rate = 20.0", "rate = 5000.0"))
    out, _ = run(capsys, line, code=3)
    assert re.search(
        r"^link shizuoka-hamamatsu: no key, mid-haul units reach 17\.\d dB; mid-haul units need 1 repeater, at km 75",
        out,
        re.MULTILINE,
    )
    assert "lacking: tokyo to kobe: no route from tokyo to kobe has keys left" in out
    assert re.search(r"lacking: koganei to tokyo: \d+\.?\d* keys/s of 5000", out)
    record = told(capsys, line, code=3)
    (broken,) = (link for link in record["links"] if not link["works"])
    assert (broken["name"], broken["repeaters"]["repeaters"]) == ("shizuoka-hamamatsu", 1)
    assert len(record["lacking"]) == 4


def test_availability_is_shown_where_the_file_says_some(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "available" not in run(capsys, EXAMPLE)[0]
    line = changed(tmp_path, ('title = "Nagoya"', 'title = "Nagoya"\navailability = 0.9999'))
    out, _ = run(capsys, line)
    assert re.search(r"^tokyo to kobe\tlinks .*\t0\.9999$", out, re.MULTILINE)


def test_repeaters_of_a_bare_distance(capsys: pytest.CaptureFixture[str]) -> None:
    out, _ = run(capsys, EXAMPLE, "--distance", "589.5", "--units", "cooled")
    assert re.match(r"589\.5 km of 0\.2 dB/km: cooled units need \d repeaters, at km ", out)
    found = told(capsys, EXAMPLE, "--distance", "589.5", "--units", "cooled")
    assert found["repeaters"] == len(found["positions_km"]) > 3
    out, _ = run(capsys, EXAMPLE, "--distance", "10", "--units", "cooled", "--extra-db", "50", code=3)
    assert "no repeaters would help" in out
    _, err = run(capsys, EXAMPLE, "--distance", "10", code=2)
    assert "Give --units with one of short-haul, mid-haul, long-haul, cooled" in err


def test_mistakes_in_the_file_end_with_2_and_are_all_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = changed(tmp_path, ('"polatis.matrix"', '"polatis.tin"'), ("km_post = 0.0", "km_post = true"))
    _, err = run(capsys, line, code=2)
    assert err.count("polatis.tin") == 2
    assert "sites.tokyo.km_post" in err


@pytest.mark.parametrize("kind", ["png", "svg"])
def test_a_picture_is_drawn_the_same_each_time(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    files = [tmp_path / f"{number}.{kind}" for number in range(2)]
    for file in files:
        run(capsys, EXAMPLE, "--plot", file)
    assert files[0].read_bytes() == files[1].read_bytes()
    assert files[0].stat().st_size > 10_000


@pytest.mark.thorough
def test_a_line_without_coordinates_is_drawn_without_a_map(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    text = re.sub(r"(?m)^(latitude|longitude) = .*\n", "", EXAMPLE.read_text(encoding="utf-8"))
    line = tmp_path / "line.toml"
    line.write_text(text, encoding="utf-8")
    run(capsys, line, "--plot", tmp_path / "line.svg")
    drawn = (tmp_path / "line.svg").read_text(encoding="utf-8")
    assert "<!-- hamamatsu-nagoya -->" in drawn
    assert "longitude" not in drawn
    assert "90 % of the time" not in drawn
    run(capsys, line, "--plot", tmp_path / "drift.svg", "--drift-days", "1")
    assert "90 % of the time" in (tmp_path / "drift.svg").read_text(encoding="utf-8")
    assert main(["plan", str(line), "--plot", "line.gif"]) == 2
