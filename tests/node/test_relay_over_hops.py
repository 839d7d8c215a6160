"""Keys over several hops: nodes in the middle store none, and whatever one of them does, no wrong key is delivered."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

import tokaido.node.core as c
from tokaido.hal import KeyMaterial, KeyMaterialError
from tokaido.node.messages import (
    Dead,
    DeadBlock,
    Envelope,
    Grant,
    Granted,
    Hello,
    Lease,
    Leased,
    Message,
    Refused,
    Relay,
    Relayed,
)
from tokaido.node.simulation import Scenario
from tokaido_testing.nodes import LINK, TwoNodes, ids_of, keys_of, reason_of, secrets_of, text_of

if TYPE_CHECKING:
    from collections.abc import Callable

LINE = ("odawara", "numazu", "mishima", "kobe")
FAR = ("odawara", "kobe")
LINKS_OF_LINE = ("odawara-numazu", "numazu-mishima", "mishima-kobe")


def line(*, stock: int = 16, confirms: bool = True, nodes: tuple[str, ...] = LINE, closed: bool = False) -> TwoNodes:
    """Return nodes of a line, or of a ring, of which the first shares keys with the last but one of a ring."""
    far = (nodes[0], nodes[-2] if closed else nodes[-1])
    scenario = Scenario(nodes=nodes, closed=closed, pairs=(far,), stock=stock, batch=8, lease=2048, confirms=confirms)
    line = TwoNodes(scenario)
    line.start()
    return line


def fill(nodes: TwoNodes, number: int = 0) -> None:
    """Give every link a block, and let leases be asked for."""
    for link in nodes.scenario.links:
        nodes.draw_both(number, 16_000, link=link)
    nodes.wait(3.0)


def filled(**kinds: Any) -> TwoNodes:
    nodes = line(**kinds)
    fill(nodes)
    return nodes


def far_enc(nodes: TwoNodes) -> c.Keys | c.Refusal:
    return nodes.enc("odawara", slaves=("kobe-1",), master="odawara-1")


def far_dec(nodes: TwoNodes, ids: tuple[bytes, ...]) -> c.Keys | c.Refusal:
    return nodes.dec(ids, "kobe", slave="kobe-1", master="odawara-1")


def far_pair(nodes: TwoNodes, name: str = "odawara") -> c.PairStatus:
    status = nodes.cores[name].status()
    for link in status.links.values():
        assert link.adds_up
    found = status.pairs["kobe" if name == "odawara" else "odawara"]
    assert found.adds_up
    return found


def watch(nodes: TwoNodes, change: Callable[[str, Envelope], Envelope | None] | None = None) -> list[tuple[str, Any]]:
    """Return a list that gets sender and body of each message, before `change` has its way with it."""
    seen: list[tuple[str, Any]] = []

    def between(sender: str, envelope: Envelope) -> Envelope | None:
        seen.append((sender, envelope.body))
        return envelope if change is None else change(sender, envelope)

    nodes.between = between
    return seen


def changed(envelope: Envelope, **changes: object) -> Envelope:
    body = msgspec.structs.replace(envelope.body, **changes)
    return msgspec.structs.replace(envelope, body=body)


@pytest.mark.parametrize("confirms", [True, False])
def test_both_ends_of_a_route_get_the_same_keys(confirms: bool) -> None:
    nodes = filled(confirms=confirms)
    given = far_enc(nodes)
    assert secrets_of(far_dec(nodes, ids_of(given))) == secrets_of(given)
    assert [key.hops for key in keys_of(given)] == [3]
    back = nodes.enc("kobe", slaves=("odawara-2",), master="kobe-2")
    assert secrets_of(nodes.dec(ids_of(back), "odawara", slave="odawara-2", master="kobe-2")) == secrets_of(back)
    for name in LINE[1:3]:
        assert not nodes.stores[name].batches
        assert not nodes.stores[name].supplies


def test_each_hop_costs_as_much_link_key_as_the_batch_and_one_tag() -> None:
    nodes = filled()
    born = sum(far_pair(nodes, name).counters["born"] for name in FAR)
    relays = born // 8
    assert relays == 4
    for name, after in pairwise(LINE):
        status = nodes.cores[name].status().links[f"{name}-{after}"]
        assert (status.spent_pad, status.spent_tag) == (born * 256, relays * 256)


def test_no_key_that_a_node_in_the_middle_saw_is_on_the_wire_or_in_its_store() -> None:
    nodes = line()
    seen = watch(nodes)
    fill(nodes)
    secrets = secrets_of(far_enc(nodes))
    relays = [body for _, body in seen if isinstance(body, Relay)]
    assert {body.hop for body in relays} == {0, 1, 2}
    for secret in secrets:
        assert all(secret not in body.ciphertext for body in relays)
        assert all(secret not in bytes(cells) for name in LINE[1:3] for cells in _cells(nodes, name))
    assert any(secret in bytes(cells) for secret in _own(nodes) for cells in _cells(nodes, "odawara"))  # control


def _cells(nodes: TwoNodes, name: str) -> list[bytes]:
    snapshot = nodes.stores[name].snapshot()
    return [bytes(key.reveal()) for _, key in snapshot.batches]


def _own(nodes: TwoNodes) -> list[bytes]:
    return [bytes(key.reveal())[-32:] for _, key in nodes.stores["odawara"].snapshot().batches]


# --- what a node in the middle, or somebody on the wire, may do -------------------------------------------------------


@pytest.mark.parametrize("hop", [0, 1, 2])
@pytest.mark.parametrize("change", [{"ciphertext": bytes(256)}, {"count": 7}, {"insecure": True}, {"relay": bytes(16)}])
def test_a_relay_that_is_altered_on_its_way_is_refused_at_the_next_node(hop: int, change: dict[str, object]) -> None:
    nodes = line()

    def alter(_: str, envelope: Envelope) -> Envelope:
        body = envelope.body
        wanted = isinstance(body, Relay) and body.hop == hop and body.route[0] == "odawara"
        return changed(envelope, **change) if wanted else envelope

    watch(nodes, alter)
    fill(nodes)
    nodes.wait(20.0)
    assert far_pair(nodes).ready == far_pair(nodes, "kobe").held == 0
    assert reason_of(far_enc(nodes)) is c.Reason.NO_KEY
    place = LINE[hop + 1]
    if "count" in change:
        assert f"at {place}: range" in text_of(nodes, "odawara", "RELAY_FAILED")
    else:
        told = nodes.told[LINE[hop]]
        blamed = {(action.code, action.of) for action in told if isinstance(action, c.Raise) and action.latched}
        assert blamed == {("KEYS_DIFFER", f"{LINE[hop]}-{place}")}


@pytest.mark.parametrize("bad", LINE[1:3])
def test_a_node_in_the_middle_that_gives_other_keys_is_found_by_the_ends(
    bad: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes = line()
    transit: Any = nodes.cores[bad]._transit
    forward = transit.forward

    def substituted(exchange: int, before: object, relay: Relay, keys: KeyMaterial) -> object:
        return forward(exchange, before, relay, KeyMaterial(bytes(len(keys))))

    monkeypatch.setattr(transit, "forward", substituted)
    fill(nodes)
    for name in FAR:
        assert all(place in text_of(nodes, name, "CONFIRM_FAILED") for place in LINE[1:3])
        assert far_pair(nodes, name).ready == 0
    assert reason_of(far_enc(nodes)) is c.Reason.NO_KEY


def test_a_relay_is_taken_once_on_each_hop() -> None:
    nodes = line()
    seen = watch(nodes)
    fill(nodes)
    before = {name: nodes.stores[name].copy() for name in LINE}
    for sender, body in [(sender, body) for sender, body in seen if isinstance(body, Relay)]:
        place = body.route[body.hop + 1]
        answer = nodes.ask(place, body, sender=sender)
        assert isinstance(answer, Refused)
        assert answer.why == "range"
    for name in LINE:
        assert nodes.stores[name].batches == before[name].batches
        assert nodes.stores[name].blocks == before[name].blocks


@pytest.mark.parametrize(
    ("route", "hop"),
    [
        (("odawara", "numazu", "odawara", "numazu", "kobe"), 0),
        (("odawara", "numazu", "mishima", "numazu"), 0),
        (("kobe", "odawara", "numazu", "mishima"), 0),
        (("odawara", "numazu", "kobe"), 0),
        (("odawara", "numazu"), 1),
        (("mishima", "odawara", "numazu"), 0),
    ],
)
def test_no_route_has_a_loop_a_jump_or_a_stranger(route: tuple[str, ...], hop: int) -> None:
    nodes = filled()
    answer = nodes.ask("numazu", Lease(relay=bytes(16), route=route, hop=hop, count=1), sender="odawara")
    assert isinstance(answer, Refused)
    assert answer.why == "route"


def test_a_relay_without_a_lease_is_not_sent_on_and_its_pad_is_spent() -> None:
    nodes = line()
    caught: list[Relay] = []

    def catch(_: str, envelope: Envelope) -> Envelope | None:
        if isinstance(envelope.body, Relay):
            caught.append(envelope.body)
            return None
        return envelope

    watch(nodes, catch)
    fill(nodes)
    nodes.wait(16.0)  # longer than key is set aside
    relay = next(body for body in caught if body.route[0] == "odawara")
    answer = nodes.ask("numazu", relay, sender="odawara")
    assert isinstance(answer, Refused)
    assert answer.why == "lease"
    status = nodes.cores["numazu"].status()
    assert status.links["odawara-numazu"].spent_pad == 8 * 32 * relay.count
    assert status.links["numazu-mishima"].spent_pad == 0
    assert status.links["odawara-numazu"].adds_up


@pytest.mark.parametrize("lost", [Lease, Leased, Relay, Relayed])
@pytest.mark.parametrize("place", LINE[1:])
def test_what_is_lost_anywhere_is_burned_at_both_ends(lost: type[Message], place: str) -> None:
    nodes = line()

    def lose(sender: str, envelope: Envelope) -> Envelope | None:
        body = envelope.body
        if not isinstance(body, lost):
            return envelope
        at = body.route[body.hop + 1] if isinstance(body, (Lease, Relay)) else sender
        return None if at == place else envelope

    watch(nodes, lose)
    fill(nodes)
    watch(nodes)
    nodes.wait(30.0)
    for name, other in (FAR, FAR[::-1]):
        owner, holder = far_pair(nodes, name), far_pair(nodes, other)
        assert owner.ready == holder.held == 16
        lost_keys = sum(amount for key, amount in owner.counters.items() if key.startswith("burned:"))
        assert owner.counters["born"] == 16 + lost_keys
    given = far_enc(nodes)
    assert secrets_of(far_dec(nodes, ids_of(given))) == secrets_of(given)


def test_a_relay_that_comes_after_it_was_given_up_is_not_held() -> None:
    nodes = line()
    late: list[tuple[str, Relay]] = []

    def keep(sender: str, envelope: Envelope) -> Envelope | None:
        if isinstance(envelope.body, Relay) and envelope.body.hop == 2 and sender == "mishima":
            late.append((sender, envelope.body))
            return None
        return envelope

    watch(nodes, keep)
    fill(nodes)
    nodes.wait(5.0)
    for sender, relay in late:
        answer = nodes.ask("kobe", relay, sender=sender)
        assert isinstance(answer, Refused)
        assert answer.why in {"relay", "range"}
    assert far_pair(nodes, "kobe").held == 0


# --- routes -----------------------------------------------------------------------------------------------------------


RING = ("odawara", "numazu", "mishima", "kobe", "nara")


def routes_seen(nodes: TwoNodes) -> list[tuple[str, ...]]:
    seen: list[tuple[str, ...]] = []

    def note(sender: str, envelope: Envelope) -> Envelope:
        if isinstance(envelope.body, Relayed):
            return envelope
        if isinstance(envelope.body, Relay) and envelope.body.hop == 0 and sender == "odawara":
            seen.append(envelope.body.route)
        return envelope

    nodes.between = note
    return seen


def test_the_shortest_way_is_gone_and_the_other_one_when_a_node_is_away() -> None:
    nodes = line(nodes=RING, closed=True)
    seen = routes_seen(nodes)
    for link in reversed(nodes.scenario.links):
        nodes.draw_both(0, link=link)
    nodes.wait(3.0)
    assert set(seen) == {("odawara", "nara", "kobe")}
    seen.clear()
    del nodes.cores["nara"]
    for _ in range(10):
        keys_of(far_enc(nodes))
    nodes.wait(30.0)
    assert seen[-1] == ("odawara", "numazu", "mishima", "kobe")
    assert far_pair(nodes).ready > 12


def test_a_way_around_is_gone_where_a_link_far_away_has_no_key() -> None:
    nodes = line(nodes=RING, closed=True)
    seen = routes_seen(nodes)
    for link in nodes.scenario.links:
        if link != "kobe-nara":
            nodes.draw_both(0, link=link)
    nodes.wait(20.0)
    assert set(seen) == {("odawara", "numazu", "mishima", "kobe")}
    assert far_pair(nodes).ready == 16


def test_a_route_that_is_not_there_is_not_looked_for_at_every_event() -> None:
    nodes = line()
    ways = nodes.settings["odawara"].ways
    assert ways is not None
    looks: list[str] = []

    def looked(end: str, cost: Callable[[str, str], float]) -> tuple[str, ...] | None:
        looks.append(end)
        return ways(end, cost)

    nodes.change("odawara", ways=looked)
    for _ in range(100):
        nodes.do("odawara", c.Tick())
    assert looks == ["kobe"]
    fill(nodes)
    assert far_pair(nodes).ready == 16


def test_key_that_was_set_aside_is_free_again() -> None:
    nodes = filled()
    free = nodes.cores["numazu"].status().links["numazu-mishima"].leased
    question = Lease(relay=b"never used again", route=LINE, hop=0, count=8)
    assert isinstance(nodes.ask("numazu", question, sender="odawara"), Leased)
    again = nodes.ask("numazu", question, sender="odawara")
    assert isinstance(again, Refused)
    assert again.why == "relay"
    nodes.wait(16.0)
    assert isinstance(nodes.ask("numazu", question, sender="odawara"), Leased)
    assert nodes.cores["numazu"].status().links["numazu-mishima"].leased == free


def test_key_is_free_again_at_once_when_its_relay_was_refused() -> None:
    nodes = line()
    refused: list[bytes] = []

    def alter_one(sender: str, envelope: Envelope) -> Envelope:
        body = envelope.body
        if isinstance(body, Relay) and body.route[0] == sender == "odawara" and not refused:
            refused.append(body.relay)
            return changed(envelope, count=7)
        return envelope

    watch(nodes, alter_one)
    fill(nodes)
    assert refused
    for name in LINE[1:3]:
        transit: Any = nodes.cores[name]._transit
        assert not transit._reserved, name


def test_the_end_takes_nothing_of_a_start_that_it_has_not_heard() -> None:
    nodes = filled()
    relays = watch(nodes)
    nodes.between = lambda sender, envelope: (
        None if isinstance(envelope.body, Hello) and sender in FAR and envelope.body.node in FAR else envelope
    )
    nodes.start("kobe")
    nodes.wait(3.0)
    question = Lease(relay=bytes(16), route=LINE, hop=2, count=1)
    answer = nodes.ask("kobe", question, sender="mishima")
    assert isinstance(answer, Refused)
    assert answer.why == "peer"
    assert not any(isinstance(body, Relayed) for _, body in relays)


@pytest.mark.parametrize("mark", ["insecure", "emulated"])
def test_a_node_in_the_middle_tells_the_mark_of_its_own_link_to_an_end_whose_start_does_not(mark: str) -> None:
    nodes = line()
    for name in LINE:
        nodes.change(name, emulation=True)

    def hide(_: str, envelope: Envelope) -> Envelope:
        return changed(envelope, **{mark: False}) if isinstance(envelope.body, Leased) else envelope

    watch(nodes, hide)
    for link in nodes.scenario.links:
        marked = link == "numazu-mishima"
        marks = {"insecure": mark == "insecure" and marked, "emulated": mark == "emulated" and marked}
        nodes.draw_both(0, 16_000, link=link, **marks)
    nodes.wait(3.0)
    given = far_enc(nodes)
    (key,) = keys_of(far_dec(nodes, ids_of(given)))
    assert (key.key.insecure if mark == "insecure" else key.emulated) is True


def test_a_relay_that_hides_seeded_secrets_is_refused() -> None:
    nodes = TwoNodes(Scenario(stock=0))
    for name in ("kobe", "osaka"):
        nodes.change(name, emulation=True)
    nodes.start()
    nodes.draw_both(0, insecure=True)
    grant = Grant(link=LINK, session="s", number=0, mark=0, wanted=64)
    assert isinstance(nodes.ask("osaka", grant), Granted)
    relay = Relay(
        relay=b"one of our relay",
        route=("kobe", "osaka"),
        hop=0,
        link=LINK,
        session="s",
        number=0,
        offset=0,
        length=64,
        count=1,
        insecure=False,
        emulated=True,
        ciphertext=bytes(32),
        tag=bytes(16),
    )
    answer = nodes.ask("osaka", relay)
    assert isinstance(answer, Refused)
    assert answer.why == "insecure"


@pytest.mark.parametrize(("hops", "given"), [((1, 16), True), ((2, 3), True), ((1, 2), False), ((4, 16), False)])
def test_an_application_may_say_how_many_hops_its_keys_go(hops: tuple[int, int], given: bool) -> None:
    nodes = filled()
    event = c.EncKeys(1 << 30, "odawara-1", ("kobe-1",), 1, 256, None, hops)
    (answer,) = [one for one in nodes.do("odawara", event) if isinstance(one, (c.Keys, c.Refusal))]
    assert isinstance(answer, c.Keys) is given
    if not given:
        assert reason_of(answer) is c.Reason.ROUTE


def test_keys_over_a_link_of_seeded_secrets_are_not_taken_but_in_emulation() -> None:
    nodes = line()
    for name in LINE[1:]:
        nodes.change(name, emulation=True)
    for link in nodes.scenario.links:
        nodes.draw_both(0, link=link, insecure=link == "mishima-kobe")
    nodes.wait(3.0)
    assert far_pair(nodes).counters.get("born", 0) == 0
    nodes.change("odawara", emulation=True)
    nodes.wait(3.0)
    given = far_enc(nodes)
    assert all(key.key.insecure for key in keys_of(given))
    assert all(key.key.insecure for key in keys_of(far_dec(nodes, ids_of(given))))


def test_the_mark_of_emulated_units_is_carried_to_both_applications() -> None:
    nodes = filled()
    given = far_enc(nodes)
    assert [key.emulated for key in (*keys_of(given), *keys_of(far_dec(nodes, ids_of(given))))] == [True, True]


@pytest.mark.parametrize("emulated", LINKS_OF_LINE)
def test_one_emulated_link_on_the_way_is_enough_for_the_mark(emulated: str) -> None:
    nodes = line()
    for link in nodes.scenario.links:
        nodes.draw_both(0, 16_000, link=link, emulated=link == emulated)
    nodes.wait(3.0)
    given = far_enc(nodes)
    assert [key.emulated for key in (*keys_of(given), *keys_of(far_dec(nodes, ids_of(given))))] == [True, True]


def test_keys_of_real_units_have_no_mark() -> None:
    nodes = line()
    for link in nodes.scenario.links:
        nodes.draw_both(0, 16_000, link=link, emulated=False)
    nodes.wait(3.0)
    given = far_enc(nodes)
    assert [key.emulated for key in (*keys_of(given), *keys_of(far_dec(nodes, ids_of(given))))] == [False, False]


# --- relays that overtake each other ----------------------------------------------------------------------------------


def two_relays() -> tuple[TwoNodes, list[Relay]]:
    """Return nodes of which kobe has sent two relays that did not arrive."""
    nodes = TwoNodes(Scenario(stock=16, batch=4, in_flight=2))
    nodes.start()
    caught: list[Relay] = []

    def catch(sender: str, envelope: Envelope) -> Envelope | None:
        if isinstance(envelope.body, Relay) and sender == "kobe":
            caught.append(envelope.body)
            return None
        return None if isinstance(envelope.body, Dead) else envelope

    nodes.between = catch
    nodes.draw_both(0)
    return nodes, caught[:2]


def test_a_relay_that_was_overtaken_is_taken() -> None:
    nodes, (first, second) = two_relays()
    assert isinstance(nodes.ask("osaka", second), Relayed)
    assert isinstance(nodes.ask("osaka", first), Relayed)
    for relay in (first, second):
        again = nodes.ask("osaka", relay)
        assert isinstance(again, Refused)
        assert again.why == "range"
    status = nodes.cores["osaka"].status().links[LINK]
    assert status.discarded.get("gap", 0) == 0
    assert status.adds_up


@pytest.mark.parametrize("how", ["late", "restarted"])
def test_a_relay_that_was_overtaken_long_ago_is_not_taken(how: str) -> None:
    nodes, (first, second) = two_relays()
    assert isinstance(nodes.ask("osaka", second), Relayed)
    nodes.between = lambda _, envelope: None if isinstance(envelope.body, (Relay, Dead, Grant, Granted)) else envelope
    if how == "late":
        nodes.wait(11.0)
    else:
        nodes.start("osaka")
        nodes.wait(1.0)
    answer = nodes.ask("osaka", first)
    assert isinstance(answer, Refused)
    assert answer.why == "range"
    assert nodes.cores["osaka"].status().links[LINK].discarded["gap"] == 8 * first.length


@pytest.mark.parametrize("ends", ["block", "core"])
def test_a_gap_is_destroyed_with_its_block_and_with_its_core(ends: str) -> None:
    nodes, (_, second) = two_relays()
    assert isinstance(nodes.ask("osaka", second), Relayed)
    block: Any = nodes.cores["osaka"]._blocks.held[LINK, "s", 0]
    (gap,) = block.gaps
    if ends == "block":
        nodes.ask("osaka", Dead(blocks=(DeadBlock(LINK, "s", 0, "used up"),)))
    else:
        nodes.cores["osaka"].close()
    assert not block.gaps
    with pytest.raises(KeyMaterialError):
        gap.key.reveal()
    assert nodes.cores["osaka"].status().links[LINK].adds_up
