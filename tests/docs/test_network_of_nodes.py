"""The page about networks of nodes: its commands are typed in a folder, its tables are those of the reference."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Final

import pytest

from tokaido.node.topology import read_signed
from tokaido_testing.console_runs import run_console

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = (ROOT / "docs" / "how-to" / "network-of-nodes.md").read_text(encoding="utf-8")


def test_its_commands_make_sign_and_check_a_topology(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(ROOT / "examples" / "node" / "topology.toml", tmp_path / "line.toml")
    monkeypatch.chdir(tmp_path)
    commands = re.findall(r"^\$ tokaido (.*)$", PAGE, re.MULTILINE)
    assert len(commands) == 3
    said = [run_console(*command.split()) for command in commands]
    assert [code for code, _, _ in said] == [0, 0, 0], said
    topology = read_signed("line.signed.toml", "signing/topology.pub")
    for pair in topology.pairs:
        assert all(end in said[-1][1] for end in pair.ends)


def test_its_tables_are_those_that_node_files_and_topologies_have() -> None:
    pages = ("node-file.md", "topology-file.md")
    reference = "".join((ROOT / "docs" / "reference" / page).read_text(encoding="utf-8") for page in pages)
    keys = re.findall(r"^(\w+) = ", "".join(re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)), re.MULTILINE)
    assert keys == ["file", "public_key", "confirm_key_file", "ends", "routes"]
    assert all(f"`{key}`" in reference for key in keys)
