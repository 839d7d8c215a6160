"""What an author of a driver says that it sends, and a driver that does not."""

from __future__ import annotations

from typing import ClassVar

import pytest

import tokaido.hal as hal
from tokaido.drivers.dicon import Selector
from tokaido.emulators.transcripts import UnexpectedExchangeError, expect_exchanges
from tokaido.hal.driver import LineCodec, LineDevice, query

HELLO = [("ID?", "MEMS 1x8"), ("CF?", "1, 8")]


class Box(LineDevice):
    """A box with one query, that sends what nobody expects where it is told to."""

    resource_kinds: ClassVar = {"control": frozenset({"serial"})}
    level = query(int, "LEV")

    def _codec(self) -> LineCodec:
        return LineCodec()

    def identity(self) -> hal.Identity:
        return self._read("*IDN?", self._named)

    def apply_safe_state(self) -> None:
        """Nothing."""

    def swallow(self) -> None:
        try:
            self._query("SECRET?")
        except AssertionError:
            return


def test_a_driver_of_ours_passes() -> None:
    with expect_exchanges(
        Selector,
        [*HELLO, ("I1?", "0"), ("I1 3", None), ("I1?", "3"), ("I1?", "3")],
        sends="\r",
        replies="\r\n",
        serial_line=True,
    ) as selector:
        assert selector.size() == hal.SwitchSize(1, 8)
        selector.connect(1, 3)


IDN = ("*IDN?", "Acme,Box,1,2.0")


def test_what_is_sent_otherwise_fails_where_it_is_sent() -> None:
    with (
        pytest.raises(
            UnexpectedExchangeError, match=r"sent b'LEV\?\\n' after 1 exchanges, and b'VOLT\?\\n' was expected"
        ),
        expect_exchanges(Box, [IDN, ("VOLT?", "1")]) as box,
    ):
        box.level()


def test_what_is_sent_otherwise_fails_even_if_the_driver_hides_it() -> None:
    with pytest.raises(UnexpectedExchangeError, match="SECRET"), expect_exchanges(Box, [IDN]) as box:
        box.swallow()


def test_what_is_not_sent_fails_at_the_end() -> None:
    with (
        pytest.raises(UnexpectedExchangeError, match=r"not sent: b'LEV\?\\n'"),
        expect_exchanges(Box, [IDN, ("LEV?", "3")]),
    ):
        pass


def test_an_answer_that_is_left_over_fails_at_the_end() -> None:
    with (
        pytest.raises(UnexpectedExchangeError, match="answered and not read: b'and more"),
        expect_exchanges(Box, [IDN, ("LEV?", ["3", "and more"])]) as box,
    ):
        assert box.level() == 3


def test_a_failure_of_the_test_itself_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError), expect_exchanges(Box, [IDN, ("LEV?", "3")]):
        raise ZeroDivisionError
