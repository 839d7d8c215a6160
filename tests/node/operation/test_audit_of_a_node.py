"""The audit log of a node as its officer sees it: while it runs, at rest, and after somebody altered it."""

from __future__ import annotations

import getpass
import json
import logging
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from tokaido.node.node_file import control_socket
from tokaido.node.operation import ControlClient
from tokaido_testing.console_runs import run_console
from tokaido_testing.node_files import ALONE, living, make_node

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path, certificates: Path) -> Path:
    return make_node(tmp_path, certificates, ALONE)


def run(folder: Path, work: Callable[[ControlClient], None]) -> None:
    living(folder, lambda _: work(ControlClient(control_socket(folder / "node.toml"))))


def audit(*words: object) -> tuple[int, dict[str, object]]:
    shown = run_console("node", "audit", *map(str, words), "--json")
    return shown.code, json.loads(shown.out or shown.err)


def cut(folder: Path, number: int) -> None:
    with closing(sqlite3.connect(folder / "keys.sqlite")) as database:
        database.execute("DELETE FROM audit WHERE number > ?", (number,))
        database.commit()


def test_every_act_is_in_the_log_with_who_whence_what_and_why(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    node = folder / "node.toml"
    marks: list[str] = []

    def work(client: ControlClient) -> None:
        asked = ("maintenance", "resume", "reload")
        assert run_console("node", asked[0], str(node), "field", "--note", "new laser").code == 0
        assert run_console("node", asked[0], str(node), "field", "--end").code == 0
        assert run_console("node", asked[1], str(node), "field", "--note", "the laser is in").code == 0
        client.set_relaying(on=False)
        client.set_relaying(on=True)
        assert run_console("node", asked[2], str(node), "--note", "new certificates").code == 0
        rows = client.audit_log()
        assert [(row.what, row.why) for row in rows] == [
            ("start node otemachi", ""),
            ("begin maintenance of field", "new laser"),
            ("end maintenance of field", ""),
            ("resume field", "the laser is in"),
            ("relay no more", ""),
            ("relay", ""),
            ("reload", "new certificates"),
        ]
        assert {row.who for row in rows[1:]} == {getpass.getuser()}
        assert all(row.place.startswith("control socket, process ") for row in rows[1:])
        assert [row.number for row in client.audit_log(above=2, most=3)] == [5, 6, 7]
        code, found = audit("verify", node)
        assert (code, found["fits"], found["rows"], found["end_checked"]) == (0, True, 7, True)
        assert found["mark"] == rows[-1].mark
        assert audit("verify", client.path, "--mark", rows[2].mark)[0] == 0
        other = f"3:{'0' * 64}"
        code, found = audit("verify", node, "--mark", other)
        assert (code, found["first_wrong"]) == (1, 3)
        assert audit("verify", node, "--mark", "3:00")[0] == 3
        client.drain(note="moving house")
        marks.append(rows[-1].mark)

    with caplog.at_level(logging.INFO, logger="tokaido.node.audit"):
        run(folder, work)
    code, found = audit("verify", node, "--mark", marks[0])
    assert (code, found["fits"], found["rows"], found["end_checked"]) == (0, True, 9, True)
    _, shown = audit("show", node, "--above", 7)
    assert isinstance(shown["rows"], list)
    assert [(row["what"], row["why"]) for row in shown["rows"]] == [
        ("drain", "moving house"),
        ("end node otemachi", ""),
    ]
    told = [record.getMessage().split(" ")[0] for record in caplog.records if record.name == "tokaido.node.audit"]
    assert (len(told), told[6]) == (9, marks[0])
    assert audit("verify", node, *(word for mark in told for word in ("--mark", mark)))[0] == 0


@pytest.mark.thorough
def test_a_cut_end_is_seen_at_rest_and_called_out_by_the_next_life(folder: Path) -> None:
    node, store, key = folder / "node.toml", folder / "keys.sqlite", folder / "store.key"
    run(folder, lambda client: client.maintenance("field", on=True, note="secretly"))
    code, found = audit("verify", store)
    assert (code, found["end_checked"]) == (4, False)
    assert audit("verify", store, "--key-file", key)[0] == 0
    cut(folder, 1)
    assert audit("verify", store)[0] == 4  # without the key nobody sees it
    code, found = audit("verify", store, "--key-file", key)
    assert (code, found["first_wrong"], found["rows"]) == (1, 2, 1)
    assert audit("verify", node)[0] == 1

    def work(client: ControlClient) -> None:
        [alarm] = [one for one in client.status().alarms if one.code == "AUDIT_ALTERED"]
        assert (alarm.severity, alarm.latched) == ("CRITICAL", True)
        assert alarm.text.startswith("row 2 of the audit log does not fit: it is missing")
        assert client.check_audit().first_wrong == 2
        client.acknowledge("AUDIT_ALTERED", note="a copy is with the officer")

    run(folder, work)
    assert audit("verify", node)[0] == 1


def test_what_cannot_be_read_is_told_and_has_its_own_exit_code(folder: Path) -> None:
    code, found = audit("verify", folder / "node.toml")
    assert (code, "no store" in str(found)) == (3, True)
    assert audit("verify", folder / "nowhere")[0] == 3
    run(folder, lambda client: None)
    (folder / "store.key").unlink()
    code, found = audit("verify", folder / "node.toml")
    assert (code, "cannot be read" in str(found["end_unknown"])) == (4, True)
