"""SUPPLY of keys of two routes: both keys of which one is the sum are supplied, or burned, together."""

from __future__ import annotations

import os
from itertools import product
from typing import TYPE_CHECKING

import pytest

import tokaido.node.core as c
from tokaido.hal import KeyMaterial
from tokaido.node.messages import Cells, Confirm, Envelope, Message, Refused, Relayed, Supplied, Supply, SupplyItem
from tokaido.node.store import SqliteStore
from tokaido_testing.nodes import ids_of, keys_of, reason_of, secrets_of
from tokaido_testing.rings import FAR, RING, Ring, filled, xor

if TYPE_CHECKING:
    from pathlib import Path


def test_the_peer_takes_two_routes_only_if_they_are_two() -> None:
    nodes = filled(routes=2)
    over: dict[str, list[bytes]] = {"numazu": [], "kobe": []}
    for batch in nodes.stores["mishima"].batches.values():
        if not batch.started_here and batch.neighbour == "odawara":
            over[batch.route[1]].append(batch.relay)
    one, other = over["numazu"], over["kobe"]
    assert len(one) >= 2
    assert len(other) >= 1

    def supply(number: int, cells: list[Cells], others: list[Cells], size: int = 256) -> str:
        item = SupplyItem(bytes([number]) * 16, "odawara-1", ("mishima-1",), size, tuple(cells), 60.0, tuple(others))
        answer = nodes.ask("mishima", Supply(supplies=(item,)), sender="odawara")
        return answer.why if isinstance(answer, Refused) else "SUPPLIED"

    assert supply(1, [Cells(one[0], 0, 1)], []) == "route"
    assert supply(2, [Cells(one[0], 0, 1)], [Cells(one[1], 0, 1)]) == "cells"  # the same route twice
    assert supply(3, [Cells(one[0], 0, 1)], [Cells(one[0], 0, 1)]) == "cells"  # the same key twice: nothing
    assert supply(4, [Cells(one[0], 0, 1)], [Cells(other[0], 0, 2)]) == "cells"
    assert supply(5, [Cells(one[0], 0, 2)], [Cells(other[0], 0, 1)], size=512) == "cells"
    mixed = [Cells(one[1], 0, 1), Cells(other[0], 1, 1)]
    assert supply(6, [Cells(one[0], 0, 2)], mixed, size=512) == "cells"  # numazu is on both sides
    assert supply(7, [Cells(one[0], 0, 1)], [Cells(bytes(16), 0, 1)]) == "cells"
    assert nodes.stores["mishima"].supplies == {}
    assert supply(8, [Cells(one[0], 0, 1)], [Cells(other[0], 0, 1)]) == "SUPPLIED"
    assert supply(9, [Cells(one[0], 1, 1)], [Cells(other[0], 0, 1)]) == "cells"  # one of them was supplied
    assert nodes.pair_of("mishima").counters["supplied"] == 2


def test_a_key_that_two_supplies_of_one_message_name_is_given_to_neither() -> None:
    nodes = filled(routes=2)
    batches = [batch for batch in nodes.stores["mishima"].batches.values() if not batch.started_here]
    one, other = (next(batch.relay for batch in batches if middle in batch.route) for middle in ("numazu", "kobe"))
    items = [
        SupplyItem(
            bytes([at]) * 16, "odawara-1", ("mishima-1",), 256, (Cells(one, at, 1),), 60.0, (Cells(other, 5, 1),)
        )
        for at in (1, 2)
    ]
    answer = nodes.ask("mishima", Supply(supplies=tuple(items)), sender="odawara")
    assert isinstance(answer, Refused)
    assert answer.why == "cells"
    assert nodes.stores["mishima"].supplies == {}


def test_routes_that_share_a_node_are_not_two() -> None:
    over_numazu, over_both, over_kobe = (
        ("odawara", "numazu", "mishima"),
        ("odawara", "numazu", "kobe", "mishima"),
        ("odawara", "kobe", "mishima"),
    )
    nodes = stocked(over_numazu, over_both, over_kobe)
    one, both, other = (bytes([number]) * 16 for number in range(3))
    for first, second in ((one, both), (both, one), (other, both)):
        answer = nodes.ask("mishima", Supply(supplies=(item_of(first, second),)), sender="odawara")
        assert isinstance(answer, Refused)
        assert answer.why == "cells"
    given = nodes.ask_for(number=4)
    assert secrets_of(nodes.fetch(ids_of(given))) == secrets_of(given)
    assert {(item.cells[0].relay, item.others[0].relay) for item in nodes.supplied()} == {(one, other)}
    none = stocked(over_numazu, over_both)
    assert reason_of(none.ask_for()) is c.Reason.NO_KEY


def test_one_link_twice_is_not_two_routes() -> None:
    direct = ("odawara", "mishima")
    nodes = stocked(direct, direct, nodes=("odawara", "numazu", "mishima"))
    assert reason_of(nodes.ask_for()) is c.Reason.NO_KEY
    answer = nodes.ask("mishima", Supply(supplies=(item_of(bytes(16), b"\1" * 16),)), sender="odawara")
    assert isinstance(answer, Refused)
    assert answer.why == "cells"


def stocked(*routes: tuple[str, ...], nodes: tuple[str, ...] = RING) -> Ring:
    """Return nodes that have keys in stock which went these routes, and no link key."""
    ring = Ring(routes=2, nodes=nodes)
    for number, route in enumerate(routes):
        keys = os.urandom(8 * 32)
        for name, other in (FAR, FAR[::-1]):
            batch = c.Batch(bytes([number]) * 16, other, name == route[0], 8, route, ready=True)
            count = c.Count(f"pair:{other}", {"born" if batch.started_here else "held": 8})
            ring.stores[name].commit([c.Commit(1, (c.PutBatch(batch, KeyMaterial(keys)), count))])
    ring.start()
    ring.wait(1.0)
    return ring


def item_of(one: bytes, other: bytes) -> SupplyItem:
    key_id = os.urandom(16)
    return SupplyItem(key_id, "odawara-1", ("mishima-1",), 256, (Cells(one, 0, 1),), 60.0, (Cells(other, 0, 1),))


@pytest.mark.parametrize("lost", [Supply, Supplied])
def test_a_supply_that_is_lost_burns_both_keys_at_both_ends(lost: type[Message]) -> None:
    nodes = filled(routes=2)
    before = nodes.pair_of().ready
    nodes.lost = (lost,)
    assert reason_of(nodes.ask_for()) is c.Reason.PEER_SILENT
    ids = tuple(item.key_id for item in nodes.supplied())
    nodes.lost = ()
    nodes.wait(10.0)
    assert reason_of(nodes.fetch(ids)) is c.Reason.NOT_FOUND
    assert nodes.stores["odawara"].supplies == nodes.stores["mishima"].supplies == {}
    assert nodes.pair_of().taken == 2
    assert nodes.pair_of().counters["supply:unconfirmed"] == 1
    used = {part.relay: part.first for item in nodes.supplied() for part in (*item.cells, *item.others)}
    assert len(used) == 2
    for _ in range(10):
        keys_of(nodes.ask_for())
    again = [(part.relay, part.first) for item in nodes.supplied()[1:] for part in (*item.cells, *item.others)]
    assert set(used.items()).isdisjoint(again)
    assert before == 32


def test_batches_of_both_routes_are_burned_where_the_peer_does_not_hold_one_of_them() -> None:
    nodes = filled(routes=2)
    note, refused = nodes.between, [False]

    def between(sender: str, envelope: Envelope) -> Envelope | None:
        if isinstance(envelope.body, Supplied) and not refused[0]:
            refused[0] = True
            return Envelope(run=envelope.run, to=envelope.to, n=envelope.n, body=Refused(why="cells"))
        return note(sender, envelope)

    nodes.between = between
    assert reason_of(nodes.ask_for()) is c.Reason.PEER_SILENT
    assert nodes.pair_of().counters["burned:not held"] == 2 * 7
    keys_of(nodes.ask_for())
    nodes.wait(10.0)
    dropped = nodes.pair_of("mishima").counters
    assert dropped["dropped:dead"] == 2 * 7


@pytest.mark.parametrize("lost", [Relayed, Confirm])
def test_a_key_that_is_not_confirmed_is_no_half(lost: type[Message]) -> None:
    nodes = Ring(routes=2)
    lose = nodes.between

    def between(sender: str, envelope: Envelope) -> Envelope | None:
        arrives, body = lose(sender, envelope), envelope.body
        if isinstance(body, Confirm) and lost is Confirm:
            batch = nodes.stores["odawara"].batches.get(body.relay)
            return None if batch is not None and "kobe" in batch.route else arrives
        return None if isinstance(body, Relayed) and lost is Relayed and sender == "kobe" else arrives

    nodes.between = between
    nodes.fill()
    nodes.wait(30.0)
    assert reason_of(nodes.ask_for()) is c.Reason.NO_KEY
    assert nodes.pair_of().ready == 16
    nodes.between = lose
    nodes.fill(1)
    nodes.wait(70.0)
    given = nodes.ask_for()
    assert secrets_of(nodes.fetch(ids_of(given))) == secrets_of(given)


def test_keys_of_two_routes_that_were_supplied_survive_both_nodes(tmp_path: Path) -> None:
    nodes = Ring(routes=2)
    wrapping = KeyMaterial(bytes(range(32)))
    for name in FAR:
        nodes.stores[name] = SqliteStore.open(tmp_path / name, wrapping, create=True)  # type: ignore[assignment]
    nodes.start()
    nodes.fill()
    given = nodes.ask_for(number=2, size=264)
    secrets = secrets_of(given)
    for name in FAR:
        nodes.stores[name].close()
        nodes.stores[name] = SqliteStore.open(tmp_path / name, wrapping)  # type: ignore[assignment]
    (row, _), _ = nodes.stores["mishima"].snapshot().supplies
    assert len(row.cells) == len(row.others) == 1
    nodes.start()
    nodes.wait(3.0)
    fetched = nodes.fetch(ids_of(given))
    assert secrets_of(fetched) == secrets
    assert [key.routes for key in keys_of(fetched)] == [2, 2]
    for name in FAR:
        nodes.pair_of(name)
        nodes.stores[name].close()


def test_neither_key_of_which_one_is_the_sum_stays_in_a_store() -> None:
    nodes = filled(routes=2)
    (secret,) = secrets_of(nodes.ask_for())
    by_numazu, by_kobe = nodes.opened_by("numazu"), nodes.opened_by("kobe")
    ((one, other),) = [(a, b) for a, b in product(by_numazu, by_kobe) if xor(a, b) == secret]
    for name in RING:
        snapshot = nodes.stores[name].snapshot()
        kept = [bytes(key.reveal()) for _, key in snapshot.batches]
        kept += [bytes(key.reveal()) for _, key in snapshot.supplies if key is not None]
        assert not any(half in whole for half in (one, other) for whole in kept), name
    supplied = [bytes(key.reveal()) for _, key in nodes.stores["mishima"].snapshot().supplies if key is not None]
    assert secret in supplied  # control
