"""The matrix switch model: its commands, its own error codes, its light, and what its manual leaves open."""

from __future__ import annotations

import random
from typing import Any

import pytest

import tokaido.hal as hal
from tokaido.emulators.polatis import MatrixSwitchModel

MS = 1_000_000
OK = '0, "No error"'


def box(**options: Any) -> MatrixSwitchModel:
    """A switch of 24 by 24."""
    return MatrixSwitchModel(**{"inputs": 24, "outputs": 24, **options})


def ask(model: MatrixSwitchModel, line: str) -> str:
    """Send one message and return the reply without its end, after the switch has settled."""
    model.receive("control", line.encode("ascii") + b"\r\n")
    model.advance(model.now_ns + 25 * MS)
    reply = model.take("control").decode("ascii")
    assert reply == "" or (reply.endswith("\r\n") and reply.count("\n") == 1)
    return reply.removesuffix("\r\n")


def do(model: MatrixSwitchModel, line: str) -> str:
    """Send one command as a driver does, and return what the error queue says."""
    done, _, error = ask(model, f"{line};*OPC?;:SYST:ERR?").partition(";")
    assert done == "1"
    return error


def test_it_answers_as_the_vendors_examples_do() -> None:
    model = box(product="I-OST-24x24-LU1-DMHNS")
    assert ask(model, "*IDN?") == "Polatis,I-OST-24x24-LU1-DMHNS,002414,6.5.2.18"
    assert ask(model, ":OXC:SWITch:SIZE?") == "24,24"
    assert ask(model, ":OXC:SWIT:CONN:STAT?") == "(@),(@)"
    assert do(model, ":OXC:SWIT:CONN:ADD (@1,2,3),(@43,42,46)") == OK
    assert ask(model, ":OXC:SWIT:CONN:STAT?") == "(@1,2,3),(@43,42,46)"
    assert ask(model, ":OXC:SWIT:CONN:PORT? 2;PORT? 42;PORT? 4") == '"42";"2";""'
    assert ask(model, ":oxc:swit:conn:only (@1),(@27); stat?") == "(@1),(@27)"
    assert ask(model, ":OXC:BOOT:MODE?") == "AUT"
    assert ask(model, ":SYST:ERR?") == OK
    assert ask(model, ":SYST:ERR:ALL?") == OK


def test_sub_takes_pairs_or_inputs_and_leaves_the_rest() -> None:
    model = box()
    do(model, ":OXC:SWIT:CONN:ONLY (@1,2,3,4),(@31,32,33,34)")
    assert do(model, ":OXC:SWIT:CONN:SUB (@1),(@31)") == OK
    assert do(model, ":OXC:SWIT:CONN:SUB (@2,3),(@)") == OK
    assert do(model, ":OXC:SWIT:CONN:SUB (@4),(@35)") == OK, "not joined: nothing changes"
    assert ask(model, ":OXC:SWIT:CONN:STAT?") == "(@4),(@34)"
    assert do(model, ":OXC:SWIT:DISC:ALL") == OK
    assert ask(model, ":OXC:SWIT:CONN:STAT?") == "(@),(@)"


@pytest.mark.parametrize(
    ("line", "error"),
    [
        (":OXC:SWIT:CONN:ADD (@1),(@49)", '-222, "Data out of range;channel 49"'),
        (":OXC:SWIT:CONN:ADD (@25),(@26)", '-222, "Data out of range;channel 25"'),
        (":OXC:SWIT:CONN:ADD (@1),(@2)", '-222, "Data out of range;channel 2"'),
        (":OXC:SWIT:CONN:ADD (@1),(@31)", '-221, "Settings conflict;port 31 is connected"'),
        (":OXC:SWIT:CONN:ADD (@5),(@32)", '-221, "Settings conflict;port 5 is connected"'),
        (":OXC:SWIT:CONN:ADD (@1,1),(@32,33)", '-221, "Settings conflict;a port stands twice"'),
        (":OXC:SWIT:CONN:ADD (@1,2),(@32)", '-224, "Illegal parameter value;lists of different length"'),
        (":OXC:SWIT:CONN:ADD (@1)", '-109, "Missing parameter;:OXC:SWIT:CONN:ADD"'),
        (":OXC:SWIT:CONN:ADD 1,32", '-104, "Data type error;1"'),
        (":OXC:SWIT:CONN:ADDD (@1),(@32)", '-113, "Undefined header;:OXC:SWIT:CONN:ADDD"'),
        (":OXC:BOOT:MODE BRIGHT", '-224, "Illegal parameter value;BRIGHT"'),
        (":OXC:SWIT:CONN:PORT? 49", '-222, "Data out of range;49"'),
        (":PMON:POW? (@1)", '-222, "Data out of range;inputs have no monitors"'),
    ],
)
def test_what_it_refuses_has_the_devices_own_code_and_changes_nothing(line: str, error: str) -> None:
    model = box()
    do(model, ":OXC:SWIT:CONN:ADD (@5),(@31)")
    assert do(model, line) == error
    assert ask(model, ":OXC:SWIT:CONN:STAT?") == "(@5),(@31)"


def test_a_taken_port_is_stolen_where_the_option_says_so() -> None:
    model = box(on_conflict="steal", unconnected="0")
    do(model, ":OXC:SWIT:CONN:ADD (@5,6),(@31,32)")
    assert do(model, ":OXC:SWIT:CONN:ADD (@5),(@32)") == OK
    assert ask(model, ":OXC:SWIT:CONN:STAT?;PORT? 6") == '(@5),(@32);"0"'
    assert do(model, ":OXC:SWIT:CONN:ADD (@5),(@32)") == OK


def test_joining_again_what_is_joined_is_no_conflict_and_keeps_the_light() -> None:
    model = box()
    do(model, ":OXC:SWIT:CONN:ADD (@5),(@31)")
    model.receive("control", b":OXC:SWIT:CONN:ADD (@5,6),(@31,32)\n")
    assert model.light_path(5) is not None
    assert model.light_path(6) is None
    assert ask(model, ":SYST:ERR?") == OK


def test_opc_waits_until_the_light_is_there() -> None:
    model = box(seed=1)
    model.receive("control", b":OXC:SWIT:CONN:ADD (@1),(@27);*OPC?\r\n")
    model.advance(25 * MS - 1)
    assert model.take("control") == b""
    assert model.light_path(1) is None
    model.advance(25 * MS)
    assert model.take("control") == b"1\r\n"
    path = model.light_path(1)
    assert path is not None
    assert path[0] == 3
    assert 0.8 <= path[1] <= 1.5


def test_shutters_and_broken_ports_are_dark_and_told() -> None:
    model = MatrixSwitchModel(inputs=4, outputs=4)
    do(model, ":OXC:SWIT:CONN:ONLY (@1,2,3),(@5,6,7)")
    model.optics.failed.add(("out", 3))
    assert do(model, ":OXC:SWIT:PORT:DIS (@1,6)") == OK
    assert ask(model, ":OXC:SWIT:PORT:STAT?") == "(D,E,E,E,E,D,F,E)"
    assert ask(model, ":OXC:SWIT:PORT:STAT? (@6,7)") == "(D,F)"
    assert [model.light_path(i) for i in (1, 2, 3)] == [None, None, None]
    assert do(model, ":OXC:SWIT:PORT:ENAB (@1,2)") == OK
    assert model.light_path(1) is not None
    assert do(model, ":OXC:SWIT:PORT:ENAB (@7)") == '-240, "Hardware error;failed port"'
    assert do(model, ":OXC:SWIT:CONN:ONLY (@4),(@7)") == '-240, "Hardware error;failed port"'


def test_power_monitors_show_the_light_behind_the_loss() -> None:
    model = box(seed=4)
    model.optics.light_dbm[1] = -10.0
    do(model, ":OXC:SWIT:CONN:ADD (@1),(@25)")
    path = model.light_path(1)
    assert path is not None
    assert ask(model, ":PMON:POW? (@25,26)") == f"({-10 - path[1]:.1f},-60.0)"
    model.optics.light_dbm[2] = 3.0
    looking = box(input_detectors=True)
    looking.optics.light_dbm[2] = 3.0
    assert ask(looking, ":PMON:POW? (@1,2)") == "(-60.0,3.0)"


def test_an_ost_model_has_no_power_monitors_and_no_model_answers_for_more_than_256() -> None:
    assert do(box(product="I-OST-24x24-LU1-DMHNS"), ":PMON:POW? (@25)") == '-113, "Undefined header;PMON"'
    big = MatrixSwitchModel(inputs=300, outputs=300)
    assert ask(big, ":PMON:POW? (@301:556)").count(",") == 255
    assert do(big, ":PMON:POW? (@301:557)") == '-222, "Data out of range;more than 256 ports"'


@pytest.mark.parametrize(
    ("mode", "map_after"), [("DARK", "(@),(@)"), ("RESTore", "(@1),(@25)"), ("AUT", "(@1,2),(@25,26)")]
)
def test_the_boot_mode_decides_the_map_after_a_power_cycle(mode: str, map_after: str) -> None:
    model = box()
    do(model, ":OXC:SWIT:CONN:ADD (@1),(@25)")
    assert do(model, f":OXC:BOOT:MODE {mode}") == OK
    do(model, ":OXC:SWIT:CONN:ADD (@2),(@26)")
    ask(model, "*ESR?;NONSENSE")
    model.power_cycle()
    assert ask(model, ":OXC:SWIT:CONN:STAT?") == map_after
    assert ask(model, ":SYST:ERR?") == OK
    assert int(ask(model, "*ESR?")) & 128, "power on"
    assert model.boot_mode == mode[:4].upper()[: len(model.boot_mode)]


def test_the_error_queue_overflows_with_its_own_error() -> None:
    model = box()
    for _ in range(30):
        ask(model, ":NONSENSE")
    errors = [ask(model, ":SYST:ERR?") for _ in range(21)]
    assert errors[18] == '-113, "Undefined header;:NONSENSE"'
    assert errors[19:] == ['-350, "Queue overflow"', OK]


def test_reset_parts_everything() -> None:
    model = box()
    do(model, ":OXC:SWIT:CONN:ADD (@1),(@25);:OXC:SWIT:PORT:DIS (@3)")
    assert do(model, "*RST") == OK
    assert ask(model, ":OXC:SWIT:CONN:STAT?") == "(@),(@)"
    assert "D" not in ask(model, ":OXC:SWIT:PORT:STAT?")


def test_addresses_are_told_and_set_by_leading_fields() -> None:
    model = box()
    before = ask(model, ":SYST:COMM:NETW:ADDR?")
    assert do(model, ":SYST:COMM:NETW2:ADDR 192.0.2.7,192.0.2.1") == OK
    assert ask(model, ":SYST:COMM:NETW2:ADDR?").startswith('IP="192.0.2.7" Gateway="192.0.2.1" Mask="255.255.255.0"')
    assert ask(model, ":SYST:COMM:NETW:ADDR?") == before
    assert do(model, ":SYST:COMM:NETW:ADDR 300.0.0.1") == '-224, "Illegal parameter value;not an IPv4 address"'
    assert do(model, ":SYST:COMM:NETW3:ADDR 192.0.2.7").startswith("-114")


def test_what_comes_too_soon_after_another_message_is_lost() -> None:
    model = box(min_gap=0.1)
    model.receive("control", b"*IDN?\r\n")
    model.receive("control", b":OXC:SWIT:SIZE?\r\n")
    assert model.take("control").startswith(b"Polatis")
    model.advance(100 * MS)
    model.receive("control", b":OXC:SWIT:SIZE?\r\n")
    assert model.take("control") == b"24,24\r\n"


def test_a_serial_line_may_end_its_replies_with_cr_alone() -> None:
    model = box(terminator="\r")
    model.receive("control", b"*IDN?\r\n*OPC?\n")
    assert model.take("control").endswith(b",6.5.2.18\r1\r")


def test_a_stuck_core_says_so() -> None:
    model = box()
    model.add_fault("stuck")
    assert do(model, ":OXC:SWIT:CONN:ADD (@1),(@25)") == '-240, "Hardware error;switch core"'
    assert do(model, ":OXC:SWIT:DISC:ALL") == OK, "nothing to move"


def test_any_map_is_told_as_it_was_set() -> None:
    chance = random.Random(7)
    model = MatrixSwitchModel(inputs=64, outputs=48)
    for _ in range(50):
        inputs = chance.sample(range(1, 65), chance.randrange(49))
        outputs = chance.sample(range(65, 113), len(inputs))
        lists = f"(@{','.join(map(str, inputs))}),(@{','.join(map(str, outputs))})"
        assert do(model, f":OXC:SWIT:CONN:ONLY {lists}") == OK
        wanted = dict(sorted(zip(inputs, outputs, strict=True)))
        text = f"(@{','.join(map(str, wanted))}),(@{','.join(map(str, wanted.values()))})"
        assert ask(model, ":OXC:SWIT:CONN:STAT?") == text
        lit = {i: path[0] + 64 for i in range(1, 65) if (path := model.light_path(i))}
        assert lit == wanted


@pytest.mark.parametrize(
    "options", [{"inputs": 0}, {"boot_mode": "BRIGHT"}, {"on_conflict": "ask"}, {"unconnected": "none"}]
)
def test_an_option_that_does_not_fit_is_refused(options: dict[str, object]) -> None:
    with pytest.raises(hal.ConfigurationError):
        box(**options)
