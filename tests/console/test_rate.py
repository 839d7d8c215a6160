"""`tokaido rate`: one JSON object of one shape for every link, and each mistake told with what is possible."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tokaido.console import main
from tokaido.emulators import optics

Capture = pytest.CaptureFixture[str]
MEMBERS = [
    "preset",
    "settings",
    "distance_km",
    "loss_db",
    "gains",
    "qber",
    "sifted_bps",
    "asymptotic_bps",
    "secret_bps",
    "single_photon",
    "pulses",
    "method",
    "secure_against",
    "bound",
    "eps",
]
EXAMPLE = Path(__file__).parents[2] / "examples" / "my_link.toml"


def rate(capsys: Capture, *arguments: str) -> dict[str, Any]:
    assert main(["rate", *arguments, "--json"]) == 0
    shown = capsys.readouterr()
    assert shown.err == ""
    found: dict[str, Any] = json.loads(shown.out, parse_constant=pytest.fail)
    return found


def told(capsys: Capture, *arguments: str) -> str:
    assert main(["rate", *arguments]) == 0
    return capsys.readouterr().out


def mistake(capsys: Capture, *arguments: str) -> str:
    assert main(["rate", *arguments]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("error: ")
    return shown.err


# --- the object -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("preset", optics.presets())
def test_every_preset_gives_one_object_of_one_shape(preset: str, capsys: Capture) -> None:
    found = rate(capsys, "--preset", preset, "--distance", "50")
    assert list(found) == MEMBERS
    assert (found["preset"], found["settings"], found["distance_km"]) == (preset, "published", 50)
    assert found["loss_db"] == pytest.approx(50 * optics.preset_info(preset).db_per_km)
    assert list(found["gains"]) == ["signal", "decoy", "vacuum"]
    assert list(found["qber"]) == ["z", "x"]
    assert list(found["single_photon"]) == ["yield", "error"]
    assert found["secret_bps"] > 0
    assert isinstance(found["method"], str)


def test_the_figures_are_those_of_the_library(capsys: Capture) -> None:
    found = rate(capsys, "--preset", "t12", "--loss", "10", "--method", "lim", "--bound", "hoeffding")
    expected = optics.link_rate(optics.preset("t12", channel_loss_db=10), method="lim", bound="hoeffding")
    assert found["secret_bps"] == expected.secret_bps
    assert tuple(found["gains"].values()) == expected.gains
    assert found["qber"] == {"z": expected.qber_z, "x": expected.qber_x}
    assert (found["pulses"], found["method"], found["bound"], found["eps"]) == (
        expected.pulses,
        "lim",
        "hoeffding",
        expected.eps,
    )
    assert found["distance_km"] is None


def test_what_a_protocol_does_not_have_is_null(capsys: Capture) -> None:
    found = rate(capsys, "--preset", "dps-2007", "--loss", "30")
    assert found["gains"]["signal"] > 0
    assert (found["gains"]["decoy"], found["gains"]["vacuum"], found["qber"]["x"]) == (None, None, None)
    assert found["single_photon"] == {"yield": None, "error": None}
    assert (found["pulses"], found["bound"], found["eps"]) == (None, None, None)
    assert rate(capsys, "--preset", "boaron-2018", "--loss", "30")["gains"]["vacuum"] is None


def test_methods_without_end_have_no_block(capsys: Capture) -> None:
    found = rate(capsys, "--preset", "t12", "--loss", "10", "--method", "asymptotic")
    assert (found["method"], found["pulses"], found["bound"], found["eps"]) == ("asymptotic", None, None, None)
    assert found["secret_bps"] == found["asymptotic_bps"]


def test_methods_and_blocks_make_a_difference(capsys: Capture) -> None:
    at = ("--preset", "t12", "--loss", "10")
    rates = {method: rate(capsys, *at, "--method", method)["secret_bps"] for method in ("lim", "lucamarini")}
    assert 0 < rates["lim"] < rates["lucamarini"]
    assert rate(capsys, *at, "--method", "lim", "--pulses", "1e9")["secret_bps"] == 0
    assert rate(capsys, *at, "--pulses", "5e11")["pulses"] == 5e11


def test_short_blocks_have_settings_of_their_own(capsys: Capture) -> None:
    found = rate(capsys, "--preset", "t12", "--settings", "short-block", "--loss", "14.5", "--method", "lim")
    assert found["settings"] == "short-block"
    assert found["secret_bps"] > 0


# --- for people -------------------------------------------------------------------------------------------------------


def test_a_secret_rate_stands_with_method_bound_block_and_eps(capsys: Capture) -> None:
    text = told(capsys, "--preset", "t12", "--distance", "50", "--method", "lim")
    (line,) = [line for line in text.splitlines() if line.strip().startswith("secret")]
    assert "lim, chernoff bound, n = 1.2e12 pulses in 20 min, eps 1e-10, against general attacks" in line


def test_what_was_fitted_or_assumed_is_said(capsys: Capture) -> None:
    text = told(capsys, "--preset", "t12", "--distance", "50")
    assert "fitted      receiver_loss_db = 2.8 (to the signal gain" in text
    assert "assumed     dead_time_s = 2e-09" in text
    changed = told(capsys, "--preset", "t12", "--distance", "50", "--set", "receiver_loss_db=2.5")
    assert "receiver_loss_db" not in changed


def test_no_key_is_said_in_words_and_is_no_failure(capsys: Capture) -> None:
    text = told(capsys, "--preset", "t12", "--distance", "150")
    assert "no key: lucamarini" in text
    assert "no key even from blocks without end" in text
    assert rate(capsys, "--preset", "t12", "--distance", "150")["secret_bps"] == 0


def test_a_unit_that_cannot_process_more_says_so(capsys: Capture) -> None:
    assert "as much as the unit can process" in told(capsys, "--preset", "commercial", "--loss", "0")


# --- changes ----------------------------------------------------------------------------------------------------------


def test_any_parameter_can_be_set(capsys: Capture) -> None:
    at = ("--preset", "t12", "--loss", "10", "--method", "asymptotic")
    found = rate(
        capsys, *at, "--set", "detector_efficiency=0.4", "--set", "intensities=0.5,0.13,0.001", "--set", "dead_time_s=0"
    )
    params = optics.changed_parameters(
        optics.preset("t12", channel_loss_db=10),
        {"detector_efficiency": 0.4, "intensities": (0.5, 0.13, 0.001), "dead_time_s": 0},
    )
    assert found["secret_bps"] == optics.link_rate(params, method="asymptotic").secret_bps
    assert rate(capsys, *at, "--set", "keyed_bases=key")["secret_bps"] < rate(capsys, *at)["secret_bps"]
    assert rate(capsys, *at, "--set", "block_sifted_bits=none")["pulses"] is None


def test_a_loss_that_is_set_leaves_no_distance(capsys: Capture) -> None:
    found = rate(capsys, "--preset", "t12", "--distance", "50", "--set", "channel_loss_db=12")
    assert (found["loss_db"], found["distance_km"]) == (12, None)


def test_every_wrong_change_is_told(capsys: Capture) -> None:
    said = mistake(
        capsys,
        *("--preset", "t12", "--loss", "10"),
        *("--set", "dark_counts=1", "--set", "duty=3", "--set", "eps_sec=small", "--set", "intensities=1,2"),
    )
    for words in (
        "there is no link parameter 'dark_counts': dark_count_probability?",
        "duty = 3.0 is not possible: give a fraction",
        "eps_sec = 'small' is not possible: give a number",
        "intensities = [1, 2] is not possible: give 3 numbers",
        "The parameters are clock_rate_hz,",
    ):
        assert words in said


# --- attacks ----------------------------------------------------------------------------------------------------------


def test_intercept_resend_raises_the_qber_and_lowers_the_key(capsys: Capture) -> None:
    at = ("--preset", "t12", "--loss", "10")
    calm, attacked, spoilt = (
        rate(capsys, *at, *attack)
        for attack in ((), ("--attack", "intercept-resend=0.02"), ("--attack", "intercept-resend=0.3"))
    )
    assert attacked["gains"] == calm["gains"]
    assert attacked["qber"]["z"] > calm["qber"]["z"]
    assert attacked["qber"]["x"] > calm["qber"]["x"]
    assert 0 < attacked["secret_bps"] < calm["secret_bps"]
    assert spoilt["secret_bps"] == 0


def test_an_attack_in_one_basis_shows_in_the_other(capsys: Capture) -> None:
    at = ("--preset", "t12", "--loss", "10")
    calm = rate(capsys, *at)["qber"]
    found = rate(capsys, *at, "--attack", "intercept-resend=0.1:basis=z")["qber"]
    assert found["z"] == pytest.approx(calm["z"])
    assert found["x"] > calm["x"] + 0.03


def test_photon_number_splitting_lowers_the_decoy_gain_and_the_key(capsys: Capture) -> None:
    at = ("--preset", "t12", "--loss", "10", "--method", "lim")
    calm, attacked = rate(capsys, *at), rate(capsys, *at, "--attack", "photon-number-splitting=0.1")
    assert attacked["gains"]["signal"] == pytest.approx(calm["gains"]["signal"], rel=0.01)
    assert attacked["gains"]["decoy"] < 0.97 * calm["gains"]["decoy"]
    assert attacked["secret_bps"] < calm["secret_bps"]


@pytest.mark.parametrize(
    ("attack", "says"),
    [
        ("blackmail=1", "There are intercept-resend, photon-number-splitting"),
        ("intercept-resend", "lacks its fraction"),
        ("intercept-resend=2", "give 0 to 1"),
        ("intercept-resend=much", "is not possible"),
        ("intercept-resend=0.1:basis=y", "choose 'z', 'x' or 'random'"),
        ("intercept-resend=0.1:colour=red", "It takes fraction, basis"),
        ("intercept-resend=0.1:fraction=0.2", "It takes fraction, basis, each once"),
    ],
)
def test_what_is_no_attack_is_told_with_what_is(attack: str, says: str, capsys: Capture) -> None:
    assert says in mistake(capsys, "--preset", "t12", "--loss", "10", "--attack", attack)


# --- files ------------------------------------------------------------------------------------------------------------


def test_the_example_gives_key(capsys: Capture) -> None:
    found = rate(capsys, "--file", str(EXAMPLE))
    assert (found["preset"], found["settings"], found["distance_km"], found["loss_db"]) == (None, None, 60, 12)
    assert found["secret_bps"] > 0
    assert list(found) == MEMBERS
    further = rate(capsys, "--file", str(EXAMPLE), "--distance", "80")
    assert (further["distance_km"], further["loss_db"]) == (80, 16)
    lossy = rate(capsys, "--file", str(EXAMPLE), "--loss", "20", "--set", "duty=0.5")
    assert (lossy["distance_km"], lossy["loss_db"]) == (None, 20)


def test_a_file_of_another_protocol(tmp_path: Path, capsys: Capture) -> None:
    info = optics.preset_info("dps-2007")
    fields = "\n".join(f"{name} = {field.value}" for name, field in info.fields["published"].items())
    file = tmp_path / "dps.toml"
    file.write_text(f'protocol = "dps"\nchannel_loss_db = 30\n{fields}\n')
    assert rate(capsys, "--file", str(file))["secret_bps"] == pytest.approx(
        rate(capsys, "--preset", "dps-2007", "--loss", "30")["secret_bps"]
    )


def test_every_mistake_in_a_file_is_told(tmp_path: Path, capsys: Capture) -> None:
    file = tmp_path / "link.toml"
    file.write_text(
        'clock_rate_hz = "fast"\nprobabilities = [0.6, 0.3, 0.2]\nmisalignment_key = 1.3\ndark_counts = 1e-6\n'
        "fibre_db_per_km = -1\ndistance_km = 10\n"
    )
    said = mistake(capsys, "--file", str(file))
    for words in (
        "line 1, link parameter clock_rate_hz = 'fast' is not possible: give a number",
        "probabilities = (0.6, 0.3, 0.2) is not possible",
        "misalignment_key = 1.3 is not possible: give a fraction between 0 and 0.5",
        "no link parameter 'dark_counts'",
        "line 5, fibre_db_per_km = -1 is not possible",
        "missing: intensities, key_basis_probability_transmitter,",
    ):
        assert words in said


@pytest.mark.parametrize(
    ("text", "arguments", "says"),
    [
        ("nonsense", (), "is not TOML"),
        ('protocol = "smoke"', (), "choose 'decoy-bb84', 'one-decoy', 'dps'"),
        ("distance_km = 5", (), "fibre_db_per_km is missing"),
        ("duty = 1", (), "the loss is missing"),
        ("duty = 1", ("--distance", "5"), "fibre_db_per_km is missing"),
        ("channel_loss_db = 1\ndistance_km = 5\nfibre_db_per_km = 0.2", (), "the loss is given twice"),
        ("fibre_db_per_km = true", (), "fibre_db_per_km = True is not possible"),
        ("fibre_db_per_km = 0.2", ("--distance", "-5"), "distance_km = -5.0 is not possible"),
        ("duty = 1", ("--distance", "5", "--loss", "1"), "either --distance KM or --loss DB"),
    ],
)
def test_a_file_that_describes_no_link_says_why(
    text: str, arguments: tuple[str, ...], says: str, tmp_path: Path, capsys: Capture
) -> None:
    file = tmp_path / "link.toml"
    file.write_text(text)
    assert says in mistake(capsys, "--file", str(file), *arguments)


def test_a_file_that_is_not_there(tmp_path: Path, capsys: Capture) -> None:
    assert "cannot be read" in mistake(capsys, "--file", str(tmp_path / "none.toml"))


# --- what is asked wrongly --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "Give either --preset NAME or --file"),
        (("--preset", "t12", "--file", "x.toml"), "Give either --preset NAME or --file"),
        (("--preset", "t13", "--loss", "1"), "'t12', 't12-even'"),
        (("--preset", "t12"), "Give either --distance KM or --loss DB"),
        (("--preset", "t12", "--loss", "1", "--distance", "1"), "Give either --distance KM or --loss DB"),
        (("--preset", "t12", "--distance", "-1"), "distance_km = -1.0 is not possible"),
        (("--preset", "t12", "--loss", "-1"), "channel_loss_db = -1.0 is not possible"),
        (("--preset", "t12", "--loss", "1", "--settings", "lazy"), "choose 'published' or 'short-block'"),
        (("--preset", "t12", "--loss", "1", "--method", "luck"), "choose 'lim', 'lucamarini'"),
        (("--preset", "dps-2007", "--loss", "1", "--method", "lim"), "choose 'dps'"),
        (("--preset", "t12", "--loss", "1", "--bound", "sky"), "'chernoff' or 'hoeffding'"),
        (("--preset", "t12", "--loss", "1", "--pulses", "0"), "pulses = 0.0 is not possible"),
        (("--preset", "t12", "--loss", "1", "--set", "duty"), "write FIELD=VALUE"),
        (("--preset", "t12", "--loss", "1", "--set", "duty=1", "--set", "duty=1"), "duty is given twice"),
    ],
)
def test_what_is_asked_wrongly_is_told_with_what_is_possible(
    arguments: tuple[str, ...], says: str, capsys: Capture
) -> None:
    assert says in mistake(capsys, *arguments)


def test_help_loads_neither_numpy_nor_matplotlib() -> None:
    code = "import sys; from tokaido.console import main; main(['rate', '--help']); main(['plot', '--help']); \
print([name for name in ('numpy', 'matplotlib', 'tokaido.emulators') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30)
    assert done.stdout.splitlines()[-1] == "[]"
