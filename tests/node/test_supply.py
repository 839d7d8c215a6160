"""Keys for applications: given once, to those who were named, after the other key manager knows of them."""

from __future__ import annotations

from dataclasses import replace

import pytest

import tokaido.node.core as c
from tokaido.hal import KeyMaterial
from tokaido.node.messages import (
    Cells,
    Confirm,
    Envelope,
    Hello,
    Message,
    Refused,
    Supplied,
    Supply,
    SupplyItem,
)
from tokaido.node.simulation import Scenario
from tokaido_testing.nodes import TwoNodes, ids_of, keys_of, pair, reason_of, secrets_of, stocked


def lose(nodes: TwoNodes, *kinds: type[Message]) -> None:
    nodes.between = lambda _, envelope: None if isinstance(envelope.body, kinds) else envelope


def mend(nodes: TwoNodes) -> None:
    nodes.between = lambda _, envelope: envelope


@pytest.mark.parametrize("size", [64, 128, 256, 264, 1000])
def test_master_and_slave_get_the_same_keys(size: int) -> None:
    nodes = stocked(Scenario(stock=40))
    given = nodes.enc(number=3, size=size)
    fetched = nodes.dec(ids_of(given))
    assert secrets_of(given) == secrets_of(fetched)
    assert len(set(secrets_of(given))) == 3
    assert {len(secret) for secret in secrets_of(given)} == {size // 8}
    assert ids_of(given) == ids_of(fetched)
    assert {key.hops for key in keys_of(given)} == {1}


def test_both_nodes_own_keys_of_the_pair() -> None:
    nodes = stocked()
    given = nodes.enc("osaka", slaves=("kobe-2",))
    fetched = nodes.dec(ids_of(given), "kobe", slave="kobe-2", master="osaka-1")
    assert secrets_of(given) == secrets_of(fetched)


def test_each_slave_gets_a_key_once() -> None:
    nodes = stocked()
    ids = ids_of(nodes.enc(slaves=("osaka-1", "osaka-2")))
    first = nodes.dec(ids)
    assert reason_of(nodes.dec(ids)) is c.Reason.NOT_FOUND
    assert secrets_of(nodes.dec(ids, slave="osaka-2")) == secrets_of(first)
    assert reason_of(nodes.dec(ids, slave="osaka-2")) is c.Reason.NOT_FOUND
    assert nodes.stores["osaka"].supplies == nodes.stores["kobe"].supplies == {}


def test_only_named_slaves_get_a_key_and_nothing_is_spent_by_asking() -> None:
    nodes = stocked()
    given = nodes.enc()
    ids = ids_of(given)
    assert reason_of(nodes.dec(ids, slave="osaka-2")) is c.Reason.NOT_NAMED
    assert reason_of(nodes.dec(ids, slave="kobe-1")) is c.Reason.UNKNOWN_APPLICATION
    assert reason_of(nodes.dec(ids, slave="nobody")) is c.Reason.UNKNOWN_APPLICATION
    assert reason_of(nodes.dec(ids, master="kobe-2")) is c.Reason.NOT_FOUND
    assert reason_of(nodes.dec((*ids, bytes(16)))) is c.Reason.NOT_FOUND
    assert reason_of(nodes.dec(ids * 2)) is c.Reason.NOT_FOUND
    assert reason_of(nodes.dec(())) is c.Reason.SIZE
    assert secrets_of(nodes.dec(ids)) == secrets_of(given)


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ({"master": "nobody"}, c.Reason.UNKNOWN_APPLICATION),
        ({"master": "osaka-1"}, c.Reason.UNKNOWN_APPLICATION),
        ({"slaves": ("nobody",)}, c.Reason.UNKNOWN_APPLICATION),
        ({"slaves": ("kobe-2",)}, c.Reason.UNKNOWN_APPLICATION),
        ({"slaves": ("osaka-1", "kobe-2")}, c.Reason.UNKNOWN_APPLICATION),
        ({"slaves": ()}, c.Reason.UNKNOWN_APPLICATION),
        ({"number": 0}, c.Reason.SIZE),
        ({"number": 129}, c.Reason.SIZE),
        ({"size": 56}, c.Reason.SIZE),
        ({"size": 257}, c.Reason.SIZE),
        ({"size": 8200}, c.Reason.SIZE),
        ({"number": 100}, c.Reason.NO_KEY),
    ],
)
def test_what_is_never_given(asked: dict[str, object], reason: c.Reason) -> None:
    nodes = stocked()
    ready = pair(nodes, "kobe").ready
    assert reason_of(nodes.enc(**asked)) is reason  # type: ignore[arg-type]
    assert pair(nodes, "kobe").ready == ready


def test_no_key_is_given_before_the_neighbour_was_heard() -> None:
    nodes = stocked()
    ids = ids_of(nodes.enc())
    lose(nodes, Hello)
    nodes.start("osaka")
    assert reason_of(nodes.dec(ids)) is c.Reason.STARTING
    assert reason_of(nodes.enc("osaka", slaves=("kobe-1",))) is c.Reason.STARTING
    mend(nodes)
    nodes.wait(6.0)
    keys_of(nodes.dec(ids))
    keys_of(nodes.enc("osaka", slaves=("kobe-1",)))


@pytest.mark.parametrize("lost", [Supply, Supplied])
def test_without_an_acknowledgement_the_keys_are_burned_at_both_ends(lost: type[Message]) -> None:
    nodes = stocked()
    supplies: list[bytes] = []

    def between(_: str, envelope: Envelope) -> Envelope | None:
        if isinstance(envelope.body, Supply):
            supplies.extend(item.key_id for item in envelope.body.supplies)
        return None if isinstance(envelope.body, lost) else envelope

    nodes.between = between
    assert reason_of(nodes.enc()) is c.Reason.PEER_SILENT
    assert reason_of(nodes.enc()) is c.Reason.PEER_SILENT
    assert len(supplies) == 1  # a neighbour that is silent is not asked for nothing
    mend(nodes)
    nodes.wait(10.0)
    assert reason_of(nodes.dec(tuple(supplies))) is c.Reason.NOT_FOUND
    assert nodes.stores["osaka"].supplies == nodes.stores["kobe"].supplies == {}
    keys_of(nodes.enc())


def sent_together(nodes: TwoNodes) -> list[int]:
    """Return a list that gets the number of keys of each SUPPLY."""
    sizes: list[int] = []

    def between(_: str, envelope: Envelope) -> Envelope:
        if isinstance(envelope.body, Supply):
            sizes.append(len(envelope.body.supplies))
        return envelope

    nodes.between = between
    return sizes


def test_applications_that_ask_at_the_same_time_share_a_supply() -> None:
    nodes = stocked()
    sizes = sent_together(nodes)
    given = nodes.enc_together(*["osaka-1"] * 7)
    assert sizes == [1, 1, 5]
    for answer in given:
        assert secrets_of(nodes.dec(ids_of(answer))) == secrets_of(answer)
    assert len({secret for answer in given for secret in secrets_of(answer)}) == 7


def test_a_refusal_of_a_shared_supply_is_of_the_application_that_caused_it_alone() -> None:
    nodes = stocked()
    applications = dict(nodes.settings["osaka"].applications)
    del applications["osaka-2"]
    nodes.change("osaka", applications=applications)
    sizes = sent_together(nodes)
    given = nodes.enc_together("osaka-1", "osaka-1", "osaka-1", "osaka-2", "osaka-1")
    assert sizes == [1, 1, 3, 1, 1, 1]
    assert [isinstance(answer, c.Keys) for answer in given] == [True, True, True, False, True]
    assert reason_of(given[3]) is c.Reason.PEER_SILENT
    for answer in (*given[:3], given[4]):
        assert secrets_of(nodes.dec(ids_of(answer))) == secrets_of(answer)
    assert pair(nodes, "kobe").adds_up


def test_a_supply_that_comes_after_it_was_given_up_is_not_taken() -> None:
    nodes = stocked()
    late: list[Message] = []

    def between(_: str, envelope: Envelope) -> Envelope | None:
        if isinstance(envelope.body, Supply):
            late.append(envelope.body)
            return None
        return envelope

    nodes.between = between
    assert reason_of(nodes.enc()) is c.Reason.PEER_SILENT
    nodes.wait(10.0)
    refused = nodes.ask("osaka", late[0])
    assert isinstance(refused, Refused)
    assert refused.why == "cells"


def test_cells_are_supplied_once_and_to_applications_of_the_right_nodes() -> None:
    nodes = stocked(Scenario(stock=8, batch=8))
    (relay,) = (batch.relay for batch in nodes.stores["osaka"].batches.values() if not batch.started_here)

    def supply(number: int, first: int, count: int = 1, *, size: int = 256, master: str = "kobe-1",
               slave: str = "osaka-1") -> str:  # fmt: skip
        item = SupplyItem(number.to_bytes(16, "big"), master, (slave,), size, (Cells(relay, first, count),), 60.0)
        answer = nodes.ask("osaka", Supply(supplies=(item,)))
        return answer.why if isinstance(answer, Refused) else "SUPPLIED"

    assert supply(1, 3) == "SUPPLIED"
    assert supply(2, 3) == "cells"
    assert supply(1, 4) == "cells"  # the same id
    assert supply(3, 2, 2, size=512) == "cells"
    assert supply(4, 0, 2) == "cells"  # more than the size asks for
    assert supply(5, 1) == "SUPPLIED"  # in another order
    assert supply(6, 4, slave="kobe-2") == "application"
    assert supply(7, 4, master="osaka-2") == "application"
    nodes.start("osaka")
    nodes.wait(1.0)
    assert supply(8, 0) == "cells"  # after a restart, what lies before a supplied key is gone
    assert pair(nodes, "osaka").counters["dropped:restart"] == 2
    assert supply(9, 4) == "SUPPLIED"


def test_a_supply_that_nobody_fetches_is_an_orphan_when_it_is_too_old() -> None:
    nodes = stocked(Scenario(stock=16, supply_age_s=50.0))
    ids = ids_of(nodes.enc())
    nodes.wait(49.0)
    assert list(nodes.stores["osaka"].supplies) == list(ids)
    nodes.wait(2.0)
    assert reason_of(nodes.dec(ids)) is c.Reason.NOT_FOUND
    assert nodes.stores["osaka"].supplies == nodes.stores["kobe"].supplies == {}
    assert pair(nodes, "kobe").counters["supply:orphan"] == 1


def test_a_supply_whose_owner_is_gone_is_destroyed_after_twice_its_age() -> None:
    nodes = stocked(Scenario(stock=16, supply_age_s=50.0))
    nodes.enc()
    nodes.between = lambda *_: None
    del nodes.cores["kobe"]
    nodes.wait(99.0)
    assert len(nodes.stores["osaka"].supplies) == 1
    nodes.wait(2.0)
    assert nodes.stores["osaka"].supplies == {}


def test_keys_in_stock_are_burned_when_they_are_too_old() -> None:
    nodes = stocked(Scenario(stock=16, batch_age_s=30.0))
    nodes.wait(40.0)
    assert pair(nodes, "kobe").counters["burned:age"] >= 12
    assert reason_of(nodes.enc(max_age_s=5.0)) is c.Reason.TOO_OLD
    nodes.draw_both(1)
    keys_of(nodes.enc(max_age_s=15.0))


def test_an_application_that_left_leaves_no_key_behind() -> None:
    nodes = stocked()
    core, store = nodes.cores["kobe"], nodes.stores["kobe"]
    (commit, *_) = core.handle(c.EncKeys(1, "kobe-1", ("osaka-1",), 1, 256), 0.0)
    assert isinstance(commit, c.Commit)
    core.handle(c.Abandoned(1), 0.0)
    store.commit([commit])
    (told,) = (
        action for action in core.handle(c.Committed(commit.token), 0.0) if isinstance(action, (c.Keys, c.Refusal))
    )
    assert reason_of(told) is c.Reason.NOT_FOUND
    assert pair(nodes, "kobe").counters["supply:abandoned"] == 1


def test_an_answer_that_did_not_arrive_is_counted_and_ends_by_its_age() -> None:
    nodes = stocked(Scenario(stock=16, supply_age_s=50.0))
    ids = ids_of(nodes.enc())
    nodes.do("kobe", c.Undelivered(1, ids))
    assert pair(nodes, "kobe").counters["undelivered"] == 1
    keys_of(nodes.dec(ids))  # the master may have it


def test_a_quota_is_a_rate_with_a_burst() -> None:
    nodes = stocked(Scenario(stock=60, quotas={"kobe-1": c.Quota(rate=2.0, burst=4)}))
    keys_of(nodes.enc(number=4))
    refused = nodes.enc(size=512)
    assert reason_of(refused) is c.Reason.QUOTA
    assert isinstance(refused, c.Refusal)
    assert refused.retry_after_s == pytest.approx(1.0)
    keys_of(nodes.enc(master="kobe-2"))
    nodes.wait(1.0)
    keys_of(nodes.enc(size=512))
    refused = nodes.enc(number=5)
    assert isinstance(refused, c.Refusal)
    assert (refused.reason, refused.retry_after_s) == (c.Reason.QUOTA, None)  # never


def test_a_share_leaves_keys_to_others() -> None:
    nodes = stocked(Scenario(stock=20, batch=4, quotas={"kobe-1": c.Quota(share=0.5)}))
    ready = pair(nodes, "kobe").ready
    assert reason_of(nodes.enc(number=ready - 9)) is c.Reason.QUOTA
    keys_of(nodes.enc(number=ready - 10))
    keys_of(nodes.enc(number=5, master="kobe-2"))


def test_keys_that_are_not_the_same_at_both_ends_are_burned() -> None:
    nodes = TwoNodes(Scenario(stock=8))
    (settings,) = nodes.settings["osaka"].neighbours.values()
    nodes.change("osaka", neighbours={"kobe": replace(settings, confirm_key=KeyMaterial(bytes(32)))})
    nodes.start()
    nodes.draw_both(0)
    assert "CONFIRM_FAILED" in nodes.alarms("osaka")
    assert "CONFIRM_FAILED" in nodes.alarms("kobe")
    assert (pair(nodes, "kobe").ready, pair(nodes, "osaka").held) == (0, 0)
    born = pair(nodes, "kobe").counters["born"]
    nodes.wait(50.0)
    assert pair(nodes, "kobe").counters["born"] == born  # they cost link key
    nodes.wait(20.0)
    assert pair(nodes, "kobe").counters["born"] > born


def test_an_altered_confirmation_is_seen_by_the_start() -> None:
    nodes = TwoNodes(Scenario(stock=8))
    nodes.start()

    def between(sender: str, envelope: Envelope) -> Envelope:
        if isinstance(envelope.body, Confirm) and sender == "osaka" and envelope.body.relay not in own:
            body = Confirm(relay=envelope.body.relay, mac=bytes(32))
            return Envelope(run=envelope.run, to=envelope.to, n=envelope.n, body=body)
        return envelope

    own = nodes.stores["osaka"].batches
    nodes.between = between
    nodes.draw_both(0)
    assert "CONFIRM_FAILED" in nodes.alarms("kobe")
    assert pair(nodes, "kobe").ready == 0


def test_without_an_end_to_end_key_relays_are_trusted_and_one_end_alone_does_not_do() -> None:
    nodes = stocked(Scenario(stock=8, confirms=False))
    assert pair(nodes, "kobe").integrity == "relays trusted"
    keys_of(nodes.enc())
    nodes = TwoNodes(Scenario(stock=8))
    (settings,) = nodes.settings["kobe"].neighbours.values()
    nodes.change("kobe", neighbours={"osaka": replace(settings, confirm_key=None)})
    nodes.start()
    nodes.draw_both(0)
    assert reason_of(nodes.enc()) is c.Reason.PEER_SILENT
    assert "CONFIRM_FAILED" in nodes.alarms("osaka")
    assert reason_of(nodes.enc("osaka", slaves=("kobe-1",))) is c.Reason.NO_KEY


def test_a_batch_that_the_other_end_does_not_hold_is_burned_at_once() -> None:
    nodes = stocked(Scenario(stock=8, batch=8))
    refused = [False]

    def between(sender: str, envelope: Envelope) -> Envelope:
        if isinstance(envelope.body, Supplied) and not refused[0]:
            refused[0] = True
            return Envelope(run=envelope.run, to=envelope.to, n=envelope.n, body=Refused(why="cells"))
        return envelope

    nodes.between = between
    assert reason_of(nodes.enc()) is c.Reason.PEER_SILENT
    assert pair(nodes, "kobe").counters["burned:not held"] == 7
    keys_of(nodes.enc())
