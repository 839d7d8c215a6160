"""The contract of key sources finds what is wrong: altered keys, keys that come twice, losses that nobody counts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest

import tokaido.hal as hal
from tokaido.drivers.etsi014 import Source
from tokaido.emulators.conformance import WireFault, suite
from tokaido_testing.patience import slowness


def only_asks(text: str) -> bool:
    return text.startswith("GET ")


Broken: Any = suite(
    "etsi014.source", options={"stored": 0}, timeout=0.4, alarm="empty", slowness=slowness, is_query=only_asks
)


def test_another_key_at_the_other_end_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    fetch = Source.fetch_block

    def altered(source: Source, key_ids: Sequence[str], *, bits: int | None = None) -> hal.KeyBlock:
        block = fetch(source, key_ids, bits=bits)
        return hal.KeyBlock(block.info, hal.KeyMaterial(bytes(len(block.key))), lambda: None)

    monkeypatch.setattr(Source, "fetch_block", altered)
    with pytest.raises(AssertionError, match="the key of the fetched block"):
        Broken().test_both_ends_give_the_same_keys_each_once()


def test_a_block_that_comes_twice_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    draw, kept = Source.key_blocks, list[hal.KeyBlock]()

    def again(source: Source, timeout: float, *, limit: int | None = None) -> Iterator[hal.KeyBlock]:
        kept.extend((kept and kept[:1]) or draw(source, timeout, limit=limit))
        return iter(kept[-1:])

    monkeypatch.setattr(Source, "key_blocks", again)
    with pytest.raises(AssertionError, match="a key came twice"):
        Broken().test_both_ends_give_the_same_keys_each_once()


def test_a_loss_that_is_not_counted_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Source, "draws_lost", property(lambda _: 0))
    with pytest.raises(AssertionError, match="losses under drop-from_unit"):
        Broken().check_keys(WireFault("drop", "from_unit"))


def test_a_key_in_a_log_is_found(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(hal.KeyMaterial, "__repr__", lambda key: bytes(key.reveal()).hex())
    with pytest.raises(AssertionError, match="key bytes show"):
        Broken().test_no_byte_of_a_key_shows(capfd)
