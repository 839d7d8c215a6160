"""What distillation says of a key block reaches the host as it was said, in the vendor's own messages."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import pytest

import tokaido.hal as hal
from tokaido.emulators import Emulator
from tokaido.emulators.units import BlockOutcome
from tokaido_testing.unit_vendors import Vendor

FACTS = hal.KeyBlockFacts("of its distillation", 3, 512, "rusca2018", "hoeffding", 2e-9, insecure=False, emulated=True)


@pytest.mark.parametrize("link", [("", ""), ("TKRX0009", "west")])
def test_the_facts_of_a_block_travel_unchanged(
    vendor: Vendor, emulator: Emulator, tx: hal.Transmitter, link: tuple[str, str]
) -> None:
    model: Any = emulator.model
    with emulator.lock:
        model.prepare("RUN")
        session = model.blocks.session
        if link[0]:
            model.links.in_force = type(model.links.in_force)(*link)
        outcome = BlockOutcome("accepted", number=3, key=hal.KeyMaterial(bytes(64)), facts=FACTS)
        model.blocks.block_ended(session, outcome)
    (block,) = itertools.islice(tx.key_blocks(0), 1)
    facts = dataclasses.replace(FACTS, session=session.id)
    serial_number, _ = vendor.serial_numbers
    assert block.info == hal.KeyBlockInfo.of(facts, serial_number, peer=link[0], path=link[1])
    assert block.info.name == (serial_number, session.id, 3)


@pytest.mark.parametrize("given", [{"key": hal.KeyMaterial(bytes(64))}, {"facts": FACTS}])
def test_a_key_without_its_facts_is_a_mistake(given: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="come together"):
        BlockOutcome("accepted", **given)
