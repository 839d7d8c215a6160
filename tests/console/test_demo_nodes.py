"""The demonstrations of nodes: processes of their own, emulated links, the same keys at both ends."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest

import tokaido.hal as hal
from tokaido.console._demo_nodes import wait_for_keys
from tokaido_testing.patience import patient

COMMAND = [sys.executable, "-c", "from tokaido.console import main; raise SystemExit(main())"]


def shown(scenario: str, *options: str) -> dict[str, Any]:
    """Return what a demonstration says in JSON."""
    seconds = patient(90)
    done = subprocess.run(
        [*COMMAND, "demo", "--scenario", scenario, *options, "--seconds", f"{seconds:.0f}", "--json"],
        capture_output=True,
        text=True,
        timeout=seconds + 60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    assert len(found["deliveries"]) == 4
    assert {(one["master_sae"], one["slave_sae"]) for one in found["deliveries"]} == {
        ("bank", "hospital"),
        ("hospital", "bank"),
    }
    for one in found["deliveries"]:
        assert one["agree"]
        assert one["digest_master"] == one["digest_slave"]
    assert len({one["key_id"] for one in found["deliveries"]}) == 4
    return found


@pytest.mark.thorough
@pytest.mark.timeout(300)
@pytest.mark.parametrize("vendor", ["toshiba", "nec"])
def test_a_pair_of_nodes_gives_two_applications_the_same_keys(vendor: str) -> None:
    found = shown("pair", "--vendor", vendor)
    assert [node["name"] for node in found["nodes"]] == ["otemachi", "koganei"]
    assert found["integrity"] == "relays trusted"
    assert {frozenset(one["route"]) for one in found["deliveries"]} == {frozenset({"otemachi", "koganei"})}


@pytest.mark.thorough
@pytest.mark.timeout(400)
def test_a_chain_of_nodes_relays_keys_from_end_to_end() -> None:
    found = shown("chain")
    names = [node["name"] for node in found["nodes"]]
    assert len(names) == 5
    assert {link["style"] for link in found["links"]} == {"Toshiba-style", "NEC-style"}
    assert [link["nodes"] for link in found["links"]] == [list(two) for two in pairwise(names)]
    assert found["integrity"] == "confirmed end to end"
    for one in found["deliveries"]:
        assert one["route"] == (names if one["master_sae"] == "bank" else names[::-1])


def test_the_applications_begin_when_each_end_has_keys_of_its_own() -> None:
    """Each end owns its own keys: the other one cannot give them."""
    stocks = {"nagoya": [0, 40, 40, 40], "kobe": [0, 0, 10, 40]}
    asked = dict.fromkeys(stocks, 0)

    def end(name: str) -> Any:
        def status(_: str) -> Any:
            asked[name] += 1
            return SimpleNamespace(stored_key_count=stocks[name][min(asked[name], len(stocks[name])) - 1])

        return SimpleNamespace(node=name, sae=f"sae-{name}", client=SimpleNamespace(status=status))

    ends: Any = (end("nagoya"), end("kobe"))
    plant: Any = SimpleNamespace(ends=[SimpleNamespace(name=one.node) for one in ends], wanted_stock=16)
    view: Any = SimpleNamespace(say=lambda _: None)
    wait_for_keys(view, plant, ends, hal.Deadline(hal.SYSTEM_CLOCK, patient(30)), [])
    assert asked == {"nagoya": 4, "kobe": 4}
