"""After two nodes gave keys to applications, no file of theirs shows one: no log, no answer, no store."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

from tokaido_testing.chaos_line import NODES, ChaosLine
from tokaido_testing.chaos_nodes import block

PIECE = 12
"""Bytes of a key that are looked for at a time: a part of one shows it, too."""


def forms(secret: bytes) -> Iterator[bytes]:
    """Give what a secret could look like."""
    for data in (secret, secret[::-1]):
        yield data
        yield data.hex().encode()
        yield data.hex().upper().encode()
        yield repr(data)[2:-1].encode()
        for shift in range(3):  # base64 of what it may stand in the middle of
            text = base64.b64encode(bytes(shift) + data)
            yield text[4 if shift else 0 : len(text) - 4]
        yield str(int.from_bytes(data, "big")).encode()
        yield str(int.from_bytes(data, "little")).encode()


def pieces(keys: list[bytes]) -> dict[bytes, int]:
    """Return every form of every piece of every key, with the number of the key."""
    return {
        form: number
        for number, key in enumerate(keys)
        for at in range(0, len(key) - PIECE + 1, PIECE)
        for form in forms(key[at : at + PIECE])
    }


def found(folder: Path, looked_for: dict[bytes, int]) -> list[str]:
    """Return what was found, and where."""
    shown: list[str] = []
    for file in folder.rglob("*"):
        if file.is_file():
            content = file.read_bytes()
            shown += [f"key {number} in {file.name}" for form, number in looked_for.items() if form in content]
    return shown


def test_no_file_of_a_node_shows_a_key(tmp_path: Path) -> None:
    with ChaosLine(tmp_path) as pair:
        for node in NODES:
            pair.start(node)
        pair.start_applications(1)
        pair.wait_for_shared(12, within_s=30)
        for node in NODES:
            pair.kill(node)
    delivered = list(pair.deliveries.given.values())[:12]
    link = [block(number)[at : at + 24] for number in range(3) for at in (0, 12_000)]
    files = [file.name for file in tmp_path.rglob("*") if file.is_file()]
    assert {"log-otemachi", "log-koganei", "otemachi.sqlite", "koganei.sqlite"} <= set(files)
    assert found(tmp_path, pieces([*delivered, *link])) == []

    (tmp_path / "positive-control").write_bytes(b"x" + base64.b64encode(b"y" + delivered[0]) + b"z" + link[0][::-1])
    assert {line.split(" in ")[0] for line in found(tmp_path, pieces([*delivered, *link]))} == {"key 0", "key 12"}
