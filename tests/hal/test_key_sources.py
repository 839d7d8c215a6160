"""The role of what gives key blocks: units, and key managers with a master's and a slave's end."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import tokaido.hal as hal
from tokaido_testing.toys import Toy


class OneBlock(hal.KeySource, Toy):
    """Gives one block."""

    def key_blocks(self, timeout: float, *, limit: int | None = None) -> Iterator[hal.KeyBlock]:
        """Give it."""
        del timeout, limit
        info = hal.KeyBlockInfo(
            "id-1", 0, 16, "unstated", "unstated", 1.0, False, True, serial_number="KME-A", key_ids=("id-1", "id-2")
        )
        yield hal.KeyBlock(info, hal.KeyMaterial(b"ab"), lambda: None)


def test_units_are_key_sources_whose_two_ends_draw_by_themselves() -> None:
    assert issubclass(hal.Unit, hal.KeySource)
    assert hal.Unit.key_end.fget is hal.KeySource.key_end.fget  # type: ignore[attr-defined]
    source = OneBlock({})
    assert source.key_end is hal.KeyEnd.OWN
    assert source.draws_lost == 0


def test_a_source_without_a_slave_s_end_says_that_it_fetches_nothing() -> None:
    with pytest.raises(hal.UnsupportedError, match="it is the end OWN"):
        OneBlock({}).fetch_block(("id-1",))


def test_what_the_neighbour_must_be_told_goes_with_a_block_and_is_empty_for_units() -> None:
    block = next(OneBlock({}).key_blocks(0))
    assert block.info.key_ids == ("id-1", "id-2")
    assert block.info.name == ("KME-A", "id-1", 0)
    facts = hal.KeyBlockFacts("s", 0, 16, "lim2014", "chernoff", 1e-10, insecure=False, emulated=True)
    assert hal.KeyBlockInfo.of(facts, "TKTX0001").key_ids == ()


def test_the_role_is_registered_below_those_of_units() -> None:
    transmitter = hal.load_driver("toshiba.transmitter", hal.KeySource)
    assert list(hal.roles_of(transmitter)) == ["transmitter", "unit", "key_source"]
