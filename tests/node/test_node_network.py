"""A node file with a topology: peers, urls and applications come from it, and every mistake is told."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tokaido.hal import ConfigurationError
from tokaido.node import NodeFile
from tokaido.node.topology import new_signing_key, sign

if TYPE_CHECKING:
    from pathlib import Path

STATION = """
[station]
name = "numazu"
[devices.west]
driver = "toshiba.transmitter"
control = "serial:/nowhere"
[devices.east]
driver = "nec.receiver"
control = "visa:TCPIP::192.0.2.1::5025::SOCKET"
keys = "zmq:tcp://192.0.2.1:5560?server_key_file=east.key&client_key_file=node.key_secret"
[links.numazu-kobe]
unit = "west"
neighbour = "kobe"
[links.odawara-numazu]
unit = "east"
neighbour = "odawara"
"""
TOPOLOGY = """
[topology]
network = "line"
serial = 3
valid_from = 2026-01-01T00:00:00Z
[nodes.odawara]
url = "https://odawara.example:8471"
[nodes.numazu]
url = "https://numazu.example:8471"
[nodes.kobe]
url = "https://kobe.example:8471"
[nodes.nara]
url = "https://nara.example:8471"
[links.odawara-numazu]
ends = ["odawara", "numazu"]
[links.numazu-kobe]
ends = ["numazu", "kobe"]
[links.kobe-nara]
ends = ["kobe", "nara"]
[[pairs]]
ends = ["numazu", "nara"]
stock = 77
[[pairs]]
ends = ["odawara", "kobe"]
[applications]
bank = { node = "numazu" }
hospital = { node = "nara" }
"""
NODE = """
[node]
name = "numazu"
station = "station.toml"
[topology]
file = "line.signed.toml"
public_key = "PUBLIC"
[store]
path = "keys.sqlite"
key_file = "store.key"
[tls]
certificate = "a"
key = "b"
authority = "c"
[listen]
neighbours = "127.0.0.1:0"
"""


def read(folder: Path, *, node: str = NODE, topology: str = TOPOLOGY) -> NodeFile:
    (folder / "station.toml").write_text(STATION)
    (folder / "line.toml").write_text(topology)
    private, public = new_signing_key(folder / "keys")
    sign(folder / "line.toml", private, folder / "line.signed.toml")
    return NodeFile.from_text(node.replace("PUBLIC", str(public.relative_to(folder))), folder)


def test_peers_urls_stocks_and_applications_come_from_the_topology(tmp_path: Path) -> None:
    file = read(tmp_path, node=NODE + "[neighbours.kobe]\nstock = 5\n[applications.bank]\nquota = { rate = 3 }\n")
    found = {name: (entry.url, entry.links, entry.stock) for name, entry in file.neighbours.items()}
    assert found == {
        "odawara": ("https://odawara.example:8471", ("odawara-numazu",), 0),
        "kobe": ("https://kobe.example:8471", ("numazu-kobe",), 5),
        "nara": ("https://nara.example:8471", (), 77),
    }
    assert {sae: entry.node for sae, entry in file.applications.items()} == {"bank": "numazu", "hospital": "nara"}
    assert file.applications["bank"].quota.rate == 3
    settings = file.core_settings()
    assert settings.ways is not None
    assert settings.ways("nara", lambda _a, _b: 1.0) == ("numazu", "kobe", "nara")
    assert settings.ways("nara", lambda a, b: float("inf") if {a, b} == {"kobe", "nara"} else 1.0) is None


@pytest.mark.parametrize(
    ("node", "topology", "what"),
    [
        (NODE.replace('file = "line.signed.toml"\n', ""), TOPOLOGY, "file is missing"),
        (NODE.replace("line.signed.toml", "line.toml"), TOPOLOGY, "is not signed"),
        (NODE.replace("line.signed.toml", "elsewhere.toml"), TOPOLOGY, "elsewhere.toml"),
        (NODE, re.sub("numazu(?!-)", "fuji", TOPOLOGY), "has no node numazu"),
        (NODE, TOPOLOGY.replace("[links.odawara-numazu]", "[links.other]"), "has no link odawara-numazu"),
        (NODE, TOPOLOGY.replace('["numazu", "kobe"]', '["odawara", "kobe"]'), "numazu-kobe from odawara to kobe"),
        (NODE + '[applications.hospital]\nnode = "kobe"\n', TOPOLOGY, "is nara by the topology"),
        (NODE + '[neighbours.hakone]\nurl = "https://h:1"\n', TOPOLOGY, "nor does a topology"),
    ],
)
def test_mistakes_are_told(tmp_path: Path, node: str, topology: str, what: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(what)):
        read(tmp_path, node=node, topology=topology)
