"""The page about commissioning, typed by two people at two sites: both units prove that they have one key."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from tokaido.emulators import QkdLink
from tokaido.hal import SYSTEM_CLOCK, Deadline
from tokaido.node.operation import Peer
from tokaido_testing.console_runs import run_console
from tokaido_testing.key_managers import make_pki
from tokaido_testing.node_files import ALONE, HEAD, living, make_site
from tokaido_testing.patience import patient

if TYPE_CHECKING:
    import socket

PAGE: Final = Path(__file__).parents[2] / "docs" / "how-to" / "commission-a-link.md"
BLOCK: Final = re.compile(r"^```(sh|toml)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
UIDS: Final = {"ann": 1001, "bob": 1002, "eve": 1003}


@pytest.mark.timeout(180)
@pytest.mark.thorough
def test_two_custodians_commission_both_ends_as_the_page_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = BLOCK.findall(PAGE.read_text(encoding="utf-8"))
    ((_, table),) = [block for block in blocks if block[0] == "toml"]
    make_ann, make_bob, enter_ann, enter_bob = [text for kind, text in blocks if kind == "sh"]
    person = "ann"

    def peer(connection: socket.socket) -> Peer:
        del connection
        return Peer(7, UIDS[person], person, "custodians' socket, process 7")

    monkeypatch.setattr("tokaido.node.operation._control_server._peer_of", peer)
    pki = make_pki(tmp_path / "pki")

    def typed(command: str, site: Path) -> str:
        """Type a command as it stands, with the node file of a site and the media of the custodians."""
        first, *words = shlex.split(command)
        assert first == "tokaido"
        there = {"NODE.toml": str(site / "node.toml")}
        words = [str(tmp_path / word) if word.endswith(".component") else there.get(word, word) for word in words]
        done = run_console(*words)
        assert done.code == 0, done.err
        return done.out

    values = {name: typed(text, tmp_path) for name, text in (("ann", make_ann), ("bob", make_bob))}
    assert all(re.search(r"component: check value [0-9a-f]{4} [0-9a-f]{4}$", out) for out in values.values())

    with QkdLink.launch("toshiba") as link:
        said = []
        for site, unit in (("otemachi", link.transmitter), ("koganei", link.receiver)):
            folder = tmp_path / site
            folder.mkdir()
            make_site(folder, control=f'{unit.resources["control"]}"\nkeys = "{unit.resources["keys"]}')
            if unit is link.receiver:
                station = (folder / "station.toml").read_text(encoding="utf-8")
                (folder / "station.toml").write_text(station.replace("toshiba.transmitter", "toshiba.receiver"))
            here = table.replace("/run/tokaido/custodians.sock", str(folder / "custodians.sock"))
            head = HEAD.format(name="otemachi", pki=pki)
            (folder / "node.toml").write_text(f"{head}{ALONE}{here}[supervision]\nstart = false\n", encoding="utf-8")

            def commission(_: object, folder: Path = folder) -> None:
                nonlocal person
                person = "ann"
                assert values["ann"].split(": ")[1].strip() in typed(enter_ann, folder)
                person = "bob"
                said.append(typed(enter_bob, folder))
                shown = json.loads(run_console("node", "preshared", "show", str(folder / "node.toml"), "--json").out)
                assert shown["waiting"] == []

            living(folder, commission)
        assert said[0] == said[1]
        assert re.search(r"the unit has the key: check value [0-9a-f]{4} [0-9a-f]{4}, the same", said[0])
        deadline = Deadline(SYSTEM_CLOCK, patient(60.0))
        units: tuple[Any, ...] = (link.transmitter, link.receiver)
        while not all(unit.model.state.value in {"ALIGN", "STANDBY"} for unit in units):
            assert not deadline.passed
            SYSTEM_CLOCK.wait(0.05)
    assert (tmp_path / "ann.component").stat().st_mode & 0o777 == 0o600
