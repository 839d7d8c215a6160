"""`tokaido demo`: it ends well only if both ends hold the same key, and says honestly what it is."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import tokaido.hal as hal
from tokaido.console import _demo, main
from tokaido.console._demo_link import End, Outcome, Progress, compare, digest
from tokaido.emulators import demonstrations
from tokaido.emulators.demonstrations import Demonstration
from tokaido.emulators.toshiba.demonstration import DEMONSTRATION
from tokaido_testing.patience import patient

from .test_devices import on_a_terminal

Capture = pytest.CaptureFixture[str]
NONCE = bytes(range(16))
INFO = hal.KeyBlockInfo("00ff", 0, 64, "lim2014", "chernoff", 1e-10, False, True, serial_number="TKTX0001")
FIELDS = [
    "name",
    "transmitter",
    "receiver",
    "length_km",
    "loss_db",
    "qber",
    "sifted_bps",
    "secret_bps",
    "asymptotic_bps",
    "published_asymptotic_bps",
    "method",
    "bound",
    "block_bits",
    "eps",
    "emulated_s",
    "key_blocks",
    "digest_transmitter",
    "digest_receiver",
    "agree",
]


def an_end(*keys: bytes, first: int = 0) -> End:
    """An end that has drawn these keys."""
    blocks = {
        ("00ff", number): hal.KeyBlock(replace(INFO, number=number), hal.KeyMaterial(key), lambda: None)
        for number, key in enumerate(keys, first)
    }
    return End(unit=None, blocks=blocks)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


# --- the comparison ---------------------------------------------------------------------------------------------------


def test_the_digest_is_taken_over_all_keys_in_their_order() -> None:
    keys = [hal.KeyMaterial(b"first of two"), hal.KeyMaterial(b"the second")]
    assert digest(keys, NONCE) == hmac.new(NONCE, b"first of twothe second", hashlib.sha256).hexdigest()
    assert digest(keys[::-1], NONCE) != digest(keys, NONCE)


@pytest.mark.parametrize(
    ("transmitter", "receiver", "agree"),
    [
        (an_end(b"12345678", b"abcdefgh"), an_end(b"12345678", b"abcdefgh"), True),
        (an_end(b"12345678", b"abcdefgh"), an_end(b"12345678", b"abcdefgi"), False),
        (an_end(b"12345678", b"abcdefgh"), an_end(b"12345678"), False),
        (an_end(b"12345678", b"abcdefgh"), an_end(b"12345678abcdefgh"), False),
        (an_end(b"12345678"), an_end(b"12345678", first=1), False),
        (an_end(), an_end(), False),
    ],
)
def test_ends_agree_only_if_they_hold_the_same_keys_under_the_same_names(
    transmitter: End, receiver: End, agree: bool
) -> None:
    assert compare(transmitter, receiver, NONCE)[2] is agree


def test_ends_that_disagree_end_the_demonstration_non_zero(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    progress = Progress(transmitter="TKTX0001", receiver="TKRX0001", block_bits=10_000_000)
    outcome = Outcome(progress, [INFO], 64, NONCE.hex(), "aa", "bb", agree=False)
    monkeypatch.setattr(_demo, "_run_link", lambda *_: outcome)
    assert main(["demo", "--scenario", "link"]) == 1
    shown = capsys.readouterr()
    assert "THEY DIFFER" in shown.out
    assert "Both ends hold" not in shown.out
    assert "do not hold the same key" in shown.err
    assert main(["demo", "--scenario", "link", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["links"][0]["agree"] is False


def test_the_published_settings_are_shown_for_what_they_are() -> None:
    field, published = DEMONSTRATION.field_link, DEMONSTRATION.published
    assert field is not None
    assert published is not None
    expected = _demo.expect(14.5, field.block_bits, field.parameters(14.5), published)
    assert expected.published_asymptotic_bps is not None
    assert 0.5 < expected.published_asymptotic_bps / published.measured_bps < 2
    assert expected.published_first_key_s is not None
    assert expected.published_first_key_s > 60
    assert expected.block_s < 20


# --- the seed -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("module", ["_demo.run_link_demo", "_demo_failover.run_switch_demo"])
def test_every_demonstration_has_a_seed_of_its_own_unless_one_is_said(
    module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seeds: list[int] = []

    def run(_vendor: str, *, seed: int, **_: object) -> int:
        seeds.append(seed)
        return 0

    monkeypatch.setattr(f"tokaido.console.{module}", run)
    scenario = "switch" if "switch" in module else "link"
    for said in ([], [], ["--seed", "9"]):
        assert main(["demo", "--scenario", scenario, *said]) == 0
    assert len(set(seeds)) == 3
    assert seeds[2] == 9
    assert "--seed 9 repeats it" in _demo.seed_line(9)


# --- the whole of it --------------------------------------------------------------------------------------------------

SHORT = """
from dataclasses import replace
from tokaido.emulators import demonstrations
shown = demonstrations.demonstration("toshiba")
field = replace(shown.field_link, block_bits=1_000_000, parameters=shown.parameters)
demonstrations.demonstration = lambda _vendor: replace(shown, field_link=field)
"""
"""What makes a process show shorter blocks."""


def shortened() -> Demonstration:
    """The demonstration with shorter blocks."""
    assert DEMONSTRATION.field_link is not None
    field = replace(DEMONSTRATION.field_link, block_bits=1_000_000, parameters=DEMONSTRATION.parameters)
    return replace(DEMONSTRATION, field_link=field)


def test_the_demo_prints_one_json_object_and_both_ends_agree(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The form of what is printed, from one short block."""
    monkeypatch.setattr(demonstrations, "demonstration", lambda _vendor: shortened())
    monkeypatch.setattr(_demo, "WANTED_BLOCKS", 1)
    assert main(["demo", "--scenario", "link", "--json", "--seed", "7"]) == 0
    shown = capfd.readouterr()
    assert shown.err == ""
    found = json.loads(shown.out)
    assert list(found) == ["scenario", "seed", "links", "wall_s"]
    (link,) = found["links"]
    assert list(link) == FIELDS
    assert found["wall_s"] < patient(40)
    assert link["agree"] is True
    assert re.fullmatch("[0-9a-f]{64}", link["digest_transmitter"])
    assert link["digest_transmitter"] == link["digest_receiver"]
    assert link["key_blocks"] >= 1
    assert (link["transmitter"], link["receiver"]) == ("TKTX0001", "TKRX0001")
    assert 0.02 < link["qber"] < 0.08
    assert 0 < link["secret_bps"] < link["asymptotic_bps"] < link["sifted_bps"]
    assert link["eps"] == 1e-10


@pytest.mark.parametrize("first", [SHORT, pytest.param("", marks=pytest.mark.thorough)], ids=["short", "as it is"])
def test_a_person_sees_what_ran_and_the_last_line_says_that_both_ends_agree(first: str, tmp_path: Path) -> None:
    shown = on_a_terminal(["demo", "--scenario", "link"], 80, tmp_path, first)
    assert max(map(len, shown.replace("\r", "").splitlines())) <= 80
    text = " ".join(shown.split())
    assert "The units' protocols are Tokaido's own inventions" in text
    assert "short-block" in text
    assert "no key before" in text
    assert "304 kb/s" in text
    assert "not secret in the QKD sense" in text
    assert re.fullmatch(r"Both ends hold the same key: 2 blocks, \d+ bits\.", shown.strip().splitlines()[-1])
    assert list(tmp_path.iterdir()) == []


def test_a_demo_without_key_in_time_says_so_and_fails(capsys: Capture) -> None:
    assert main(["demo", "--scenario", "link", "--seconds", "2", "--json"]) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "no key yet" in shown.err
    assert "--seconds" in shown.err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_demo_leaves_nothing_behind(number: signal.Signals, tmp_path: Path) -> None:
    # A shell that runs the tests in the background has SIGINT ignored, and children inherit that.
    listen = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler)"
    code = f"{listen}; from tokaido.console import main; sys.exit(main())"
    with subprocess.Popen(
        [sys.executable, "-c", code, "demo", "--scenario", "link"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        while not process.stdout.readline().startswith("aligning"):
            pass
        assert list(tmp_path.iterdir()) != []
        process.send_signal(number)
        assert process.wait(timeout=20) not in (0, 1)
        assert "Traceback" not in process.stderr.read()
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_scenario_is_a_usage_error(capsys: Capture) -> None:
    assert main(["demo", "--scenario", "moon"]) == 2
    assert "moon" in capsys.readouterr().err
