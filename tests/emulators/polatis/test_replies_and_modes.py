"""What real matrix switches do in more than one way: a line a query, a mode behind ADD and SUB; and codes of errors."""

from __future__ import annotations

from typing import Literal

import pytest

import tokaido.hal as hal
from tokaido.emulators import launch
from tokaido.emulators.polatis import MatrixSwitchModel
from tokaido.hal.driver import StreamTransport
from tokaido_testing.patience import patient

Replies = Literal["joined", "lines"]


def ask(model: MatrixSwitchModel, line: str) -> list[str]:
    model.receive("control", f"{line}\n".encode())
    model.advance(model.now_ns + 50_000_000)
    return model.take("control").decode().splitlines()


def test_replies_come_joined_or_a_line_each() -> None:
    question = ":OXC:SWIT:SIZE?;*OPC?;:SYST:ERR?"
    assert ask(MatrixSwitchModel(), question) == ['16,16;1;0, "No error"']
    assert ask(MatrixSwitchModel(replies="lines"), question) == ["16,16", "1", '0, "No error"']
    with pytest.raises(hal.ConfigurationError):
        MatrixSwitchModel(replies="words")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("replies", ["joined", "lines"])
@pytest.mark.parametrize("wire_end", ["tcp", "emu", "pty"])
def test_the_driver_takes_either(wire_end: str, replies: Replies) -> None:
    terminator = "\r" if wire_end != "tcp" else None
    with (
        launch("polatis.matrix", wire_end=wire_end, replies=replies, inputs=4, outputs=4, terminator=terminator) as box,
        hal.OpticalSwitch.open("polatis.matrix", timeout=patient(1.0), **box.resources) as switch,
    ):
        for _ in range(2):
            switch.replace({1: 2, 2: 1})
            switch.connect(3, 4)
            switch.disconnect(1)
            assert switch.connections() == {2: 1, 3: 4}
        assert isinstance(switch.transport, StreamTransport)
        with pytest.raises(hal.RefusedError, match="-222"):
            switch.transport.command(":OXC:SWIT:CONN:ADD (@99),(@5)")
        assert switch.transport.query(":OXC:SWIT:SIZE?;*OPC?;*OPC?") == "4,4;1;1"
        assert switch.transport.query(":OXC:SWIT:SIZE?") == "4,4"
        assert switch.connections() == {2: 1, 3: 4}


def test_a_mode_behind_the_lists_is_taken() -> None:
    model = MatrixSwitchModel(inputs=4, outputs=4)
    assert ask(model, ":OXC:SWIT:CONN:ADD (@1),(@5),BIDI;:SYST:ERR?") == ['0, "No error"']
    assert ask(model, ":OXC:SWIT:CONN:STAT?") == ["(@1),(@5)"]
    assert ask(model, ":OXC:SWIT:CONN:SUB (@1),(@5),BIDI;:SYST:ERR?") == ['0, "No error"']
    assert ask(model, ":OXC:SWIT:CONN:STAT?") == ["(@),(@)"]
    assert ask(model, ":OXC:SWIT:CONN:ADD (@1),(@5),A,B;:SYST:ERR?")[0].startswith("-108")


def test_errors_can_be_read_by_their_codes_alone() -> None:
    model = MatrixSwitchModel(inputs=4, outputs=4)
    for wrong in (":NONE", ":OXC:SWIT:CONN:ADD (@9),(@5)", ":OXC:SWIT:CONN:ADD (@1)"):
        ask(model, wrong)
    assert ask(model, ":SYST:ERR:COUN?") == ["3"]
    assert ask(model, ":SYST:ERR:CODE?") == ["-113"]
    assert ask(model, ":SYSTem:ERRor:CODE:NEXT?") == ["-222"]
    assert ask(model, ":SYST:ERR:COUN?") == ["1"]
    ask(model, ":NONE")
    assert ask(model, ":SYST:ERR:CODE:ALL?") == ["-109,-113"]
    assert ask(model, ":SYST:ERR:CODE:ALL?;:SYST:ERR:CODE?;:SYST:ERR:COUN?") == ["0;0;0"]
    ask(model, ":NONE;:NONE")
    assert ask(model, ":SYST:ERR:ALL?") == ['-113, "Undefined header;:NONE",-113, "Undefined header;:NONE"']
