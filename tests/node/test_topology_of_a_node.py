"""A node that runs on a signed topology: it takes a newer one, and never goes back, beyond its own life too."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tokaido.hal import ConfigurationError, RefusedError
from tokaido.node.node_file import control_socket
from tokaido.node.operation import ControlClient
from tokaido.node.topology import new_signing_key, sign
from tokaido_testing.console_runs import run_console
from tokaido_testing.node_files import living, make_node

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NODE = """
[topology]
file = "line.signed.toml"
public_key = "signing/topology.pub"
"""
TOPOLOGY = """
[topology]
network = "line"
serial = {serial}
valid_from = {begin}
{more}
[nodes.otemachi]
url = "https://127.0.0.1:1"
[nodes.koganei]
url = "https://127.0.0.1:2"
[nodes.hachioji]
url = "https://127.0.0.1:3"
[links.field]
ends = ["otemachi", "koganei"]
[links.west]
ends = ["koganei", "hachioji"]
[[pairs]]
ends = ["otemachi", "hachioji"]
stock = {stock}
routes = {routes}
"""


@pytest.fixture
def folder(tmp_path: Path, certificates: Path) -> Path:
    make_node(tmp_path, certificates, NODE)
    new_signing_key(tmp_path / "signing")
    return tmp_path


def issue(
    folder: Path,
    serial: int,
    *,
    stock: int = 8,
    routes: int = 1,
    begin: str = "2026-01-01T00:00:00Z",
    more: str = "",
) -> None:
    """Sign a topology as the node's, over whatever there is."""
    (folder / "line.signed.toml").unlink(missing_ok=True)
    text = TOPOLOGY.format(serial=serial, stock=stock, routes=routes, begin=begin, more=more)
    (folder / "line.toml").write_text(text, encoding="utf-8")
    sign(folder / "line.toml", folder / "signing" / "topology.key", folder / "line.signed.toml")


def stock_of(control: ControlClient) -> int:
    """Return how many keys a running node keeps ready for the far end of its pair."""
    return next(pair.target for pair in control.status().pairs if pair.neighbour == "hachioji")


def run(folder: Path, work: Callable[[ControlClient], None] = lambda _: None) -> None:
    living(folder, lambda _: work(ControlClient(control_socket(folder / "node.toml"))))


def test_a_newer_topology_is_taken_while_the_node_runs_and_an_older_one_is_not(folder: Path) -> None:
    issue(folder, 3, stock=8)

    def work(control: ControlClient) -> None:
        assert stock_of(control) == 8
        issue(folder, 4, stock=20)
        assert control.reload() == ()
        assert stock_of(control) == 20
        issue(folder, 3, stock=8)
        with pytest.raises(RefusedError, match="has serial 3, and this node took 4 before"):
            control.reload()
        assert stock_of(control) == 20

    run(folder, work)


def test_a_pair_that_wants_two_routes_and_has_none_has_the_cut_nodes_in_the_status(folder: Path) -> None:
    issue(folder, 1, routes=2)

    def work(control: ControlClient) -> None:
        (pair,) = [pair for pair in control.status().pairs if pair.neighbour == "hachioji"]
        assert (pair.routes, pair.disjoint, pair.cut_nodes) == (2, (), ("koganei",))
        code, out, _ = run_console("node", "status", str(folder / "node.toml"))
        assert code in {0, 1, 2}, out
        assert "no two ways: all pass koganei" in out
        issue(folder, 2)
        assert control.reload() == ()
        (pair,) = [pair for pair in control.status().pairs if pair.neighbour == "hachioji"]
        assert (pair.routes, pair.cut_nodes) == (1, ())

    run(folder, work)


@pytest.mark.parametrize("taken", ["at its start", "while it ran"])
def test_a_node_that_starts_again_does_not_go_back(folder: Path, taken: str) -> None:
    issue(folder, 4 if taken == "at its start" else 2)

    def work(control: ControlClient) -> None:
        issue(folder, 4)
        control.reload()

    run(folder, work)
    issue(folder, 3)
    with pytest.raises(ConfigurationError, match="has serial 3, and this node took 4 before"):
        run(folder)
    issue(folder, 4)
    run(folder)


@pytest.mark.parametrize(
    ("begin", "more"),
    [("2999-01-01T00:00:00Z", ""), ("2026-01-01T00:00:00Z", "valid_until = 2026-01-02T00:00:00Z")],
)
def test_a_topology_that_is_not_valid_now_is_refused(folder: Path, begin: str, more: str) -> None:
    issue(folder, 1, begin=begin, more=more)
    with pytest.raises(ConfigurationError, match=r"is valid from .* and now it is"):
        run(folder)
