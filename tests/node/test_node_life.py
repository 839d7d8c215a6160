"""The life of a core: it ends, its store fails, its file changes, its neighbours are silent."""

from __future__ import annotations

from dataclasses import replace

import pytest

import tokaido.node.core as c
from tokaido.hal import ConfigurationError
from tokaido.node.messages import (
    Envelope,
    Hello,
)
from tokaido.node.operation import AlarmBook
from tokaido.node.simulation import Scenario
from tokaido_testing.nodes import LINK, TwoNodes, ids_of, keys_of, reason_of, secrets_of, stocked


def test_a_node_that_is_ending_starts_nothing_new() -> None:
    nodes = stocked()
    given = nodes.enc()
    nodes.do("kobe", c.Drain())
    assert nodes.cores["kobe"].drained
    assert reason_of(nodes.enc()) is c.Reason.DRAINING
    assert isinstance(nodes.draw("kobe", 1, bytes(500))[0], c.LeaveDraw)
    osaka = nodes.enc("osaka", slaves=("kobe-1",))
    assert reason_of(osaka) is c.Reason.PEER_SILENT
    assert secrets_of(nodes.dec(ids_of(given))) == secrets_of(given)


def test_a_node_that_ended_in_order_has_told_its_last_mark() -> None:
    nodes = stocked()
    before = nodes.stores["kobe"].copy()
    given = nodes.enc()
    nodes.do("kobe", c.Drain())
    assert nodes.cores["kobe"].drained
    nodes.stores["kobe"] = before
    nodes.start("kobe")
    assert "STORE_ROLLBACK" in nodes.alarms("kobe")
    assert "STORE_ROLLBACK" in nodes.alarms("osaka")
    assert reason_of(nodes.dec(ids_of(given))) is c.Reason.NOT_FOUND


def test_a_node_ends_although_its_neighbour_does_not_answer() -> None:
    nodes = stocked()
    nodes.enc()
    nodes.between = lambda _, envelope: None if isinstance(envelope.body, Hello) else envelope
    nodes.do("kobe", c.Drain())
    assert nodes.cores["kobe"].drained


def test_a_store_that_failed_refuses_all_and_says_so() -> None:
    nodes = stocked()
    core = nodes.cores["kobe"]
    (commit, *_) = core.handle(c.EncKeys(1, "kobe-1", ("osaka-1",), 1, 256), 0.0)
    assert isinstance(commit, c.Commit)
    actions = core.handle(c.CommitFailed(commit.token, "disk full"), 0.0)
    assert [action.code for action in actions if isinstance(action, c.Raise)] == ["STORE_FAILED"]
    assert [action.reason for action in actions if isinstance(action, c.Refusal)] == [c.Reason.STORE]
    assert core.failed
    assert reason_of(nodes.enc()) is c.Reason.STORE
    assert isinstance(nodes.draw("kobe", 1, bytes(500))[0], c.LeaveDraw)
    assert core.wake_s == float("inf")


def test_a_latched_alarm_ends_when_a_person_has_acknowledged_it() -> None:
    nodes = stocked()
    before = nodes.stores["kobe"].copy()
    nodes.enc()
    nodes.do("kobe", c.Drain())
    nodes.stores["kobe"] = before
    nodes.told["kobe"].clear()
    nodes.start("kobe")
    book = AlarmBook(lambda _: None)
    for action in nodes.told["kobe"]:
        if isinstance(action, (c.Raise, c.Clear)):
            book.take(action)
    assert [alarm.code for alarm in book.standing()] == ["STORE_ROLLBACK"]
    book.acknowledge("STORE_ROLLBACK", "osaka", by="the person on duty")
    assert not book.standing()


def test_a_silent_neighbour_and_a_low_stock_are_alarms_that_end() -> None:
    nodes = TwoNodes(Scenario(stock=16))
    nodes.start("kobe")
    nodes.wait(70.0)
    assert nodes.alarms("kobe") == ["NEIGHBOUR_SILENT", "STOCK_LOW"]
    assert not nodes.cores["kobe"].status().neighbours["osaka"].known
    nodes.start("osaka")
    nodes.wait(6.0)
    nodes.draw_both(0)
    cleared = [action.code for action in nodes.told["kobe"] if isinstance(action, c.Clear)]
    assert cleared == ["NEIGHBOUR_SILENT", "STOCK_LOW"]


def test_a_neighbour_under_another_name_or_version_is_not_met() -> None:
    nodes = TwoNodes()

    def between(sender: str, envelope: Envelope) -> Envelope:
        if isinstance(envelope.body, Hello) and sender == "osaka":
            body = Hello(node="nara", mark=0, links=())
            return Envelope(run=envelope.run, to=envelope.to, n=envelope.n, body=body)
        return envelope

    nodes.between = between
    nodes.start()
    assert "VERSION_MISMATCH" in nodes.alarms("kobe")
    assert not nodes.cores["kobe"].status().neighbours["osaka"].known


def test_a_file_that_is_read_again_changes_neighbours_applications_and_quotas() -> None:
    nodes = stocked()
    settings = nodes.settings["kobe"]
    nodes.change("kobe", applications={**settings.applications, "new": c.ApplicationSettings("new", "kobe")})
    assert reason_of(nodes.enc(master="new")) is c.Reason.PEER_SILENT  # osaka does not know it yet
    nodes.change("osaka", applications=nodes.settings["kobe"].applications)
    keys_of(nodes.enc(master="new"))
    nodes.change("kobe", neighbours={})
    assert reason_of(nodes.enc()) is c.Reason.UNKNOWN_APPLICATION
    nodes.change("kobe", neighbours=settings.neighbours)
    nodes.wait(6.0)
    keys_of(nodes.enc())
    with pytest.raises(ConfigurationError, match="not of osaka"):
        nodes.do("kobe", c.Reconfigured(nodes.settings["osaka"]))


def test_a_neighbour_that_is_silent_holds_up_no_other() -> None:
    nodes = TwoNodes()
    settings = nodes.settings["kobe"]
    nara = c.NeighbourSettings("nara", (c.LinkSettings("kobe-nara"),))
    applications = {**settings.applications, "nara-1": c.ApplicationSettings("nara-1", "nara")}
    nodes.change("kobe", neighbours={"nara": nara, **settings.neighbours}, applications=applications)
    nodes.start()
    nodes.draw_both(0)
    keys_of(nodes.enc())
    assert reason_of(nodes.enc(slaves=("nara-1",))) is c.Reason.STARTING
    assert reason_of(nodes.enc(slaves=("nara-1", "osaka-1"))) is c.Reason.UNKNOWN_APPLICATION
    status = nodes.cores["kobe"].status()
    assert (status.neighbours["nara"].known, status.neighbours["osaka"].known) == (False, True)
    assert status.links["kobe-nara"].adds_up


def test_a_link_that_is_not_in_the_file_any_more_is_let_go_and_comes_back() -> None:
    nodes = stocked()
    (neighbour,) = nodes.settings["kobe"].neighbours.values()
    assert nodes.cores["kobe"].status().links[LINK].leased > 0
    nodes.change("kobe", neighbours={"osaka": replace(neighbour, links=(c.LinkSettings("another"),))})
    assert list(nodes.cores["kobe"].status().links) == ["another"]
    assert nodes.stores["kobe"].counters[f"link:{LINK}"]["leased"] == 0
    nodes.change("kobe", neighbours={"osaka": neighbour})
    link = nodes.cores["kobe"].status().links[LINK]
    assert link.adds_up
    assert link.blocks == 1


def test_a_core_that_is_closed_holds_no_key() -> None:
    nodes = stocked()
    nodes.cores["kobe"].close()
    assert reason_of(nodes.enc()) is c.Reason.STORE


def test_no_key_shows_in_what_a_core_says() -> None:
    nodes = stocked()
    given = nodes.enc()
    secret = secrets_of(given)[0]
    shown = repr((given, nodes.told, nodes.cores["kobe"].status(), nodes.stores["kobe"], nodes.settings))
    for form in (secret.hex(), repr(secret)[2:-1], str(list(secret))):
        assert form not in shown
    assert LINK in shown
