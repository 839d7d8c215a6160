"""The files of a line: every one can be read by what it is for, and the optics of every span let light through."""

from __future__ import annotations

from pathlib import Path

import pytest

import tokaido.hal as hal
from tokaido.console._line.described import Described, described_line
from tokaido.console._line.plant import Plant, build
from tokaido.emulators import bench_from_station, join_stations
from tokaido.node.node_file import NodeFile
from tokaido.node.topology import read_signed


@pytest.fixture(scope="module")
def described() -> Described:
    return described_line()


@pytest.fixture(scope="module")
def plant(described: Described, tmp_path_factory: pytest.TempPathFactory) -> Plant:
    return build(tmp_path_factory.mktemp("line"), described.sites, described.spans, described.pairs, 1)


def test_every_node_reads_its_file_and_has_a_half_of_each_of_its_spans(plant: Plant) -> None:
    for name, files in plant.nodes.items():
        read = NodeFile.read(files.node)
        assert read.name == name
        assert read.emulation is False
        halves = hal.Station.from_file(files.station).half_links
        assert set(halves) == {span for span, one in plant.spans.items() if name in one.span.ends}


def test_the_signed_topology_has_all_sites_spans_and_pairs(plant: Plant, described: Described) -> None:
    topology = read_signed(plant.folder / "line.signed.toml", plant.folder / "signing" / "topology.pub")
    assert set(topology.nodes) == set(plant.nodes)
    assert {name: link.ends for name, link in topology.links.items()} == {
        name: files.span.ends for name, files in plant.spans.items()
    }
    assert {(pair.ends, pair.routes) for pair in topology.pairs} == {
        (pair.ends, pair.routes) for pair in described.pairs
    }


def test_light_of_every_span_takes_each_of_its_paths(plant: Plant) -> None:
    switched = 0
    for files in plant.spans.values():
        joined = join_stations(*(hal.Station.from_file(path) for path in files.stations))
        (link,) = joined.station.links.values()
        assert tuple(link.paths) == files.span.paths
        switched += len(link.paths)
        with bench_from_station(joined.station, for_others=False) as bench:  # refuses a path that no light can take
            assert len(bench.fibres) == len(files.span.fibres)
    assert switched == 4


def test_no_port_and_no_serial_number_is_anybody_elses(plant: Plant) -> None:
    stations = [hal.Station.from_file(files.station) for files in plant.nodes.values()]
    entries = [device for station in stations for device in station.devices.values()]
    places = [resource.address for entry in entries for resource in entry.resources.values()]
    assert len(set(places)) == len(places)
    serials = [serial for files in plant.spans.values() for serial in files.serial_numbers]
    assert len(set(serials)) == len(serials) == 2 * len(plant.spans)


def test_a_line_that_cannot_be_emulated_says_why(tmp_path: Path) -> None:
    file = tmp_path / "line.toml"
    file.write_text(
        """
[line]
name = "two"
[sites.a]
[sites.b]
[fibres.f]
ends = ["a", "b"]
length_km = 10
db_per_km = 0.2
[units.u]
preset = "gys"
[links.l]
ends = ["a", "b"]
units = "u"
fibres = ["f"]
""",
        encoding="utf-8",
    )
    with pytest.raises(hal.ConfigurationError) as raised:
        described_line(file)
    told = str(raised.value)
    assert "links.l: no emulated units are built as gys of no vendor" in told
    assert "demands: there is none" in told
