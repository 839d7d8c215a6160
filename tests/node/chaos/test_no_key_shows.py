"""After two nodes gave keys to applications, no file of theirs shows one: no log, no answer, no store."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from tokaido_testing.chaos_line import NODES, ChaosLine
from tokaido_testing.chaos_nodes import block
from tokaido_testing.key_scan import found, pieces


@pytest.mark.thorough
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
