"""The demonstration of two nodes: processes of their own, an emulated link, the same keys at both ends."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tokaido_testing.patience import patient


@pytest.mark.thorough
@pytest.mark.timeout(300)
@pytest.mark.parametrize("vendor", ["toshiba", "nec"])
def test_a_pair_of_nodes_gives_two_applications_the_same_keys(vendor: str) -> None:
    command = [sys.executable, "-c", "from tokaido.console import main; raise SystemExit(main())"]
    seconds = patient(90)
    done = subprocess.run(
        [*command, "demo", "--scenario", "pair", "--vendor", vendor, "--seconds", f"{seconds:.0f}", "--json"],
        capture_output=True,
        text=True,
        timeout=seconds + 60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert [node["name"] for node in found["nodes"]] == ["otemachi", "koganei"]
    assert found["links"][0]["integrity"] == "relays trusted"
    assert len(found["deliveries"]) == 4
    assert {(one["master_sae"], one["slave_sae"]) for one in found["deliveries"]} == {
        ("bank", "hospital"),
        ("hospital", "bank"),
    }
    for one in found["deliveries"]:
        assert one["agree"]
        assert one["digest_master"] == one["digest_slave"]
        assert set(one["route"]) == {"otemachi", "koganei"}
    assert len({one["key_id"] for one in found["deliveries"]}) == 4
