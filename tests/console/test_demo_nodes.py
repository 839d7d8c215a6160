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
from tokaido.console._line.places import described_places
from tokaido.console._line.shown import Shown
from tokaido.console._line.watch import Seen
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
    looks = [(0, 0), (40, 0), (40, 10), (40, 40), (50, 50)]
    seen: list[tuple[int, int]] = []

    def wait_for(what: str, holds: Any, deadline: hal.Deadline) -> None:
        assert "nagoya" in what
        assert not deadline.passed
        for ready in looks:
            seen.append(ready)
            ends = zip(("nagoya", "kobe"), ("kobe", "nagoya"), ready, strict=True)
            nodes = {
                name: SimpleNamespace(links=(), pairs=(SimpleNamespace(neighbour=other, ready=count),))
                for name, other, count in ends
            }
            if holds(Seen(1, nodes)):  # type: ignore[arg-type]
                return

    watch: Any = SimpleNamespace(wait_for=wait_for, last_route=lambda one, other: (one, other))
    run: Any = SimpleNamespace(watch=watch, check=lambda: None)
    view: Any = SimpleNamespace(say=lambda _: None)
    deadline = hal.Deadline(hal.SYSTEM_CLOCK, 30)
    Shown(described_places("chain", ["toshiba", "nec"]), run, view, deadline, bytes(16)).wait_for_keys(deadline)
    assert seen == looks[:4]


def test_spans_take_families_in_turn_and_only_keys_of_several_hops_are_confirmed() -> None:
    pair, chain = described_places("pair", ["nec"]), described_places("chain", ["toshiba", "nec"])
    assert [span.family for span in pair.spans] == ["nec"]
    assert [span.family for span in chain.spans] == ["toshiba", "nec", "toshiba", "nec"]
    assert [one.confirmed for one in (*pair.pairs, *chain.pairs)] == [False, True]
    assert [site.application for site in chain.sites] == ["bank", "", "", "", "hospital"]
    with pytest.raises(hal.ConfigurationError, match="Choose one of: nec, toshiba"):
        described_places("pair", ["acme"])
