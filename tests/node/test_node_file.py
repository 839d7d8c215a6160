"""Node files: what they say, and how their mistakes are told."""

from __future__ import annotations

import os
import re
from dataclasses import fields
from pathlib import Path

import pytest

from tokaido.hal import ConfigurationError
from tokaido.node import NodeFile
from tokaido.node.core import CoreSettings, Quota
from tokaido.node.node_file import control_socket
from tokaido.node.supervision import SupervisionSettings

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "node-file.md"
EXAMPLES = Path(__file__).parents[2] / "examples" / "node"
STATION = """
[station]
name = "otemachi"
[devices.alice]
driver = "toshiba.transmitter"
control = "serial:/nowhere"
[links.field]
unit = "alice"
neighbour = "koganei"
"""


def on_the_page() -> str:
    """Return the file that the page shows."""
    found = re.search(r"```toml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    return found[1]


def read(text: str, folder: Path, station: str = STATION) -> NodeFile:
    (folder / "otemachi-station.toml").write_text(station, encoding="utf-8")
    return NodeFile.from_text(text, folder)


def mistakes(text: str, folder: Path, station: str = STATION) -> str:
    with pytest.raises(ConfigurationError) as caught:
        read(text, folder, station)
    return "\n".join(caught.value.mistakes)


def test_the_file_on_the_page_says_what_the_page_says(tmp_path: Path) -> None:
    file = read(on_the_page(), tmp_path)
    assert (file.name, file.on_exit, file.emulation) == ("otemachi", "keep", False)
    assert file.store == tmp_path / "state/otemachi.sqlite"
    assert file.wrapping_key == tmp_path / "state/otemachi.key"
    assert str(file.neighbours_at) == "192.0.2.1:8471"
    assert file.skip_at is file.metrics_at is None
    assert file.neighbours["koganei"].links == ("field",)
    assert file.hold_off_s == 2
    assert read(on_the_page() + "[alarms]\nhold_off_s = 60\n", tmp_path).hold_off_s == 60
    settings = file.core_settings()
    assert settings.neighbours["koganei"].stock == 4096
    assert settings.applications["bank"].quota == Quota(20, 400, 0.5)
    assert settings.applications["hospital"].node == "koganei"


def test_the_page_has_every_key_of_the_tables_keys_and_supervision() -> None:
    page = PAGE.read_text(encoding="utf-8")
    elsewhere = {"node", "neighbours", "applications", "emulation", "ways", "disjoint"}
    core = {field.name for field in fields(CoreSettings)} - elsewhere
    for name in core | {field.name for field in fields(SupervisionSettings)}:
        assert f"`{name}`" in page, name


@pytest.mark.parametrize("node", ["otemachi", "koganei"])
def test_the_examples_are_right(node: str) -> None:
    file = NodeFile.read(EXAMPLES / f"{node}.toml")
    assert file.name == node
    assert file.core_settings().neighbours.keys() == {"otemachi", "koganei"} - {node}


def test_an_empty_file_is_told_everything_that_it_lacks(tmp_path: Path) -> None:
    told = mistakes("", tmp_path)
    for lack in ("name is missing", "station is missing", "path is missing", "certificate is missing", "key_file"):
        assert lack in told, told
    assert "neighbours is missing" in told


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('name = "otemachi"', 'name = "ote machi"', "'ote machi' is not a name"),
        ('name = "otemachi"', 'name = "otemachi"\nwidth = 3', "node.width: unknown key; known are name"),
        ('key_file = "state/otemachi.key"', "", "one of key_file"),
        ('key_file = "state/otemachi.key"', 'key_file = "a"\ncredential = "b"', "one of key_file"),
        ('"192.0.2.1:8471"', '"192.0.2.1"', "must be HOST:PORT, not '192.0.2.1'"),
        ('"192.0.2.1:8471"', '"192.0.2.1:99999"', "must be HOST:PORT"),
        ('"https://koganei.example:8471"', '"http://koganei.example"', "must be https://HOST:PORT"),
        ("[neighbours.koganei]", "[neighbours.hakone]", "link field leads to koganei, and there is no table"),
        ("[neighbours.koganei]", "[neighbours.hakone]", "no link of the station file or of [links] leads there"),
        ('url = "https://koganei.example:8471"', 'url = "https://k:1"\nbatch = 65', "a whole number of keys, 1 to 64"),
        ('url = "https://koganei.example:8471"', 'url = "https://k:1"\nroutes = 3', "routes: must be 1 or 2, not 3"),
        ('url = "https://koganei.example:8471"', 'url = "https://k:1"\nroutes = 2', "needs a table [topology]"),
        ("share = 0.5", "share = 50", "a share of the stock, 0 to 1"),
        ('hospital = { node = "koganei" }', 'hospital = { node = "nagoya" }', "neither this node nor one of its"),
        ('{ node = "koganei" }', '{ node = "koganei", quota = { rate = 1 } }', "belongs to the file of the node"),
        ("[applications]", "[keys]\nkey_size = 255\n[applications]", "a multiple of 8"),
        ("[applications]", "[supervision]\npoll_s = 0\n[applications]", "a number of seconds"),
        ("[applications]", "[alarms]\nhold_off_s = -1\n[applications]", "alarms.hold_off_s"),
        ("[applications]", '[links.w]\nsource = "kme"\nneighbour = "koganei"\n[applications]', "no device 'kme'"),
        (
            "[applications]",
            '[links.field]\nsource = "alice"\nneighbour = "koganei"\n[applications]',
            "half-link of the",
        ),
        ("[applications]", "[links.w]\n[applications]", "needs source"),
        ("[applications]", "[links.w]\nfetches = true\n[applications]", "links.w.fetches: unknown key"),
        ("[applications]", "[extras]\n[applications]", "extras: unknown key"),
    ],
)
def test_each_mistake_is_told_where_it_is(tmp_path: Path, old: str, new: str, told: str) -> None:
    text = on_the_page()
    assert old in text
    assert told in mistakes(text.replace(old, new), tmp_path)


KEY_MANAGER = """
[devices.kme]
driver = "etsi014.source"
control = "https://kme.example:8443?peer=bank&end={end}&cert_file=a.crt&key_file=a.key&ca_file=ca.crt"
[devices.switch]
driver = "polatis.matrix"
control = "visa:TCPIP::127.0.0.1::1::SOCKET"
"""


@pytest.mark.parametrize(("end", "fetches"), [("master", False), ("slave", True)])
def test_a_link_fetches_its_blocks_if_its_source_is_a_slave_s_end(tmp_path: Path, end: str, fetches: bool) -> None:
    text = on_the_page() + '[links.bought]\nsource = "%s"\nneighbour = "koganei"\n'
    station = STATION + KEY_MANAGER.format(end=end)
    links = read(text % "kme", tmp_path, station).core_settings().neighbours["koganei"].links
    assert {link.name: link.fetches for link in links} == {"field": False, "bought": fetches}
    assert "'switch' cannot give keys" in mistakes(text % "switch", tmp_path, station)


def test_mistakes_of_the_station_file_are_told_with_them(tmp_path: Path) -> None:
    text = on_the_page().replace('"192.0.2.1:8471"', '"192.0.2.1"')
    told = mistakes(text, tmp_path, STATION.replace("toshiba.transmitter", "toshiba.sender"))
    assert "there is no driver 'toshiba.sender'" in told
    assert "must be HOST:PORT" in told


def test_a_confirm_key_has_32_bytes_and_no_other_readers(tmp_path: Path) -> None:
    text = on_the_page().replace("[applications]", "[applications]", 1)
    text = text.replace('url = "https://koganei.example:8471"', 'url = "https://k:1"\nconfirm_key_file = "pair.key"')
    file, key = read(text, tmp_path), tmp_path / "pair.key"
    with pytest.raises(ConfigurationError, match="cannot be read"):
        file.core_settings()
    key.write_bytes(os.urandom(31))
    key.chmod(0o600)
    with pytest.raises(ConfigurationError, match="has 31 bytes, and 32 are wanted"):
        file.core_settings()
    key.write_bytes(os.urandom(32))
    key.chmod(0o640)
    with pytest.raises(ConfigurationError, match="open to others"):
        file.core_settings()
    key.chmod(0o600)
    found = file.core_settings().neighbours["koganei"].confirm_key
    assert found is not None
    assert len(found) == 32


def test_what_needs_a_restart_is_told(tmp_path: Path) -> None:
    text = on_the_page()
    file = read(text, tmp_path)
    assert file.needs_restart(read(text.replace("rate = 20", "rate = 30"), tmp_path)) == ()
    other = read(text.replace("192.0.2.1:8443", "192.0.2.1:9443").replace("koganei.example", "k.example"), tmp_path)
    assert file.needs_restart(other) == ("applications_at", "neighbours (their urls and links)")


def test_metrics_have_readers_or_a_socket(tmp_path: Path) -> None:
    text = on_the_page()
    assert "metrics_readers: names" in mistakes(text.replace("[listen]", '[listen]\nmetrics = "127.0.0.1:1"'), tmp_path)
    alone = text.replace("[listen]", '[listen]\nmetrics_readers = ["prometheus"]')
    assert "for metrics at HOST:PORT alone" in mistakes(alone, tmp_path)
    assert "a list of names" in mistakes(text.replace("[listen]", "[listen]\nmetrics_readers = 'x'"), tmp_path)
    both = text.replace("[listen]", '[listen]\nmetrics = "127.0.0.1:1"\nmetrics_readers = ["prometheus"]')
    assert read(both, tmp_path).metrics_readers == ("prometheus",)
    assert read(text.replace("[listen]", '[listen]\nmetrics = "unix:m"'), tmp_path).metrics_at == tmp_path / "m"


def test_state_has_an_address_and_readers(tmp_path: Path) -> None:
    text = on_the_page()
    for line in ('state = "127.0.0.1:1"', "state_readers = ['noc']", 'state = "127.0.0.1:1"\nstate_readers = []'):
        assert "state goes with state_readers" in mistakes(text.replace("[listen]", f"[listen]\n{line}"), tmp_path)
    both = text.replace("[listen]", '[listen]\nstate = "127.0.0.1:1"\nstate_readers = ["noc"]')
    file = read(both, tmp_path)
    assert (str(file.state_at), file.state_readers) == ("127.0.0.1:1", ("noc",))
    other = read(both.replace('"noc"', '"elsewhere"'), tmp_path)
    assert "state_readers" in file.needs_restart(other)
    wrong = both.replace('state = "127.0.0.1:1"', 'state = "unix:state.sock"')
    assert "must be HOST:PORT" in mistakes(wrong, tmp_path)


def test_what_only_a_restart_can_change_is_named(tmp_path: Path) -> None:
    text = on_the_page()
    before = read(text, tmp_path)
    assert before.needs_restart(read(text + "[supervision]\nno_key_s = 60\n", tmp_path)) == ()
    assert before.needs_restart(read(text + "[supervision]\npoll_s = 2\n", tmp_path)) == ("supervision.poll_s",)
    moved = text.replace("koganei.example", "elsewhere.example").replace("state/otemachi.sqlite", "x.sqlite")
    assert before.needs_restart(read(moved, tmp_path)) == ("store", "neighbours (their urls and links)")


def test_a_control_socket_is_found_whatever_else_is_in_the_file(tmp_path: Path) -> None:
    file = tmp_path / "node.toml"
    file.write_text("[node]\nname = 'otemachi'\nnonsense = 1\n", encoding="utf-8")
    assert control_socket(file) == tmp_path / "otemachi.sock"
    file.write_text("[listen]\ncontrol = 'run/c'\n", encoding="utf-8")
    assert control_socket(file) == tmp_path / "run" / "c"
    file.write_text("[listen]\ncontrol = 7\n", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="names no control socket"):
        control_socket(file)
