"""Twelve tasks of a laboratory: each a program of at most 25 lines that runs at once, and a page that shows it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tokaido_testing import bytecode

ROOT = Path(__file__).parents[2]
EXAMPLES, PAGES = ROOT / "examples", ROOT / "docs" / "how-to"
TASKS = {
    "sweep": "sweep",
    "log": "log",
    "live_view": "live-view",
    "in_a_notebook": "notebook",
    "with_asyncio": "asyncio",
    "switch_table": "switch-table",
    "keys": "keys",
    "station": "station",
    "own_tests": "test-on-equipment",
    "alarms": "alarms",
    "safe_shutdown": "safe-and-logged",
    "move_on_qber": "move-on-qber",
}
"""Script and page of each."""


def run(folder: Path, name: str, *arguments: str, fails: bool = False) -> str:
    """Run an example as a user does, in an empty folder, every warning an error; return what it prints."""
    done = subprocess.run(
        [sys.executable, "-W", "error", EXAMPLES / f"{name}.py", *arguments],
        cwd=folder,
        env=bytecode.environment(),
        capture_output=True,
        text=True,
        timeout=55,
        check=False,
    )
    assert (done.returncode != 0) is fails, done.stdout + done.stderr
    return done.stdout if not fails else done.stdout + done.stderr


def shown(name: str) -> str:
    """What the page says that the script prints: the block behind `$ python examples/NAME.py`."""
    page = (PAGES / f"{TASKS[name]}.md").read_text(encoding="utf-8")
    found = re.search(rf"^```console\n\$ python examples/{name}\.py\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert found is not None, f"{TASKS[name]}.md does not show what {name}.py prints"
    return found[1]


def pattern(text: str) -> re.Pattern[str]:
    """The text of a page as a pattern: `...` stands for the rest or a part of a line, alone in one for any lines."""
    lines = (
        r"(?:.*\n)*?" if line == "...\n" else ".*".join(map(re.escape, line.split("...")))
        for line in text.splitlines(keepends=True)
    )
    return re.compile("".join(lines))


# --- what each prints -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in TASKS if name not in ("own_tests", "safe_shutdown", "station")])
def test_a_script_prints_what_its_page_shows(name: str, tmp_path: Path) -> None:
    printed = run(tmp_path, name)
    assert pattern(shown(name)).fullmatch(printed), printed
    CHECKS.get(name, lambda _printed, _folder: None)(printed, tmp_path)


def check_sweep(printed: str, folder: Path) -> None:
    """Each dB of attenuation costs a dB, and the file has what was printed."""
    rows = [(float(line.split()[0]), float(line.split()[2])) for line in printed.splitlines()]
    assert [db for db, _ in rows] == list(range(0, 31, 5))
    assert [rows[0][1] - power for _, power in rows] == pytest.approx([db for db, _ in rows], abs=0.02)
    head, *lines = (folder / "sweep.csv").read_text("utf-8").splitlines()
    assert (head.split(",")[0], "power" in head, len(lines)) == ("attenuation", True, 7)


def check_log(printed: str, folder: Path) -> None:
    """The log has as many rows as were told: twelve polls of four values and one."""
    assert printed.splitlines()[-1] == "60 rows"
    assert len((folder / "lab.csv").read_text("utf-8").splitlines()) == 61


def check_live_view(printed: str, folder: Path) -> None:
    """The bar is shorter by the 6 dB of the bend while it lasts."""
    bars = [line.count("#") for line in printed.splitlines()]
    assert bars == [28] * 5 + [22] * 4 + [28] * 3


def check_notebook(printed: str, folder: Path) -> None:
    """The page to send has a table with a reading and its limits."""
    page = (folder / "alice.html").read_text("utf-8")
    assert "laser_temperature" in page
    assert "24.9" in page


def check_keys(printed: str, folder: Path) -> None:
    """The two ends have as many bits, and nothing that was printed is long enough to be key."""
    counts = re.findall(r"block \d+, (\d+) bits", printed)
    assert counts[:2] == counts[2:]
    assert all(int(count) > 100_000 for count in counts)
    assert not re.search(r"[0-9a-f]{16}|b'", printed)


def check_move(printed: str, folder: Path) -> None:
    """It stays while the QBER is low, and moves at the first one that is too high."""
    values = [float(line.split()[-1]) for line in printed.splitlines() if re.search(r"QBER 0", line)]
    assert all(value <= 0.03 for value in values[:-1])
    assert values[-1] > 0.03
    assert len(values) > 1


CHECKS = {
    "sweep": check_sweep,
    "log": check_log,
    "live_view": check_live_view,
    "in_a_notebook": check_notebook,
    "keys": check_keys,
    "move_on_qber": check_move,
}


def test_own_tests_pass(tmp_path: Path) -> None:
    printed = run(tmp_path, "own_tests")
    assert pattern(f"...\n{shown('own_tests')}...\n").fullmatch(printed), printed
    assert "2 passed" in printed


def test_whatever_ends_the_program_devices_are_left_safe(tmp_path: Path) -> None:
    printed = run(tmp_path, "safe_shutdown", fails=True)
    assert sorted(printed.splitlines()) == sorted(shown("safe_shutdown").splitlines())


def test_a_station_file_is_written_checked_and_its_mistakes_are_told(tmp_path: Path) -> None:
    assert run(tmp_path, "station") == shown("station")
    file = tmp_path / "my_lab.toml"
    text = file.read_text("utf-8")
    assert f'```toml title="my_lab.toml"\n{text}```' in (PAGES / "station.md").read_text("utf-8")
    file.write_text(text.replace("keysight.attenuator", "keysight.attenuater"), "utf-8")
    assert "Did you mean keysight.attenuator?" in run(tmp_path, "station", fails=True)


@pytest.mark.parametrize("name", [name for name in TASKS if name not in ("own_tests", "station")])
def test_a_station_file_of_ones_own_can_be_given(name: str) -> None:
    """Every one opens `sys.argv[1]`."""
    program = (EXAMPLES / f"{name}.py").read_text("utf-8")
    assert "hal.Station.from_file(sys.argv[1]) if sys.argv[1:] else" in program


def test_a_station_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    told = run(tmp_path, "live_view", "nowhere.toml", fails=True)
    assert "the station file" in told
    assert "nowhere.toml" in told


# --- form -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TASKS)
def test_a_script_is_short_and_its_page_shows_it_as_it_is(name: str) -> None:
    program = (EXAMPLES / f"{name}.py").read_text(encoding="utf-8")
    assert len(program.splitlines()) <= 25
    page = (PAGES / f"{TASKS[name]}.md").read_text(encoding="utf-8")
    assert f'```python title="examples/{name}.py"\n{program}```\n' in page


def test_the_twelve_are_one_list_in_the_index_and_in_the_site() -> None:
    index = (PAGES / "index.md").read_text(encoding="utf-8")
    listed = re.search(r"^## Twelve tasks$(.*?)^## ", index, re.MULTILINE | re.DOTALL)
    assert listed is not None
    assert re.findall(r"^\d+\. .*?\]\((.+?)\.md\)", listed[1], re.MULTILINE) == list(TASKS.values())
    site = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert [site.count(f"how-to/{page}.md") for page in TASKS.values()] == [1] * 12
