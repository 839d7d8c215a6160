"""Key material never shows itself."""

from __future__ import annotations

import base64
import copy
import json
import logging
import pickle
from typing import Any

import pytest

import tokaido.hal as hal

PLANTED = bytes(range(0x41, 0x61))
"""Not a key: a pattern that is easy to find in every form."""


def forms(data: bytes) -> list[str]:
    """Every form in which bytes could leak into text."""
    return [
        data.hex(),
        data.hex().upper(),
        base64.b64encode(data).decode()[:40],
        base64.urlsafe_b64encode(data).decode()[:40],
        repr(data)[2:-1],
        repr(list(data))[1:-1],
        str(int.from_bytes(data, "big")),
        data.decode("latin1"),
    ]


def leaks(text: str, data: bytes) -> bool:
    """Whether `text` holds `data` in any form."""
    return any(form in text for form in forms(data))


def test_no_way_of_printing_shows_a_byte(caplog: pytest.LogCaptureFixture) -> None:
    key = hal.KeyMaterial(PLANTED)
    shown: list[str] = [
        repr(key),
        str(key),
        f"{key}",
        f"{key!r:>80}",
        "{} {!r}".format(key, key),  # noqa: UP032
        repr([key]),
        repr({"k": key}),
    ]
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("tokaido").warning("drew %s", key)
    shown.append(caplog.text)
    for act in (lambda: key == key, lambda: hash(key), lambda: pickle.dumps(key), lambda: copy.deepcopy(key)):  # noqa: PLR0124
        with pytest.raises(hal.KeyMaterialError) as caught:
            act()
        shown.append(str(caught.value))
    with pytest.raises(TypeError):
        json.dumps(key)
    info = hal.KeyBlockInfo("s", 0, 256, "lim2014", "chernoff", 1e-10, False, True, serial_number="TKTX0001")
    shown += [repr(hal.KeyBlock(info, key, lambda: None)), repr(info)]
    assert not any(leaks(text, PLANTED) for text in shown)


def test_the_scan_finds_what_is_planted() -> None:
    assert all(leaks(f"... {form} ...", PLANTED) for form in forms(PLANTED))
    assert leaks(repr(bytes(hal.KeyMaterial(PLANTED).reveal())), PLANTED)


def test_a_wiped_key_is_gone() -> None:
    key = hal.KeyMaterial(PLANTED)
    view = key.reveal()
    key.wipe()
    assert bytes(view) == bytes(len(PLANTED))
    with pytest.raises(hal.KeyMaterialError, match="wiped"):
        key.reveal()
    with hal.KeyMaterial(PLANTED) as scoped:
        pass
    assert scoped.wiped


def test_splitting_leaves_nothing_behind() -> None:
    key = hal.KeyMaterial(PLANTED, insecure=True)
    nonce = bytes(16)
    head, tail = key.split(10)
    assert key.wiped
    assert (len(head), len(tail), head.insecure, tail.insecure) == (10, 22, True, True)
    assert head.digest(nonce) == hal.KeyMaterial(PLANTED[:10]).digest(nonce)
    assert tail.digest(nonce) == hal.KeyMaterial(PLANTED[10:]).digest(nonce)


def test_a_digest_needs_a_real_nonce() -> None:
    with pytest.raises(hal.KeyMaterialError, match="too short"):
        hal.KeyMaterial(PLANTED).digest(b"nonce")


def test_a_block_commits_on_a_clean_exit_and_only_once() -> None:
    calls: list[int] = []
    info = hal.KeyBlockInfo("s", 0, 256, "lim2014", "chernoff", 1e-10, False, True, serial_number="TKTX0001")
    block = hal.KeyBlock(info, hal.KeyMaterial(PLANTED), lambda: calls.append(1))

    def fail() -> None:
        raise RuntimeError("the disk is full")

    with pytest.raises(RuntimeError), block:
        fail()
    assert calls == []
    with block:
        pass
    block.commit()
    assert calls == [1]


def test_errors_survive_pickling_with_all_they_say() -> None:
    error: Any = hal.StateError("not now", code="30", device="alice", command="KEY START", remedy="Wait")
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), again.code) == (hal.StateError, str(error), "30")
    several: Any = pickle.loads(pickle.dumps(hal.ConfigurationError("bad", mistakes=("a: b", "c: d"))))
    assert several.mistakes == ("a: b", "c: d")
    assert isinstance(hal.DeviceTimeoutError("late"), TimeoutError)
    assert "late [device alice" in str(hal.OutcomeUnknownError("late", device="alice", elapsed_s=0.5))
