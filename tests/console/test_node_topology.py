"""`tokaido node topology`: a key, a signature, and what a planner wants to see."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tokaido.console import main

EXAMPLE = Path(__file__).parents[2] / "examples" / "node" / "topology.toml"


def run(capsys: pytest.CaptureFixture[str], *arguments: str | Path, code: int = 0) -> tuple[str, str]:
    assert main(["node", "topology", *map(str, arguments)]) == code
    return capsys.readouterr()


def told(capsys: pytest.CaptureFixture[str], *arguments: str | Path, code: int = 0) -> Any:
    out, err = run(capsys, *arguments, "--json", code=code)
    return json.loads(out or err)


def without_a_second_way(folder: Path) -> Path:
    """Write the example without a link of the second way, and without the only one to kobe."""
    lines = EXAMPLE.read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if not line.startswith(("kameyama-nara", "osaka-kobe"))]
    path = folder / "broken.toml"
    path.write_text("\n".join(kept), encoding="utf-8")
    return path


def test_from_a_key_to_a_checked_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = told(capsys, "key", tmp_path / "keys")
    assert Path(made["key"]).stat().st_mode & 0o777 == 0o600
    file = tmp_path / "line.toml"
    file.write_bytes(EXAMPLE.read_bytes())
    signed = told(capsys, "sign", file, "--key", made["key"])
    assert (signed["file"], signed["serial"]) == (str(tmp_path / "line.signed.toml"), 1)
    facts = told(capsys, "check", signed["file"], "--public-key", made["public_key"])
    assert (facts["network"], facts["serial"], facts["signature"], facts["valid_now"]) == (
        *("tokaido-line", 1, "good", True),
    )
    assert len(facts["nodes"]) == 10
    assert facts["nodes"][1]["neighbours"] == ["shizuoka", "tokyo"]
    assert len(facts["links"]) == 11
    assert facts["applications"] == {"bank": "tokyo", "hospital": "kobe"}
    far, middle, near = facts["pairs"]
    assert (far["hops"], far["route"][0], far["route"][-1], far["disjoint"]) == (7, "tokyo", "kobe", [])
    assert far["length_km"] == pytest.approx(589.5)
    assert far["cut_nodes"] == ["odawara", "shizuoka", "hamamatsu", "nagoya", "osaka"]
    assert middle["disjoint"][1] == ["nagoya", "kameyama", "nara", "osaka"]
    assert near["disjoint"] == []
    assert "links osaka-kobe-1, osaka-kobe-2 between them are the only way" in near["why"]
    assert facts["unreachable"] == facts["findings"] == []


def test_people_see_routes_and_what_is_in_the_way(capsys: pytest.CaptureFixture[str]) -> None:
    out = run(capsys, "check", EXAMPLE, "--unsigned")[0]
    assert "10 nodes, 11 links, 3 pairs; its signature was not looked at" in out
    assert "tokyo > odawara > shizuoka > hamamatsu > nagoya > maibara > osaka > kobe" in out
    assert "none: every route passes odawara, shizuoka, hamamatsu, nagoya, osaka" in out
    assert "nagoya > kameyama > nara > osaka" in out
    assert "none: links osaka-kobe-1, osaka-kobe-2 between them are the only way" in out


def test_what_pairs_lack_is_told_by_the_exit_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = without_a_second_way(tmp_path)
    facts = told(capsys, "check", path, "--unsigned", code=3)
    assert facts["signature"] == "not checked"
    assert facts["unreachable"] == [["tokyo", "kobe"], ["osaka", "kobe"]]
    assert facts["findings"] == [
        "there is no route from tokyo to kobe of at most 16 hops",
        "there are no two node-disjoint routes from nagoya to osaka: every route passes maibara",
        "there is no route from osaka to kobe of at most 16 hops",
        "no link leads to node kobe",
    ]
    assert "lacking: no link leads to node kobe" in run(capsys, "check", path, "--unsigned", code=3)[0]


def test_a_file_that_is_not_valid_now_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = EXAMPLE.read_text(encoding="utf-8")
    ended = text.replace("valid_from", "valid_until = 2026-01-02T00:00:00Z\nvalid_from")
    for name, changed in (("early", text.replace("2026-01-01", "9000-01-01")), ("late", ended)):
        path = tmp_path / f"{name}.toml"
        path.write_text(changed, encoding="utf-8")
        facts = told(capsys, "check", path, "--unsigned", code=3)
        assert not facts["valid_now"]
        assert facts["findings"][0].startswith("not valid now: it is so from ")


def test_an_altered_file_and_one_with_mistakes_have_codes_of_their_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keys = told(capsys, "key", tmp_path)
    signed = tmp_path / "signed.toml"
    run(capsys, "sign", EXAMPLE, "--key", keys["key"], "-o", signed)
    signed.write_bytes(signed.read_bytes().replace(b"198.51.100.1:", b"198.51.100.66:"))
    error = told(capsys, "check", signed, "--public-key", keys["public_key"], code=1)["error"]
    assert (error["type"], "was altered" in error["message"]) == ("AuthenticationError", True)
    signed.write_bytes(EXAMPLE.read_bytes().replace(b"serial = 1", b"serial = -1"))
    error = told(capsys, "check", signed, "--unsigned", code=2)["error"]
    assert error["mistakes"][0].startswith("line 7, topology.serial: must be a whole number")


@pytest.mark.parametrize("options", [(), ("--unsigned", "--public-key", "topology.pub")])
def test_nobody_forgets_the_signature(capsys: pytest.CaptureFixture[str], options: tuple[str, ...]) -> None:
    assert "--public-key FILE, or not at all" in told(capsys, "check", EXAMPLE, *options, code=2)["error"]["message"]
