"""The OSW-E model: what drivers in the field rely on, and what its manual leaves open."""

from __future__ import annotations

from typing import Literal

import pytest

import tokaido.hal as hal
from tokaido.emulators.thorlabs import OswSwitchModel

MS = 1_000_000


def ask(model: OswSwitchModel, line: str) -> str:
    """Send one line and return what comes back, endings included."""
    model.receive("control", line.encode("ascii") + b"\n")
    return model.take("control").decode("ascii")


def test_it_tells_its_state_type_and_name_and_sets_in_silence() -> None:
    model = OswSwitchModel(stale="never")
    assert ask(model, "S?") == "1\r\n"
    assert ask(model, "S 2") == ""
    assert ask(model, "S?") == "2\r\n"
    assert ask(model, "T?") == "1\r\n"
    assert ask(model, "I?") == "OSW12-1550E V1.2\r\n"


@pytest.mark.parametrize(
    ("stale", "at_once", "expected"),
    [("first", ["1", "2"], "2"), ("time", ["1", "1"], "2"), ("never", ["2", "2"], "2")],
)
def test_the_first_reply_after_a_change_may_be_stale(
    stale: Literal["first", "time", "never"], at_once: list[str], expected: str
) -> None:
    model = OswSwitchModel(stale=stale)
    ask(model, "S 2")
    assert [ask(model, "S?").strip() for _ in at_once] == at_once
    model.advance(100 * MS)
    assert ask(model, "S?").strip() == expected


def test_nothing_is_stale_after_100_ms() -> None:
    model = OswSwitchModel(stale="first")
    ask(model, "S 2")
    model.advance(100 * MS)
    assert ask(model, "S?") == "2\r\n"


def test_light_follows_the_state_and_is_dark_while_the_mirrors_move() -> None:
    model = OswSwitchModel(seed=3, model="OSW22-1310E")
    first, second = model.light_path(1), model.light_path(2)
    assert first is not None
    assert second is not None
    assert (first[0], second[0]) == (1, 2)
    assert 0.8 <= first[1] <= 1.5
    ask(model, "S 2")
    assert model.light_path(1) is None
    model.advance(1 * MS)
    crossed = model.light_path(1), model.light_path(2)
    assert [path and path[0] for path in crossed] == [2, 1]
    assert model.light_path(3) is None


def test_the_loss_depends_on_the_seed_and_on_nothing_else() -> None:
    assert OswSwitchModel(seed=1).light_path(1) == OswSwitchModel(seed=1).light_path(1)
    assert OswSwitchModel(seed=1).light_path(1) != OswSwitchModel(seed=2).light_path(1)


@pytest.mark.parametrize("line", ["S 3", "S  1", "s?", "S", "X", "S 1 2", "?" * 10_000])
def test_what_it_does_not_know_changes_nothing_and_is_answered_as_the_option_says(line: str) -> None:
    silent, telling = OswSwitchModel(error_reply=""), OswSwitchModel(error_reply="Command error CMD_NOT_DEFINED")
    assert ask(silent, line) == ""
    assert ask(OswSwitchModel(), line) == "Error 01,Unknown command\r\n"
    assert ask(telling, line) == "Command error CMD_NOT_DEFINED\r\n"
    assert silent.state == telling.state == 1
    assert ask(silent, "S?") == "1\r\n"


def test_a_line_may_come_in_pieces_and_several_at_once() -> None:
    model = OswSwitchModel(stale="never")
    for piece in (b"S", b" 2\r\nS?", b"\n\n", b"I"):
        model.receive("control", piece)
    assert model.take("control") == b"2\r\n"


def test_a_stuck_mirror_takes_the_command_and_stays() -> None:
    model = OswSwitchModel()
    model.add_fault("stuck")
    ask(model, "S 2")
    assert model.state == 1
    with pytest.raises(hal.ConfigurationError):
        model.add_fault("cover_opened")


@pytest.mark.parametrize("options", [{"model": "OSW44-1550E"}, {"state": 3}, {"stale": "always"}])
def test_an_option_that_does_not_fit_is_refused(options: dict[str, object]) -> None:
    with pytest.raises(hal.ConfigurationError):
        OswSwitchModel(**options)  # type: ignore[arg-type]


def test_time_does_not_go_back() -> None:
    model = OswSwitchModel()
    model.advance(5)
    with pytest.raises(ValueError, match="past"):
        model.advance(4)
