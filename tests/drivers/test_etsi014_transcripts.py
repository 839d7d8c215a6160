"""The driver of key managers against golden transcripts: each request that it sends, each key that it gives."""

from __future__ import annotations

import base64
import json
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

import tokaido.hal as hal
from tokaido_testing.scripted_key_manager import KmePeer, answer, kme_peer, load, transcripts

NONCE = b"transcript nonce"


@pytest.mark.parametrize("name", transcripts("driver"))
def test_driver_says_and_understands_exactly_the_transcript(name: str, tmp_path: Path) -> None:
    transcript = load(name)
    box = transcript["box"]
    peers = {"master": box["peer_sae"], "slave": box["sae"]}
    key = hal.KeyMaterial(b"".join(base64.b64decode(one["key"]) for one in transcript["laid_down"]))
    ids = tuple(one["id"] for one in transcript["laid_down"])
    with ExitStack() as stack:
        kmes = {end: stack.enter_context(kme_peer(tmp_path / end)) for end in peers}
        sources: dict[str, hal.KeySource] = {}
        for step in transcript["step"]:
            end, kme = step["end"], kmes[step["end"]]
            before = len(kme.heard)
            kme.says(*(answer(one["status"], json.loads(one["reply"])) for one in step["exchange"]))
            if step["does"] == "open":
                sources[end] = stack.enter_context(kme.open(end=end, peer=peers[end]))
            else:
                follow(sources[end], step, key, ids)
            check_heard(kme, before, step)


def follow(source: hal.KeySource, step: dict[str, Any], key: hal.KeyMaterial, ids: tuple[str, ...]) -> None:
    if step["does"] == "draw":
        blocks = list(source.key_blocks(0, limit=1))
    elif "raises" in step:
        with pytest.raises(getattr(hal, step["raises"])) as caught:
            source.fetch_block(ids)
        assert caught.value.code == step["code"]
        return
    else:
        blocks = [source.fetch_block(ids)]
    assert sum(block.info.bits for block in blocks) == step["bits"]
    for block in blocks:
        assert block.key.digest(NONCE) == key.digest(NONCE)
        assert (block.info.key_ids, block.info.session, block.info.number) == (ids, ids[0], 0)
        assert block.info.emulated


def check_heard(kme: KmePeer, before: int, step: dict[str, Any]) -> None:
    heard = [(one.start, one.body) for one in kme.heard[before:]]
    assert heard == [(one["send"], json.loads(one["body"]) if "body" in one else None) for one in step["exchange"]]
