"""Line files: what they say, and how all their mistakes are told at once."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from tokaido.emulators.demonstrations import demonstration
from tokaido.emulators.optics import LinkParameters
from tokaido.emulators.planning import Demand, line_from_text, read_line
from tokaido.hal import ConfigurationError

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "reference" / "line-file.md"
EXAMPLE = ROOT / "examples" / "tokaido-line" / "line.toml"


def on_the_page() -> str:
    """Return the file that the page shows."""
    found = re.search(r"```toml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    return found[1]


def mistakes(text: str) -> tuple[str, ...]:
    with pytest.raises(ConfigurationError) as caught:
        line_from_text(text)
    return caught.value.mistakes


def test_the_file_on_the_page_says_what_the_page_says() -> None:
    line = line_from_text(on_the_page())
    assert (line.name, line.title) == ("short-line", "Tokyo to Shizuoka")
    tokyo, odawara = line.sites["tokyo"], line.sites["odawara"]
    assert (tokyo.title, tokyo.title_ja, tokyo.application) == ("Tokyo", "東京", "bank-tokyo")
    assert (tokyo.latitude, tokyo.longitude, tokyo.km_post) == (35.681, 139.767, 0.0)
    assert (odawara.title, odawara.latitude, odawara.availability) == ("odawara", None, 1.0)
    link = line.links["odawara-shizuoka"]
    assert (link.fibres, link.switches, link.availability) == (("west-A", "west-B"), ("matrix",), 1.0)
    assert line.loss_db("tokyo-odawara", "east") == pytest.approx(83.9 * 0.2 + 1)
    assert line.loss_db("odawara-shizuoka", "west-A") == pytest.approx(20.3 + 1)
    assert line.loss_db("odawara-shizuoka", "west-B") == pytest.approx(101 * 0.2 + 1)
    assert line.fibres["west-B"].availability == 0.999
    assert line.demands == (Demand(("tokyo", "shizuoka"), 2.5, 1),)


def test_the_page_lists_the_keys_that_files_may_have() -> None:
    page = PAGE.read_text(encoding="utf-8")
    tables = ["line", "sites.a", "fibres.a", "switches.a", "units.a", "links.a"]
    told = mistakes("".join(f"[{table}]\nnonsense = 1\n" for table in tables) + "[[demands]]\nnonsense = 1\n")
    for table in [*tables, "demands[0]"]:
        (mistake,) = (one for one in told if f"{table}.nonsense" in one)
        known = re.search(r"known are (.*)", mistake)
        heading = re.escape(table.replace(".a", ".NAME").replace("[0]", ""))
        section = re.search(rf"## {heading}\n(.*?)(?=\n## |\Z)", page, re.DOTALL)
        assert known is not None
        assert section is not None
        for key in known[1].split(", "):
            assert f"`{key}`" in section[1] or f".{key}]`" in section[1], (table, key)


def test_the_example_is_right_and_its_units_are_those_of_the_demonstrations() -> None:
    line = read_line(EXAMPLE)
    assert list(line.sites)[:8] == ["tokyo", "odawara", "shizuoka", "hamamatsu", "nagoya", "maibara", "osaka", "kobe"]
    for name, loss in (("short-haul", 7.0), ("long-haul", 20.0)):
        units = line.units[name]
        shown = demonstration(units.vendor).parameters(loss)
        assert isinstance(shown, LinkParameters)
        assert units.over(loss) == replace(shown, block_sifted_bits=1e6, detector_ratio=0.95)
        assert units.block_bits == 1_000_000


BAD = """
[line]
title = 3

[sites.a]
latitude = 91
[sites.b]
[sites."no name"]

[fibres]
f = { ends = ["a", "c"], length_km = -1, db_per_km = 0.2 }
g = { ends = ["a", "b"], length_km = 3, db_per_km = 0.2, loss_db = 3 }
h = { ends = ["a", "b"], length_km = 3, loss_db = 3 }

[switches]
s = { site = "q", driver = "no.thing" }

[units]
u = { preset = "t12", settings = "quick", vendor = "acme" }
v = { preset = "t12", set = { intensities = [1, 2, 3], nix = 3, channel_loss_db = 3 } }
w = { preset = "t12-even", settings = "short-block" }
x = { preset = "t13" }

[links]
l = { ends = ["a", "a"], units = "y", fibres = ["f", "g", "i"] }
m = { ends = ["a", "b"], units = "u", fibres = ["h"], switches = ["s", "t"] }
n = { ends = ["b", "a"], units = "u", fibres = ["h"] }

[[demands]]
ends = ["a"]

[[demands]]
ends = ["a", "b"]
rate = 0
routes = 3
"""


def test_every_mistake_is_told_with_its_line() -> None:
    told = mistakes(BAD)
    expected = [
        (2, "line.name"),
        (3, "line.title"),
        (5, "sites.a: must have both"),
        (6, "sites.a.latitude"),
        (8, "'no name' cannot be a name"),
        (11, "fibres.f.length_km"),
        (11, "there is no site 'c'; the file has a, b, no name"),
        (12, "fibres.g: must have its loss once"),
        (16, "there is no site 'q'"),
        (16, "there is no driver 'no.thing'"),
        (19, "units.u.settings"),
        (19, "acme.transmitter"),
        (20, "intensities"),
        (20, "'nix'"),
        (20, "channel_loss_db is not set here"),
        (21, "preset 't12-even' has settings published, not 'short-block'"),
        (22, "units.x.preset"),
        (25, "both are 'a'"),
        (25, "there is no kind of units 'y'"),
        (25, "there is no fibre 'i'"),
        (26, "there is no switch 't'"),
        (27, "h is a path of link m already"),
        (29, "demands[0]: rate is missing"),
        (30, "demands[0].ends"),
        (34, "demands[1].rate"),
        (35, "demands[1].routes"),
    ]
    for line, what in expected:
        assert any(one.startswith(f"line {line}, ") and what in one for one in told), (line, what, told)
    assert len(told) == len(expected), told


@pytest.mark.parametrize("text", ["", "sites = 3", "[[sites]]", "links.a = 1\n", "[demands]\n", "demands = [1]\n"])
def test_files_of_another_form_are_refused_and_never_crash(text: str) -> None:
    assert mistakes(text)


def test_a_fibre_and_a_switch_must_lie_at_the_links_ends() -> None:
    text = on_the_page().replace('fibres = ["east"]', 'fibres = ["west-A"]\nswitches = ["far"]')
    text = text.replace('fibres = ["west-A", "west-B"]', 'fibres = ["west-B"]')
    text += '\n[switches.far]\nsite = "shizuoka"\ndriver = "dicon.selector"\n'
    told = mistakes(text)
    assert [one.partition(": ")[2] for one in told] == [
        "west-A joins odawara and shizuoka, not tokyo and odawara",
        "far stands at shizuoka, not at an end",
    ]


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"absent\.toml cannot be read"):
        read_line(tmp_path / "absent.toml")
