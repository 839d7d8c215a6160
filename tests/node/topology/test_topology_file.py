"""Topology files: what they say, and how all their mistakes are told at once."""

from __future__ import annotations

import datetime
import re
import time
from pathlib import Path

import pytest

from tokaido.hal import ConfigurationError
from tokaido.node.topology import (
    MOST_NODES,
    Topology,
    TopologyLink,
    TopologyNode,
    TopologyPair,
    disjoint_routes,
    read_topology,
    survey_pair,
    topology_from_text,
)
from tokaido_testing.topologies import DAY, one_a_hop, topology

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "reference" / "topology-file.md"
EXAMPLE = ROOT / "examples" / "node" / "topology.toml"


def on_the_page() -> str:
    """Return the file that the page shows."""
    found = re.search(r"```toml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    return found[1]


def mistakes(text: str) -> tuple[str, ...]:
    with pytest.raises(ConfigurationError) as caught:
        topology_from_text(text)
    return caught.value.mistakes


def test_the_file_on_the_page_says_what_the_page_says() -> None:
    found = topology_from_text(on_the_page())
    assert (found.network, found.serial) == ("tokaido-line", 7)
    assert found.valid_from == datetime.datetime(2026, 10, 31, 15, tzinfo=datetime.UTC)
    tokyo = found.nodes["tokyo"]
    assert (tokyo.name, tokyo.url, tokyo.site) == ("tokyo", "https://198.51.100.1:8471", "Tokyo")
    assert (tokyo.latitude, tokyo.longitude, tokyo.km_post) == (35.681, 139.767, 0.0)
    assert found.links["tokyo-odawara"].ends == ("tokyo", "odawara")
    assert (found.links["tokyo-odawara"].length_km, found.links["odawara-kobe"].length_km) == (83.9, None)
    assert found.pairs == (TopologyPair(("tokyo", "kobe"), 4096, 1),)
    assert found.applications == {"bank": "tokyo", "hospital": "kobe"}
    assert found.neighbours("odawara") == ("kobe", "tokyo")
    assert found.links_between("kobe", "odawara") == ("odawara-kobe",)
    assert found.links_between("kobe", "tokyo") == ()


def test_the_example_is_right_and_every_pair_has_what_it_asks_for() -> None:
    found = read_topology(EXAMPLE)
    assert [survey_pair(found, pair).lack for pair in found.pairs] == ["", "", ""]
    assert disjoint_routes(found, "nagoya", "osaka", one_a_hop) == (
        ("nagoya", "maibara", "osaka"),
        ("nagoya", "kameyama", "nara", "osaka"),
    )


def test_defaults_are_those_of_the_page() -> None:
    text = on_the_page().replace("stock = 4096\nroutes = 1\n", "").replace("valid_until", "# valid_until")
    found = topology_from_text(text)
    assert found.pairs == (TopologyPair(("tokyo", "kobe"), 4096, 1),)
    assert found.valid_until is None
    assert "default: 4096" in PAGE.read_text(encoding="utf-8")


def test_validity_is_from_the_first_moment_to_the_last() -> None:
    found = topology_from_text(on_the_page())
    second = datetime.timedelta(seconds=1)
    assert found.valid_until is not None
    assert [found.valid_at(found.valid_from - second), found.valid_at(found.valid_from)] == [False, True]
    assert [found.valid_at(found.valid_until), found.valid_at(found.valid_until + second)] == [True, False]
    assert topology([("a", "b")]).valid_at(DAY + datetime.timedelta(days=30000))
    with pytest.raises(ConfigurationError, match="has no offset"):
        found.valid_at(datetime.datetime(2026, 12, 1))


def test_an_empty_file_is_told_everything_that_it_lacks() -> None:
    told = "\n".join(mistakes(""))
    for lack in ("network: is missing", "serial: is missing", "valid_from: is missing", "nodes: must be 1 to 2000"):
        assert lack in told, told


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('network = "tokaido-line"', 'network = "tokaido line"', "line 2, topology.network: must be a name"),
        ("serial = 7", "serial = 0", "line 3, topology.serial: must be a whole number from 1"),
        ("serial = 7", "serial = true", "line 3, topology.serial: must be a whole number from 1"),
        ("serial = 7", "colour = 7", "line 1, topology.serial: is missing; it must be a whole number"),
        ("serial = 7", "serial = 7\ncolour = 7", "line 4, topology.colour: unknown key; known are network, serial"),
        ("2026-11-01T00:00:00+09:00", "2026-11-01T00:00:00", "line 4, topology.valid_from: must be a date and time"),
        ("2026-11-01T00:00:00+09:00", "2026-11-01", "line 4, topology.valid_from: must be a date and time"),
        ("2026-11-01T00:00:00+09:00", "0001-01-01T00:00:00+09:00", "line 4, topology.valid_from: must be a date and"),
        ("2027-03-31", "2026-10-31", "line 5, topology.valid_until: must be later than valid_from, 2026-11-01"),
        ("[nodes.tokyo]", '[nodes."to kyo"]', "line 7, nodes.to kyo: 'to kyo' cannot be the name of a node"),
        ("[nodes.tokyo]", f"[nodes.{'t' * 65}]", "cannot be the name of a node: 1 to 64 of"),
        ("https://198.51.100.1:8471", "http://198.51.100.1:8471", 'line 8, nodes.tokyo.url: must be "https://HOST:PORT"'),
        ("https://198.51.100.2:8471", "https://198.51.100.1:8471/", "line 15, nodes.odawara.url: is that of node"),
        ('url = "https://198.51.100.2:8471"\n', "", "line 14, nodes.odawara: url is missing"),
        ("latitude = 35.681\n", "", "line 7, nodes.tokyo: must have both latitude and longitude"),
        ("latitude = 35.681", "latitude = 91", "line 10, nodes.tokyo.latitude: must be degrees, -90 to 90, not 91"),
        ("km_post = 83.9", 'km_post = "83.9"', "line 16, nodes.odawara.km_post: must be a number of km"),
        ("[links.tokyo-odawara]", '[links."a b"]', "line 22, links.a b: 'a b' cannot be the name of a link"),
        ('["tokyo", "odawara"]', '["tokyo", "tokyo"]', "line 23, links.tokyo-odawara.ends: must be two nodes, and"),
        ('["tokyo", "odawara"]', '["tokyo"]', "line 23, links.tokyo-odawara.ends: must be the names of two"),
        ('["tokyo", "odawara"]', '["tokyo", "hakone"]', "ends: there is no node 'hakone'; the file has kobe, oda"),
        ("length_km = 83.9", "length_km = -1", "line 24, links.tokyo-odawara.length_km: must be a number of km, at"),
        ('ends = ["odawara", "kobe"]', "", "line 26, links.odawara-kobe: ends is missing; it must be the names of"),
        ("stock = 4096", "stock = -1", "line 31, pairs[0].stock: must be a whole number of keys, 0 to 1000000"),
        ("routes = 1", "routes = 3", "line 32, pairs[0].routes: must be 1 or 2, not 3"),
        ('["tokyo", "kobe"]', '["tokyo", "kyoto"]', "line 30, pairs[0].ends: there is no node 'kyoto'"),
        ('["tokyo", "kobe"]', '["tokyo", "kobe"]\n[[pairs]]\nends = ["kobe", "tokyo"]', "line 31, pairs[1]: kobe and"),
        ("[[pairs]]", "[pairs]", "line 29, pairs: must be tables [[pairs]]"),
        ('bank = { node = "tokyo" }', "bank = {}", "line 35, applications.bank: node is missing"),
        ('bank = { node = "tokyo" }', 'bank = "tokyo"', "line 35, applications.bank: must be a table, not 'tokyo'"),
        ('bank = { node = "tokyo" }', 'bank = { node = "kyoto" }', "line 35, applications.bank.node: there is no node"),
        ('bank = { node = "tokyo" }', '"" = { node = "tokyo" }', "applications: the id of an application is empty"),
        ("[applications]", "[extras]\n[applications]", "line 34, extras: unknown key; known are topology, nodes"),
    ],
)  # fmt: skip
def test_each_mistake_is_told_where_it_is(old: str, new: str, told: str) -> None:
    text = on_the_page()
    assert old in text
    found = mistakes(text.replace(old, new, 1))
    assert any(told in one for one in found), found


def test_all_mistakes_are_told_at_once_and_the_file_is_named(tmp_path: Path) -> None:
    text = on_the_page().replace("serial = 7", "serial = -7").replace("latitude = 35.681\n", "")
    path = tmp_path / "line.toml"
    path.write_text(text.replace("routes = 1", "routes = 0"), encoding="utf-8")
    with pytest.raises(ConfigurationError, match=re.escape(f"the topology file {path} has 3 mistakes")) as caught:
        read_topology(path)
    assert [one.partition(",")[0] for one in caught.value.mistakes] == ["line 3", "line 7", "line 31"]


def test_files_that_cannot_be_read_say_why(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"none\.toml cannot be read: No such file"):
        read_topology(tmp_path / "none.toml")
    (tmp_path / "latin.toml").write_bytes(b'[topology]\nnetwork = "\xe9"')
    with pytest.raises(ConfigurationError, match=r"latin\.toml is not UTF-8: .*Save it as UTF-8"):
        read_topology(tmp_path / "latin.toml")
    (tmp_path / "long.toml").write_bytes(b"#" * ((1 << 22) + 1))
    with pytest.raises(ConfigurationError, match="more than 4194304 bytes"):
        read_topology(tmp_path / "long.toml")
    with pytest.raises(ConfigurationError, match="is not TOML"):
        topology_from_text("[topology")
    (tmp_path / "marked.toml").write_text(on_the_page(), encoding="utf-8-sig")
    assert read_topology(tmp_path / "marked.toml").serial == 7


def of_nodes(count: int) -> str:
    nodes = "".join(f'[nodes.n{number}]\nurl = "https://192.0.2.1:{number}"\n' for number in range(1, count + 1))
    return f'[topology]\nnetwork = "big"\nserial = 1\nvalid_from = 2026-01-01T00:00:00Z\n{nodes}'


def test_so_many_nodes_and_no_more_and_many_mistakes_are_told_in_time() -> None:
    assert len(topology_from_text(of_nodes(MOST_NODES)).nodes) == MOST_NODES
    assert mistakes(of_nodes(MOST_NODES + 1)) == ("nodes: must be 1 to 2000 tables [nodes.NAME], not 2001",)
    began = time.process_time()
    assert len(mistakes(of_nodes(MOST_NODES).replace("url", "uri"))) == 2 * MOST_NODES
    assert time.process_time() - began < 10  # 0.2 s; when each mistake went through the file for its line, minutes


def test_two_nodes_have_at_most_64_links() -> None:
    links = [f'[links.l{number}]\nends = ["n{1 + number % 2}", "n{2 - number % 2}"]\n' for number in range(65)]
    assert len(topology_from_text(of_nodes(2) + "".join(links[:64])).links_between("n1", "n2")) == 64
    assert mistakes(of_nodes(2) + "".join(links)) == (
        "line 137, links.l64: is one too many: two nodes have at most 64 links",
    )


def test_a_topology_made_by_a_program_is_checked_too() -> None:
    for ends in (("a", "x"), ("a", "a")):
        with pytest.raises(ConfigurationError, match=r"link l from 'a' to .* does not join two nodes"):
            Topology("test", 1, DAY, None, {"a": TopologyNode("a", "")}, {"l": TopologyLink("l", ends)})
