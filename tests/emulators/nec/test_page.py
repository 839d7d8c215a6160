"""The models against the tables of docs/protocols/nec.md, which is read again: commands, limits, states, readings."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tokaido.emulators.nec import ReceiverModel, TransmitterModel
from tokaido.emulators.nec._commands import Choice, KeepRow, LeaseRow, LinkSelectionRow, Order, QueryRow, SettingRow
from tokaido_testing.sealed import PAGE, Instrument, PageRow, page_table

if TYPE_CHECKING:
    from tokaido.emulators.nec._commands import Command

STATES = "OFF SELFTEST WARMUP AUTH ALIGN STANDBY RUN TRACK DEGRADED REALIGN FAULT SECURITY_HOLD ZEROIZE".split()  # noqa: SIM905
GROUPS = {
    "any": set(STATES),
    "setup": {"OFF", "WARMUP", "AUTH", "STANDBY"},
    "any but ZEROIZE": set(STATES) - {"ZEROIZE"},
    "running, REALIGN": {"RUN", "TRACK", "DEGRADED", "REALIGN"},
    "SECURITY_HOLD, or latched QUARANTINE": {"SECURITY_HOLD"},
    **{state: {state} for state in STATES},
}
LEFT_OUT = ("LINK:", "STAT", "KEY:SESS", "KEY:COUN", "UNIT:LEAS", "FETC:ALL")


@dataclass(frozen=True)
class Kind:
    """One kind of unit: its letter on the page, the sections that it has, and how many parts."""

    letter: str
    channels: int

    @property
    def rows(self) -> list[PageRow]:
        own = page_table("4.2") if self.letter == "T" else page_table("4.3")
        return [row for row in page_table("4.1") + own if self.letter == "A" or not row.meaning.startswith("A only")]

    def model(self) -> TransmitterModel | ReceiverModel:
        if self.letter == "T":
            return TransmitterModel(sub_channels=self.channels)
        return ReceiverModel(sub_channels=self.channels, detectors="nanowire" if self.letter == "S" else "avalanche")

    def of(self, text: str) -> str:
        """Return the part of a cell that is about this kind: `S: 0 to 40 uA. A: 0 to 80 V`."""
        if not text.startswith("S: "):
            return text
        first, second = text.removeprefix("S: ").split(". A: ")
        return first if self.letter == "S" else second

    def names(self, row: PageRow) -> list[str]:
        """Return the names of a row's readings, parts included."""
        for place, parts in (("<c>", self.channels), ("<i>", 2 * self.channels)):
            if place in row.name:
                return [row.name.replace(place, str(i + 1)) for i in range(parts)]
        return [row.name]


KINDS = [Kind("T", 8), Kind("S", 8), Kind("A", 8), Kind("T", 1), Kind("S", 1), Kind("A", 3)]
IDS = [f"{kind.letter}{kind.channels}" for kind in KINDS]


@pytest.fixture(params=KINDS, ids=IDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    found = request.param
    assert isinstance(found, Kind)
    return found


def signature(row: PageRow) -> tuple[str, str]:
    return row.command, row.parameters if row.header == "UNIT:POWer" else ""


def in_code(row: Command) -> tuple[str, str]:
    return row.header + "?" * isinstance(row, QueryRow), row.word if isinstance(row, Order) else ""


def test_the_page_was_read(kind: Kind) -> None:
    assert len(page_table("4.1")) == 33
    assert len(page_table("4.2")) == 16
    assert len(page_table("4.3")) == 18
    assert {row.states for row in kind.rows} <= set(GROUPS)


def test_the_table_has_every_command_of_the_page_and_no_other(kind: Kind) -> None:
    assert [in_code(row) for row in kind.model().table.rows] == [signature(row) for row in kind.rows]


def test_limits_words_and_delivery_values_are_those_of_the_page(kind: Kind) -> None:
    settings = 0
    for page, row in zip(kind.rows, kind.model().table.rows, strict=True):
        if isinstance(row, SettingRow):
            takes = kind.of(page.parameters).removeprefix('seconds,"holder"; seconds: ')
            unit = {"UNIT:LEASe": " s", "KEY:BLOCk": " bit"}.get(page.header, "")
            assert row.takes == takes + unit
            found = re.search(r"([0-9.]+) at delivery(?: for S, ([0-9.]+) for A)?", page.meaning)
            if found is not None:
                settings += 1
                assert row.delivery == float(found[2] if found[2] and kind.letter == "A" else found[1])
        elif isinstance(row, Choice):
            assert row.takes == page.parameters
    assert settings == (8 if kind.letter == "T" else 3)


def test_settings_are_in_force_at_delivery_as_the_page_says(kind: Kind) -> None:
    instrument = Instrument(kind.model())
    asked = 0
    for page in kind.rows:
        found = re.search(r"([0-9.]+) at delivery(?: for S, ([0-9.]+) for A)?", page.meaning)
        if found is not None:
            for name in kind.names(page):
                asked += 1
                value = found[2] if found[2] and kind.letter == "A" else found[1]
                assert float(instrument.data(f"{name}?")) == float(value)
    assert asked >= 3
    on = [instrument.data(f"CHAN{c + 1}:STAT?") for c in range(kind.channels)]
    assert on == (["ON"] * 2 + ["OFF"] * 6)[: kind.channels]


def test_fetch_all_lists_exactly_what_the_page_says(kind: Kind) -> None:
    instrument = Instrument(kind.model())
    expected = [
        name for row in kind.rows if row.answers and not row.name.startswith(LEFT_OUT) for name in kind.names(row)
    ]
    listed = instrument.everything()
    assert list(listed) == expected
    assert listed["UNIT:STAT"] == ("OFF", "0")
    assert listed["FETC:QBER"] == ("9.91E37", "9.91E37")


def test_each_value_of_fetch_all_is_what_its_own_question_answers(kind: Kind) -> None:
    model = kind.model()
    model.prepare("RUN")
    instrument = Instrument(model)
    instrument.pass_time(2)
    refused = 0
    for name, (value, age) in instrument.everything().items():
        reply = instrument.ask(f"{name}?")
        if value == "9.91E37":
            refused += 1
            assert (reply.code, reply.data, age) == (-230, None, "9.91E37")
            continue
        assert reply.code == 0
        answer = (reply.data or "").split(",")
        if name != "UNIT:STAT":
            assert answer == ([value, age] if age != "0" else [value])
    assert refused >= 4


def limits(text: str) -> list[tuple[float, float]]:
    return [(float(low), float(high)) for low, high in re.findall(r"(-?[0-9.]+) to (-?[0-9.]+)", text)]


def test_readings_of_a_unit_in_order_lie_within_the_operational_limits_of_the_page(kind: Kind) -> None:
    model = kind.model()
    model.prepare("RUN")
    instrument = Instrument(model)
    instrument.pass_time(15)
    values = instrument.everything()
    checked = 0
    for row in kind.rows:
        if not row.limits:
            continue
        (low, high), (least, most) = limits(kind.of(row.limits))
        assert least <= low < high <= most
        for name in kind.names(row):
            value = float(values[name][0])
            idle = value == 0 and name.endswith(":CURR")
            if value != 9.91e37 and not idle:
                checked += 1
                assert low <= value <= high, name
    assert checked >= 5


def test_the_steps_of_an_alignment_last_as_the_page_says() -> None:
    found = re.search(r"`ALIGN` has the steps (.*?): 30 s", PAGE.read_text(encoding="utf-8"))
    assert found is not None
    steps = {name: float(seconds) for name, seconds in re.findall(r"`([A-Z]+)` ([0-9]+) s", found[1])}
    assert sum(steps.values()) == 30
    assert dict(TransmitterModel.ALIGNMENT) == steps == dict(ReceiverModel.ALIGNMENT)


def test_wavelengths_lie_on_the_grid_of_the_page() -> None:
    instrument = Instrument(TransmitterModel())
    assert [instrument.data(f"CHAN{c}:WAV?") for c in (1, 2, 8)] == ["1546.92", "1547.72", "1552.52"]


# --- states ---------------------------------------------------------------------------------------------------------

VALUES = {
    "UNIT:LEASe": '30,"7F3A09C2"',
    "UNIT:LEASe:KEEP": '"7F3A09C2"',
    "KEY:BLOCk": "200000",
    "KEY:BASis": "0.6",
    "CHANnel<c>:STATe": "ON",
    "SOURce:ATTenuation": "30",
    "SOURce:PHOTon:SIGNal": "0.6",
    "SOURce:PHOTon:DECoy": "0.15",
    "SOURce:PHOTon:VACuum": "0.002",
    "SOURce:PROBability:DECoy": "0.2",
    "SOURce:PROBability:VACuum": "0.2",
    "INPut:SHUTter": "CLOSED",
    "SENSe:INTerferometer:TEMPerature": "31.5",
    "DETector<i>:BIAS": "17",
    "DETector<i>:DELay": "300",
    "DETector<i>:DEAD": "50",
    "LINK:SELect": '"",""',
}
LEADS_TO = {
    ("UNIT:POW ON", "OFF"): "SELFTEST",
    ("KEY:STAR", "STANDBY"): "RUN",
    ("CAL:STAR", "STANDBY"): "REALIGN",
    ("FAUL:CLE", "FAULT"): "SELFTEST",
    ("SEC:ACKN", "SECURITY_HOLD"): "AUTH",
    ('LINK:SEL "",""', "STANDBY"): "AUTH",
    **{("UNIT:POW OFF", state): "OFF" for state in STATES if state != "ZEROIZE"},
    **{("KEY:STOP", state): "STANDBY" for state in ("RUN", "TRACK", "DEGRADED", "REALIGN")},
    **{("UNIT:SAFE", state): "STANDBY" for state in ("RUN", "TRACK", "DEGRADED", "REALIGN", "ALIGN")},
    **{('SEC:ZER "{serial}"', state): "ZEROIZE" for state in STATES},
}


@pytest.mark.parametrize("letter", ["T", "S", "A"])
def test_every_order_is_allowed_or_refused_in_every_state_as_the_page_says(letter: str) -> None:
    kind = Kind(letter, 1)
    orders = 0
    for row in kind.rows:
        if row.asks_only:
            continue
        value = VALUES.get(row.header, row.parameters.replace("<serial>", "{serial}"))
        order = f"{row.name} {value}".strip().replace("<c>", "1").replace("<i>", "2")
        orders += 1
        for state in STATES:
            model = kind.model()
            model.prepare(state)
            instrument = Instrument(model)
            if row.header == "UNIT:LEASe:KEEP":
                instrument.data('UNIT:LEAS 30,"7F3A09C2"')
            reply = instrument.ask(order.format(serial=model.serial_number))
            if state in GROUPS[row.states]:
                assert (reply.code, reply.data) == (0, None), (order, state, reply)
                assert instrument.state() == LEADS_TO.get((order, state), state), (order, state)
            else:
                assert reply.code == 130, (order, state, reply)
                assert reply.text.startswith(f"Not in this state;{state}: {order.split(' ')[0]}")
                assert instrument.state() == state
    assert orders == {"T": 21, "S": 19, "A": 20}[letter]


@pytest.mark.parametrize("letter", ["T", "S", "A"])
def test_every_question_is_answered_in_every_state_and_changes_nothing(letter: str) -> None:
    kind = Kind(letter, 1)
    for state in STATES:
        model = kind.model()
        model.prepare(state)
        instrument = Instrument(model)
        before = instrument.everything()
        for row in kind.rows:
            if not row.answers:
                continue
            question = f"{row.name}?".replace("<c>", "1").replace("<i>", "2")
            reply = instrument.ask(question + " 0" * (row.parameters == "number"))
            assert reply.code in (0, -230), (question, state, reply)
        assert instrument.everything() == before


def test_every_row_of_the_table_is_asked_or_ordered_by_somebody() -> None:
    for model in (TransmitterModel(), ReceiverModel()):
        assert {type(row) for row in model.table.rows} == {
            QueryRow,
            SettingRow,
            LeaseRow,
            KeepRow,
            Choice,
            Order,
            LinkSelectionRow,
        }
