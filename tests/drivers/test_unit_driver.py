"""What all unit drivers read in the same way, whatever their wire: alarms, links, watchdog, ages."""

from __future__ import annotations

import math
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tokaido.hal as hal
from tokaido.drivers import nec, toshiba

UNITS: dict[str, Any] = {
    "toshiba": toshiba.Transmitter({"control": hal.Resource.parse("serial:/dev/none")}),
    "nec": nec.Transmitter({"control": hal.Resource.parse("visa:TCPIP::192.0.2.7::5025::SOCKET")}),
}
RIGHT = {
    "toshiba": {
        "_active_alarms": "00002A;LOS,MAJOR,12.5,0;TAMPER,CRITICAL,3,1",
        "_selection": "TKRX0001,west,3",
        "_link_keys": "TKRX0001,west,1048576;-,-,128",
        "_remaining_s": "30,28.5,7F3A09C2",
        "_answer": "0.0312@12.5",
    },
    "nec": {
        "_active_alarms": "42,LOS,MAJOR,12.5,0,TAMPER,CRITICAL,3,1",
        "_selection": '"TKRX0001","west",3',
        "_link_keys": '"TKRX0001","west",1048576,"","",128',
        "_remaining_s": '30,28.5,"7F3A09C2"',
        "_answer": "0.0312,12.5",
    },
}
MEANT = {
    "_active_alarms": (
        hal.Alarm("LOS", hal.Severity.MAJOR, latched=False, age_s=12.5),
        hal.Alarm("TAMPER", hal.Severity.CRITICAL, latched=True, age_s=3),
    ),
    "_selection": hal.LinkSelection("TKRX0001", "west", 3),
    "_link_keys": (hal.LinkKey("TKRX0001", "west", 1048576), hal.LinkKey("", "", 128)),
    "_remaining_s": 28.5,
}
FAMILIES = pytest.mark.parametrize("family", list(UNITS))
DECODERS = pytest.mark.parametrize("decoder", list(RIGHT["nec"]))


@FAMILIES
@pytest.mark.parametrize("decoder", list(MEANT))
def test_both_families_say_the_same_in_their_own_words(family: str, decoder: str) -> None:
    assert getattr(UNITS[family], decoder)(RIGHT[family][decoder]) == MEANT[decoder]


@FAMILIES
def test_nothing_is_a_list_of_nothing(family: str) -> None:
    nothing = {"toshiba": "", "nec": '""'}[family]
    assert UNITS[family]._link_keys(nothing) == ()
    assert UNITS[family]._active_alarms("0") == ()


@FAMILIES
@DECODERS
@pytest.mark.parametrize("number", ["-1", "inf", "nan", "", "soon", "1e999"])
def test_a_number_that_cannot_be_is_refused(family: str, decoder: str, number: str) -> None:
    """The last number of each reply is one that is finite and not below 0; an alarm's age stands before its latch."""
    last = {"_active_alarms": "12.5", "_selection": "3", "_link_keys": "1048576", "_remaining_s": "28.5"}
    head, _, tail = RIGHT[family][decoder].rpartition(last.get(decoder, "12.5"))
    with pytest.raises(hal.ProtocolError):
        getattr(UNITS[family], decoder)(f"{head}{number}{tail}")


@FAMILIES
@pytest.mark.parametrize("decoder", list(MEANT))
@pytest.mark.parametrize("change", [lambda text: text.rpartition(",")[0], lambda text: f"{text},1"])
def test_a_list_of_another_length_is_refused(family: str, decoder: str, change: Any) -> None:
    with pytest.raises(hal.ProtocolError, match=r"not the selection|not a watchdog|a list of other than"):
        getattr(UNITS[family], decoder)(change(RIGHT[family][decoder]))


@FAMILIES
@DECODERS
@settings(deadline=None)
@given(text=st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=60))
def test_no_text_makes_a_decoder_raise_what_a_transport_does_not_expect(family: str, decoder: str, text: str) -> None:
    with suppress(hal.ProtocolError, ValueError, LookupError):
        read = getattr(UNITS[family], decoder)(text)
        assert not isinstance(read, float) or math.isfinite(read)


@FAMILIES
@pytest.mark.parametrize("seconds", [-1, 4.9, 3601, math.inf, math.nan])
def test_a_watchdog_that_the_unit_cannot_set_is_refused_before_anything_is_sent(family: str, seconds: float) -> None:
    with pytest.raises(hal.RangeError, match="5 to 3600 s, or 0 for none"):
        UNITS[family].set_watchdog(seconds)
