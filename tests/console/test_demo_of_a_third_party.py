"""A family of another distribution is demonstrated as ours are: its entry points say all that the console must know."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import tokaido.hal as hal
from tokaido.console import main
from tokaido.emulators import launch
from tokaido.emulators.demonstrations import GROUP, demonstrable, demonstration

PACKAGE = Path(__file__).parents[1] / "packages" / "acme_units"


@pytest.fixture
def acme(monkeypatch: pytest.MonkeyPatch) -> None:
    """Install the distribution `acme-units`."""
    monkeypatch.syspath_prepend(PACKAGE)


@pytest.mark.usefixtures("acme", "half_blocks")
@pytest.mark.thorough
def test_its_cut_fibre_costs_no_key_its_agreement(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--scenario", "switch", "--vendor", "acme", "--json", "--seed", "3"]) == 0
    found = json.loads(capfd.readouterr().out)
    assert (found["vendor"], found["agree"]) == ("acme", True)
    assert [link["transmitter"] for link in found["links"]] == ["ACME-A1", "ACME-A1"]
    assert [link["length_km"] for link in found["links"]] == [10.0, 14.0]
    assert all(0 < link["qber"] < 0.06 and link["key_blocks"] == 1 for link in found["links"])


@pytest.mark.usefixtures("acme")
def test_it_stands_beside_ours() -> None:
    assert demonstrable() == ("acme", "nec", "toshiba")
    assert demonstration("acme").style == "ACME"


@pytest.mark.usefixtures("acme")
def test_without_a_field_link_it_has_no_scenario_link(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--scenario", "link", "--vendor", "acme"]) == 2
    assert "--scenario switch" in capsys.readouterr().err


@pytest.mark.parametrize("scenario", ["link", "switch"])
def test_a_family_that_is_not_installed_is_answered_with_those_that_are(
    scenario: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["demo", "--vendor", "acme", "--scenario", scenario]) == 2
    assert "Choose one of: nec, toshiba" in capsys.readouterr().err


def test_an_entry_without_both_units_demonstrates_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "lone-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: lone\nVersion: 1.0\n")
    units = "lone.transmitter = lone:Alice"
    (folder / "entry_points.txt").write_text(
        f"[tokaido.drivers]\n{units}\n[tokaido.emulators]\n{units}\n[{GROUP}]\nlone = lone:SHOWN\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert demonstrable() == ("nec", "toshiba")


@pytest.mark.usefixtures("acme")
def test_its_units_are_launched_with_the_options_of_their_constructor() -> None:
    with launch("acme.receiver", model_options={"warmup_limit_s": 20.0}) as unit:
        assert unit.model.WARMUP_LIMIT_S == 20.0  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(
        hal.ConfigurationError, match=r"acme.receiver takes no option 'warmup'. Choose from state_dir.*warmup_limit_s"
    ):
        launch("acme.receiver", model_options={"warmup": 20.0})
