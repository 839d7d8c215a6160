"""Numbers where they enter: of every kind from a user, in one way of writing from a text."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tokaido.hal as hal
from tokaido.hal.driver import decode, flag, is_no_value, real, real_in, whole, whole_in


@pytest.mark.parametrize(
    ("value", "is_"),
    [
        (12, 12.0),
        (np.float32(0.6), 0.6),
        (np.float16(0.1), 0.1),
        (np.longdouble("0.5"), 0.5),
        (np.int8(-3), -3.0),
        (Fraction(1, 4), 0.25),
        (np.float64(1e-300), 1e-300),
    ],
)
def test_a_number_of_any_kind_becomes_a_plain_float(value: Any, is_: float) -> None:
    got = real(value, "x")
    assert (type(got), got) == (float, is_)


@pytest.mark.parametrize("value", [7, np.int64(7), np.uint8(7), 7.0, np.float32(7), Fraction(14, 2)])
def test_a_whole_number_of_any_kind_becomes_a_plain_int(value: Any) -> None:
    got = whole(value, "x")
    assert (type(got), got) == (int, 7)


@pytest.mark.parametrize("value", [True, np.bool_(True), "7", b"7", None, Decimal(7), 7j, [7], np.array([7])])
def test_what_is_no_number_is_refused_and_named(value: Any) -> None:
    for take in (real, whole):
        with pytest.raises(hal.ValueTypeError, match="the gain takes a"):
            take(value, "the gain")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), np.float32("inf"), np.longdouble("1e4000"), 10**400])
def test_a_number_without_end_is_out_of_range(value: Any) -> None:
    with pytest.raises(hal.RangeError, match="the gain takes a finite number"):
        real(value, "the gain")


def test_a_number_that_cannot_even_be_shown_is_out_of_range() -> None:
    for take in (real, whole):
        with pytest.raises(hal.RangeError, match="the gain takes"):
            take(10**6000, "the gain")


def test_a_flag_is_a_flag_and_no_number() -> None:
    assert flag(np.bool_(False), "x") is False
    for wrong in (0, 1, "1", None, np.int8(1)):
        with pytest.raises(hal.ValueTypeError):
            flag(wrong, "x")


@given(st.text(max_size=12) | st.from_regex(r"[+-]?[0-9_.eE +-]{1,8}", fullmatch=True))
def test_a_text_is_a_number_or_a_value_error_and_python_alone_agrees_on_what_it_is(text: str) -> None:
    for take in (real_in, whole_in):
        try:
            got = take(text)
        except ValueError:
            continue
        assert "_" not in text
        assert text.isascii()
        assert got == float(text)


@pytest.mark.parametrize("text", ["12", " 12", "+12", "12.0", "1.2E1", "012"])
def test_the_ways_to_write_twelve(text: str) -> None:
    assert (real_in(text), whole_in(text)) == (12.0, 12)


def test_a_whole_number_that_a_float_cannot_hold_is_not_rounded() -> None:
    assert whole_in("9007199254740993") == 9007199254740993
    with pytest.raises(ValueError, match="not a whole number"):
        whole_in("1e300")


@pytest.mark.parametrize("timeout", ["1_0", "\u0661", "nan", "1e", " "])
def test_a_resource_takes_no_time_that_python_alone_takes(timeout: str) -> None:
    with pytest.raises(hal.ConfigurationError, match="timeout: should be a time"):
        hal.Resource.parse(f"serial:/dev/ttyUSB0?timeout={timeout}")


@pytest.mark.parametrize("data", [32, np.int64(32), True, "secret", None, [1, 2], 1.5], ids=repr)
def test_a_key_is_made_of_bytes_and_a_number_makes_no_key_of_zeros(data: Any) -> None:
    with pytest.raises(hal.KeyMaterialError, match="bytes") as caught:
        hal.KeyMaterial(data)
    assert "secret" not in str(caught.value)


def test_a_lease_takes_numbers_of_numpy_and_no_flags(tmp_path: Path) -> None:
    book = hal.LeaseBook(tmp_path / "leases.sqlite")
    book.skip_to(np.int64(4))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    with book.acquire("a", "me", np.float32(30)) as lease:  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        assert lease.fencing_token == 5
    for wrong in (True, "30", None):
        with pytest.raises(hal.ValueTypeError):
            book.acquire("a", "me", wrong)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        with pytest.raises(hal.ValueTypeError):
            book.skip_to(wrong)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


NUMBERS = st.from_regex(r"\A[ \t]?[+-]?[0-9._٣]{0,5}([eE][+-]?[0-9]{1,3})?[ \t]?\Z")


@given(
    NUMBERS | st.sampled_from(["9.91E37", "-9.9e37", "9.8990001e37", "-9.899E37", "9.912e37", "NAN", "inf", "1e308"])
)
def test_a_text_is_decoded_as_a_number_just_as_its_two_judges_say(text: str) -> None:
    if is_no_value(text):
        with pytest.raises(hal.NoDataError):
            decode(float, text, "gain")
        return
    try:
        number = real_in(text)
    except ValueError:
        with pytest.raises(hal.ProtocolError):
            decode(float, text, "gain")
    else:
        assert decode(float, text, "gain") == number


@pytest.mark.parametrize("blank", ["", " ", "\t"])
@pytest.mark.parametrize("digits", range(35, 42))
@pytest.mark.parametrize("figures", ["9899", "9900", "99", "9911", "98", "9999", "1"])
def test_a_number_written_out_is_no_value_by_its_size_alone(figures: str, digits: int, blank: str) -> None:
    written = figures.ljust(digits, "0")
    for text in (written, f"-{written}", f"+{written}.", f"00{written}.0", written[:4] + "." + written[4:] + "E34"):
        assert is_no_value(blank + text + blank) == (9.899e37 <= abs(float(text)) <= 9.911e37), text
