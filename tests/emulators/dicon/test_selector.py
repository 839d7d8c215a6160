"""The DiCon selector model: frames that begin with LF, silence after commands, and what is not documented."""

from __future__ import annotations

import pytest

import tokaido.hal as hal
from tokaido.emulators.dicon import SelectorModel

MS = 1_000_000


def ask(model: SelectorModel, line: str) -> str:
    """Send one line and return what comes back, endings included."""
    model.receive("control", line.encode("ascii") + b"\r")
    return model.take("control").decode("ascii")


def test_replies_stand_between_lf_and_crlf_and_commands_are_silent() -> None:
    model = SelectorModel("DK001234")
    assert ask(model, "ID?") == "\nDiCon Fiberoptics Inc, MEMS 1x16, DK001234, 1.00\r\n"
    assert ask(model, "CF?") == "\n1,16\r\n"
    assert ask(model, "I1?") == "\n0\r\n"
    assert ask(model, "I1 7") == ""
    assert ask(model, "I1?") == "\n7\r\n"
    assert ask(model, "PK") == ""
    assert ask(model, "I1?") == "\n0\r\n"


def test_light_follows_the_channel_and_is_dark_while_the_mirror_moves_and_when_it_is_parked() -> None:
    model = SelectorModel(seed=2)
    assert model.light_path(1) is None
    ask(model, "I1 3")
    assert model.light_path(1) is None
    model.advance(10 * MS)
    path = model.light_path(1)
    assert path is not None
    assert path[0] == 3
    assert 0.8 <= path[1] <= 1.5
    assert model.light_path(2) is None
    ask(model, "I1 3")
    assert model.light_path(1) == path, "nothing moved"
    ask(model, "PK")
    assert model.light_path(1) is None


def test_channel_0_parks_unless_it_is_an_error() -> None:
    parking, refusing = SelectorModel(), SelectorModel(channel_0=False, error_reply="?")
    for model, reply, channel in ((parking, "", 0), (refusing, "\n?\r\n", 5)):
        ask(model, "I1 5")
        assert ask(model, "I1 0") == reply
        assert model.channel == channel


@pytest.mark.parametrize("line", ["I1 17", "I1 -1", "I1 1.5", "I1", "I2 1", "I1  1", "I1 1 ", "HELLO", "A" * 10_000])
def test_what_it_does_not_know_changes_nothing_and_is_answered_as_the_option_says(line: str) -> None:
    silent, telling = SelectorModel(), SelectorModel(error_reply="ERROR")
    assert ask(silent, line) == ""
    assert ask(telling, line) == "\nERROR\r\n"
    assert silent.channel == telling.channel == 0
    assert ask(silent, "I1?") == "\n0\r\n"


def test_a_line_may_come_in_pieces_and_end_with_crlf() -> None:
    model = SelectorModel(channels=4)
    for piece in (b"I1", b" 4\r\nC", b"F?\r"):
        model.receive("control", piece)
    assert model.take("control") == b"\n1,4\r\n"
    assert model.channel == 4


def test_a_stuck_mirror_takes_the_command_and_stays() -> None:
    model = SelectorModel()
    model.add_fault("stuck")
    ask(model, "I1 2")
    assert model.channel == 0
    with pytest.raises(hal.ConfigurationError):
        model.add_fault("cover_opened")


def test_a_selector_without_channels_is_refused() -> None:
    with pytest.raises(hal.ConfigurationError):
        SelectorModel(channels=0)


def test_time_does_not_go_back() -> None:
    model = SelectorModel()
    model.advance(5)
    with pytest.raises(ValueError, match="past"):
        model.advance(4)
