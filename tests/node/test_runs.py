"""Runs of nodes: what is said by or to an earlier life counts for nothing, and a store that went back shows."""

from __future__ import annotations

from typing import TypeVar

import pytest

import tokaido.node.core as c
from tokaido.node.messages import Dead, Envelope, Hello, Message, Refused, Relay, Relayed, Supplied, Supply
from tokaido.node.simulation import Scenario
from tokaido_testing.nodes import TwoNodes, keys_of, reason_of, stocked

M = TypeVar("M")
NEW_RUN = b"another life...."


def step(nodes: TwoNodes, name: str, event: c.Event) -> list[c.Action]:
    """Hand in one event; commits are carried out, messages are not."""
    said: list[c.Action] = []
    waiting: list[c.Event] = [event]
    while waiting:
        for action in nodes.cores[name].handle(waiting.pop(0), nodes.now_s):
            if isinstance(action, c.Commit):
                (loaded,) = nodes.stores[name].commit([action])
                waiting.append(c.Committed(action.token, loaded))
            else:
                said.append(action)
    return said


def sent(actions: list[c.Action], kind: type[Message]) -> list[c.Send]:
    return [action for action in actions if isinstance(action, c.Send) and isinstance(action.envelope.body, kind)]


def the(actions: list[c.Action], kind: type[M]) -> M:
    (found,) = (action for action in actions if isinstance(action, kind))
    return found


def hello(mark: int = 0, told: int = 0, run: bytes = NEW_RUN, *, went_back: bool = False) -> c.Received:
    """What osaka says to kobe as a question."""
    body = Hello(node="osaka", mark=mark, links=(), told=told, went_back=went_back)
    return c.Received(10**6, "osaka", Envelope(run=run, to=b"", n=0, body=body))


def answer(nodes: TwoNodes, send: c.Send, body: Message, run: bytes | None = None) -> c.Answered:
    """What osaka answers kobe."""
    asked = send.envelope
    return c.Answered(send.token, Envelope(run=run or nodes.run_of["osaka"], to=asked.run, n=asked.n, body=body))


def rolled_back(actions: list[c.Action]) -> bool:
    return any(isinstance(action, c.Raise) and action.code == "STORE_ROLLBACK" for action in actions)


def test_keys_that_wait_for_an_acknowledgement_are_refused_when_a_store_went_back() -> None:
    nodes = stocked()
    actions = step(nodes, "kobe", c.EncKeys(1, "kobe-1", ("osaka-1",), 1, 256))
    (supply,) = sent(actions, Supply)
    assert rolled_back(step(nodes, "kobe", hello(told=10**6, run=nodes.run_of["osaka"])))
    assert isinstance(supply.envelope.body, Supply)
    ids = tuple(item.key_id for item in supply.envelope.body.supplies)
    told = step(nodes, "kobe", answer(nodes, supply, Supplied(key_ids=ids)))
    assert the(told, c.Refusal).reason is c.Reason.PEER_SILENT


def test_keys_that_wait_for_the_store_are_refused_when_a_store_went_back() -> None:
    nodes = stocked()
    ids = tuple(key.key_id for key in keys_of(nodes.enc("osaka", slaves=("kobe-1",))))
    core, store = nodes.cores["kobe"], nodes.stores["kobe"]
    commit = the(core.handle(c.DecKeys(1, "kobe-1", "osaka-1", ids), 0.0), c.Commit)
    store.commit([commit])
    assert rolled_back(core.handle(hello(told=10**6, run=nodes.run_of["osaka"]), 0.0))
    assert the(core.handle(c.Committed(commit.token), 0.0), c.Refusal).reason is c.Reason.NOT_FOUND


def test_an_answer_of_an_earlier_life_counts_for_nothing() -> None:
    nodes = TwoNodes(Scenario(stock=8, batch=8))
    nodes.start()
    nodes.between = lambda _, envelope: None if isinstance(envelope.body, Relay) else envelope
    nodes.draw_both(0)
    (greeting,) = sent(step_at(nodes, 0.6), Hello)
    relays = sent(step(nodes, "kobe", answer(nodes, greeting, Hello(node="osaka", mark=10**6, links=()))), Relay)
    assert isinstance(relays[0].envelope.body, Relay)
    before = nodes.cores["kobe"].status().pairs["osaka"].counters["burned:lost"]
    step(nodes, "kobe", hello(mark=10**6))
    relay = relays[0].envelope.body
    step(nodes, "kobe", answer(nodes, relays[0], Relayed(relay=relay.relay)))
    assert nodes.cores["kobe"].status().pairs["osaka"].counters["burned:lost"] == before + relay.count


def step_at(nodes: TwoNodes, seconds: float) -> list[c.Action]:
    nodes.now_s += seconds
    return step(nodes, "kobe", c.Tick())


def test_a_relay_that_comes_after_it_was_given_up_is_not_taken() -> None:
    nodes = TwoNodes(Scenario(stock=8, batch=8, in_flight=1))
    nodes.start()
    held: list[Relay] = []

    def between(sender: str, envelope: Envelope) -> Envelope | None:
        if isinstance(envelope.body, Relay) and sender == "kobe":
            held.append(envelope.body)
            return None
        return envelope

    nodes.between = between
    nodes.draw_both(0)
    nodes.between = lambda sender, envelope: None if isinstance(envelope.body, Relay) else envelope
    nodes.wait(2.0)
    refused = nodes.ask("osaka", held[0])
    assert isinstance(refused, Refused)
    assert refused.why == "relay"


def test_a_mark_that_rose_before_the_neighbour_heard_hides_nothing() -> None:
    nodes = stocked()
    copy = nodes.stores["kobe"].copy()
    for number in range(1, 4):
        nodes.draw_both(number)
        keys_of(nodes.enc())
    nodes.wait(6.0)  # osaka is told
    nodes.stores["kobe"] = copy
    nodes.between = lambda *_: None
    nodes.start("kobe")
    for number in range(10, 60):
        nodes.draw("kobe", number, bytes(200))
    nodes.start("kobe")
    nodes.between = lambda _, envelope: envelope
    nodes.wait(10.0)
    assert "STORE_ROLLBACK" in nodes.alarms("kobe")
    assert "STORE_ROLLBACK" in nodes.alarms("osaka")
    keys_of(nodes.enc())
    for name in nodes.cores:
        nodes.told[name].clear()
    nodes.start("kobe")
    nodes.wait(10.0)
    assert nodes.alarms("kobe") == nodes.alarms("osaka") == []  # it is settled


def test_a_store_that_went_back_is_told_by_the_mark_of_a_block_alone() -> None:
    nodes = TwoNodes(Scenario(stock=8, batch=8, lease=600))
    nodes.start()
    nodes.draw_both(0)
    copy = nodes.stores["kobe"].copy()
    for _ in range(4):
        keys_of(nodes.enc(number=8))
    assert nodes.stores["osaka"].blocks["kobe-osaka", "s", 0].told > copy.blocks["kobe-osaka", "s", 0].own
    nodes.stores["kobe"] = copy  # osaka was told no mark of kobe since
    nodes.start("kobe")
    for _ in range(4):
        nodes.wait(2.0)
        nodes.enc(number=8)
    assert "STORE_ROLLBACK" in nodes.alarms("kobe")
    assert "STORE_ROLLBACK" in nodes.alarms("osaka")
    nodes.wait(2.0)
    keys_of(nodes.enc())


def started_kobe(nodes: TwoNodes) -> c.Send:
    """Start kobe again, and return its greeting."""
    nodes.now_s += 1.0
    nodes.run_of["kobe"] = b"kobe's next life"
    nodes.cores["kobe"] = c.NodeCore(nodes.settings["kobe"], nodes.stores["kobe"].snapshot(), nodes.run_of["kobe"])
    (greeting,) = sent(step(nodes, "kobe", c.Started()), Hello)
    return greeting


def test_a_question_that_overtakes_an_answer_is_not_a_store_that_went_back() -> None:
    nodes = stocked()
    nodes.wait(6.0)
    greeting = started_kobe(nodes)
    run, told = nodes.run_of["osaka"], nodes.stores["kobe"].neighbours["osaka"].told
    assert not rolled_back(step(nodes, "kobe", hello(mark=told + 5, run=run)))
    said = Hello(node="osaka", mark=told + 4, links=("kobe-osaka",))
    assert not rolled_back(step(nodes, "kobe", answer(nodes, greeting, said)))
    assert nodes.cores["kobe"].status().neighbours["osaka"].known


def test_of_two_runs_that_are_heard_at_once_neither_is_believed() -> None:
    nodes = stocked()
    nodes.wait(6.0)
    greeting = started_kobe(nodes)
    told = nodes.stores["kobe"].neighbours["osaka"].told
    step(nodes, "kobe", hello(mark=told + 5))
    actions = step(nodes, "kobe", answer(nodes, greeting, Hello(node="osaka", mark=told, links=())))
    assert not rolled_back(actions)
    assert not nodes.cores["kobe"].status().neighbours["osaka"].known
    assert len(sent(actions, Hello)) == 1  # it asks again


def test_a_neighbour_that_confesses_is_believed() -> None:
    nodes = stocked()
    step(nodes, "kobe", hello(mark=10**6))
    assert rolled_back(step(nodes, "kobe", hello(mark=10**6, went_back=True)))
    assert not rolled_back(step(nodes, "kobe", hello(mark=10**6, went_back=True)))


@pytest.mark.parametrize("sender", ["kobe", "osaka"])
def test_what_is_dead_is_told_again_until_it_is_heard(sender: str) -> None:
    nodes = stocked(Scenario(stock=16, batch_age_s=20.0))
    nodes.between = lambda _, envelope: None if isinstance(envelope.body, Dead) else envelope
    nodes.wait(25.0)
    assert any(batch.started_here for batch in nodes.stores[sender].batches.values())
    nodes.start(sender)  # the rows that stayed remind it
    nodes.between = lambda _, envelope: envelope
    nodes.wait(5.0)
    old = [batch for batch in nodes.stores[sender].batches.values() if batch.born_s < 10.0 and batch.started_here]
    assert old == []


def test_a_message_that_is_no_question_is_refused() -> None:
    nodes = stocked()
    for answer in (Relayed(relay=bytes(16)), Supplied(key_ids=())):
        refused = nodes.ask("kobe", answer)
        assert isinstance(refused, Refused)
        assert refused.why == "version"
    (refusal,) = step(nodes, "kobe", c.Received(7, "nara", Envelope(run=NEW_RUN, to=b"", n=0, body=Dead())))
    assert isinstance(refusal, c.Answer)
    assert isinstance(refusal.envelope.body, Refused)
    assert reason_of(nodes.enc(slaves=("nara-1",))) is c.Reason.UNKNOWN_APPLICATION
