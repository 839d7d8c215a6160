"""What a notebook shows of devices and readings, and what `help` says of a value."""

from __future__ import annotations

import datetime
import inspect
import pydoc
from html.parser import HTMLParser
from typing import Any

import tokaido.hal as hal
from tokaido.emulators import launch
from tokaido.hal.driver import LineDevice, measured
from tokaido_testing.toys import Toy

ANSWERS: dict[str, str | None] = {
    "POW": "2@20",
    "CNT": "3",
    "LAB": "<script>alert(1)</script> & more",
    "ATT": "12.5",
    "SHT": "OPEN",
    "P0:LEV": "1",
    "P1:LEV": None,
}


class Table(HTMLParser):
    """The rows of a table, as a browser has them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.styles: dict[str, str] = {}
        self.tags: set[str] = set()
        self.caption = ""
        self._tag, self._style = "", ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self._tag, self._style = tag, dict(attrs).get("style") or ""
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_data(self, data: str) -> None:
        if self._tag in ("td", "th"):
            self.rows[-1][-1] += data
            self.styles[data] = self._style
        elif self._tag == "caption":
            self.caption += data


def table(shown: Any) -> Table:
    """Return what a notebook shows of an object."""
    return Table(shown._repr_html_())


def test_telemetry_is_a_table_with_units_limits_and_qualities() -> None:
    shown = table(Toy(ANSWERS).telemetry())
    rows = {row[0]: row[1:] for row in shown.rows}
    assert rows["value"] == ["reading", "unit", "operational", "absolute", "quality", "age in s"]
    assert rows["power"] == ["2", "dBm", "-3 to 1", "-6 to 3", "stale", "20"]
    assert rows["attenuation"] == ["12.5", "dB", "", "", "good", "0"]
    assert rows["shutter"][0] == "OPEN"
    assert rows["parts[1].level"] == ["nothing measured yet", "dB", "", "", "bad", ""]
    colours = [shown.styles[quality].partition("background:")[2] for quality in ("good", "stale", "bad")]
    assert len({*colours, ""}) == 4
    assert colours[1] == shown.styles["2"].partition("background:")[2]  # outside its operational limits


def test_a_calibrated_reading_is_shown_with_what_the_device_told_and_what_corrected_it() -> None:
    with launch("keysight.attenuator") as box:
        level = hal.Calibration("dB", datetime.date(2026, 1, 2), "<i>bench</i>", offset=1.5)
        with hal.VariableAttenuator.open(
            "keysight.attenuator", control=box.resources["control"], calibrations={"attenuation": level}
        ) as voa:
            shown = {row[0]: row[1:] for row in table(voa.telemetry()).rows}
            declared = {row[0]: row[1:] for row in table(voa).rows}
    assert shown["value"][-2:] == ["raw", "calibration"]
    assert shown["attenuation"][0] == "1.5"
    assert shown["attenuation"][-2:] == ["0", "offset +1.5 dB, 2026-01-02, <i>bench</i>"]
    assert shown["wavelength"][-2:] == ["", ""]
    assert declared["attenuation"][2] == "1.5 to 41.5"
    assert declared["attenuation"][-1].endswith("Calibrated: offset +1.5 dB, 2026-01-02, <i>bench</i>.")


def test_what_a_device_says_is_text_and_no_html() -> None:
    shown = table(Toy(ANSWERS).telemetry())
    assert {row[0]: row for row in shown.rows}["label"][1] == ANSWERS["LAB"]
    assert shown.tags == {"table", "thead", "tbody", "tr", "th", "td"}
    station = hal.Station("<b>lab</b>", {"<i>": hal.DeviceEntry("<i>", "toshiba.transmitter", {})})
    assert table(station).tags == {*shown.tags, "caption"}
    assert table(station).rows[1][0] == "<i>"


def test_a_device_shows_what_it_declares_and_is_asked_nothing() -> None:
    toy = Toy({})  # it has no answer to any question
    shown = table(toy)
    rows = {row[0]: row[1:] for row in shown.rows}
    assert shown.caption.startswith("toy: Toy, driver ")
    assert rows["power"] == ["measured", "dBm", "", "-3 to 1", "-6 to 3", ""]
    assert rows["attenuation"][:3] == ["setting", "dB", "0 to 60"]
    assert rows["shutter"][:3] == ["setting", "", "OPEN, CLOSED"]
    assert rows["parts[0].level"][:2] == ["measured", "dB"]
    assert "gain" not in rows
    part = table(toy.parts[0])
    assert (part.caption, part.rows[1][0]) == ("toy: parts[0], ToyPart", "level")


def test_a_station_shows_its_devices_and_opens_none() -> None:
    station = hal.Station.from_text(
        '[station]\nname = "lab"\n[devices.alice]\ndriver = "toshiba.transmitter"\ncontrol = "serial:/dev/nowhere"\n'
    )
    shown = table(station)
    assert shown.caption == "station lab; on exit: safe; links: none"
    assert shown.rows[1] == ["alice", "toshiba.transmitter", "control serial:/dev/nowhere", "not open"]


def test_help_tells_meaning_unit_range_limits_and_states() -> None:
    driver = hal.load_driver("toshiba.transmitter", hal.Transmitter)
    attenuation = inspect.getdoc(driver.attenuation)
    assert attenuation is not None
    assert attenuation.splitlines() == [
        "Control the attenuator behind the laser, 0 to 60 dB. Read back after every write.",
        "",
        "Setting: float in dB, 0 to 60.",
        "Can be set in OFF, WARMUP, AUTH, STANDBY.",
    ]
    power = inspect.getdoc(driver.laser_power) or ""
    assert (
        "Measured, read-only: float in dBm.\nOperational limits: -3 to 1 dBm.\nAbsolute limits: -6 to 3 dBm." in power
    )
    assert "Not here: " in (inspect.getdoc(hal.Transmitter.modulator_bias) or "")
    page = pydoc.plain(pydoc.render_doc(hal.Transmitter))
    assert "Control the attenuator behind the laser." in page
    assert "Setting: float in dB." in page


def test_a_value_without_a_sentence_has_that_of_its_role_and_one_without_source_has_none() -> None:
    class Quiet(hal.Transmitter, LineDevice):
        laser_power = measured(float, "POW", unit="dBm")

    assert Quiet.laser_power.meaning == "Measure the optical power at the laser monitor."
    namespace: dict[str, Any] = {"measured": measured}
    exec("class Typed:\n    level = measured(float, 'LEV', unit='dB')\n    'Lost.'\n", namespace)
    level = namespace["Typed"].level
    assert (level.meaning, inspect.getdoc(level)) == ("", "Measured, read-only: float in dB.")


def test_the_classes_of_values_keep_their_own_words() -> None:
    assert (type(hal.Transmitter.attenuation).__doc__ or "").startswith("A value that can be set")
    assert (type(hal.Transmitter.laser_power).__doc__ or "").startswith("A value that a device gives")
