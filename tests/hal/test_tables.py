"""Tables of TOML files: every mistake is told with its line or key, and a file that cannot be read says why."""

from pathlib import Path

import pytest

import tokaido.hal as hal
from tokaido.hal.tables import Check, Mistakes, number, of_kind, parsed, read, whole

TEXT = """\
speed = 4

[links.field]
loss_db = -1
"quoted" = 2
[links.field.paths]
A = 1
[[pairs]]
stock = 1
[[pairs]]
'odd key' = 1
[applications]
bank = { node = "tokyo" }
"""


@pytest.mark.parametrize(
    ("where", "told"),
    [
        (("speed",), "line 1, speed: wrong"),
        (("links", "field", "loss_db"), "line 4, links.field.loss_db: wrong"),
        (("links", "field", "quoted"), "line 5, links.field.quoted: wrong"),
        (("links", "field", "paths"), "line 6, links.field.paths: wrong"),
        (("links", "field", "absent"), "line 3, links.field.absent: wrong"),
        (("links.field.loss_db",), "line 4, links.field.loss_db: wrong"),
        (("pairs",), "line 8, pairs: wrong"),
        (("pairs[0]", "stock"), "line 9, pairs[0].stock: wrong"),
        (("pairs[1]", "stock"), "line 10, pairs[1].stock: wrong"),
        (("pairs[1]", "odd key"), "line 11, pairs[1].odd key: wrong"),
        (("applications", "bank", "node"), "line 13, applications.bank.node: wrong"),
        (("devices", "alice"), "devices.alice: wrong"),
    ],
)
def test_a_mistake_is_told_with_its_line(where: tuple[str, ...], told: str) -> None:
    mistakes = Mistakes(TEXT)
    mistakes.note(where, "wrong")
    assert mistakes == [told]


def test_a_table_is_checked_key_by_key_and_what_is_right_is_returned() -> None:
    mistakes = Mistakes()
    keys = {
        "loss_db": Check(number(0, 100), "a number of dB, 0 to 100"),
        "count": Check(whole(1), "a whole number from 1"),
        "name": Check(of_kind(str), "text"),
    }
    table = {"loss_db": 101, "count": True, "name": "west", "nmae": "east"}
    assert mistakes.checked("fibres.A", table, keys) == {"name": "west"}
    assert mistakes == [
        "fibres.A.loss_db: must be a number of dB, 0 to 100, not 101",
        "fibres.A.count: must be a whole number from 1, not True",
        "fibres.A.nmae: unknown key; known are loss_db, count, name",
    ]
    assert not number(0)(float("nan"))
    assert not number(0)(float("inf"))
    assert number(0)(0)


def test_a_table_or_text_that_is_something_else_counts_as_empty_and_is_noted() -> None:
    mistakes = Mistakes()
    assert mistakes.table((), {"links": 3}, "links") == {}
    assert mistakes.text(("station",), {"name": 7}, "name", "lab") == "lab"
    assert mistakes == ["links: must be a table, not 3", "station.name: must be text in quotes, not 7"]


def test_a_file_that_cannot_be_read_says_which_and_why(tmp_path: Path) -> None:
    with pytest.raises(hal.ConfigurationError, match=r"the link file .*none\.toml cannot be read: .*No such file"):
        read(tmp_path / "none.toml", "the link file")
    (tmp_path / "latin.toml").write_bytes(b'name = "\xe9"')
    with pytest.raises(hal.ConfigurationError, match=r"latin\.toml is not UTF-8: 'utf-8' codec"):
        read(tmp_path / "latin.toml", "the link file")
    with pytest.raises(hal.ConfigurationError, match="cannot be read: embedded null byte"):
        read(Path("a\0b"), "the link file")
    with pytest.raises(hal.ConfigurationError, match="lab is not TOML: Invalid value"):
        parsed("name = ", "lab")
    with pytest.raises(hal.ConfigurationError, match="lab is not TOML: Exceeds the limit"):
        parsed(f"serial = {'1' * 5000}", "lab")
