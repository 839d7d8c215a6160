"""Blocks of key: drawn, common, leased, used up, and what happens when they are not what they should be."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

import tokaido.node.core as c
from tokaido.hal import KeyBlockInfo, KeyMaterial
from tokaido.node.messages import Dead, DeadBlock, Envelope, Grant, Granted, Have, Message, Ok, Refused, Relay, Relayed
from tokaido.node.simulation import Scenario
from tokaido_testing.nodes import LINK, TwoNodes, keys_of

KEY = bytes(range(250)) * 16


def dead(number: int) -> DeadBlock:
    return DeadBlock(LINK, "s", number, "test")


def started(scenario: Scenario | None = None) -> TwoNodes:
    nodes = TwoNodes(scenario)
    nodes.start()
    return nodes


def link(nodes: TwoNodes, name: str) -> c.LinkStatus:
    status = nodes.cores[name].status().links[LINK]
    assert status.adds_up
    return status


def watch(nodes: TwoNodes, kind: type[Message]) -> list[Message]:
    """Return a list that fills with what is said of one kind."""
    heard: list[Message] = []

    def between(_: str, envelope: Envelope) -> Envelope:
        if isinstance(envelope.body, kind):
            heard.append(envelope.body)
        return envelope

    nodes.between = between
    return heard


def lose(nodes: TwoNodes, *kinds: type[Message]) -> None:
    nodes.between = lambda _, envelope: None if isinstance(envelope.body, kinds) else envelope


def test_a_block_is_durable_before_its_source_erases_it() -> None:
    nodes = TwoNodes()
    nodes.start()
    nodes.draw("kobe", 0, KEY)
    assert [type(action) for action in nodes.told["kobe"]] == [c.CommitDraw]
    assert list(nodes.stores["kobe"].blocks) == [(LINK, "s", 0)]
    assert link(nodes, "kobe").drawn == 8 * len(KEY)


def test_a_block_that_is_offered_again_is_counted_once_even_when_it_has_ended() -> None:
    nodes = started(Scenario(stock=16))
    nodes.draw("kobe", 0, KEY)
    nodes.draw("kobe", 0, KEY)
    assert link(nodes, "kobe").drawn == 8 * len(KEY)
    nodes.ask("kobe", Dead(blocks=(dead(0),)))
    assert link(nodes, "kobe").discarded["dead"] == 8 * len(KEY)
    nodes.draw("kobe", 0, KEY)
    nodes.start("kobe")
    nodes.draw("kobe", 0, KEY)
    assert link(nodes, "kobe").drawn == 8 * len(KEY)
    assert sum(isinstance(action, c.CommitDraw) for action in nodes.told["kobe"]) == 4


def test_keys_made_with_seeded_secrets_are_left_where_they_are() -> None:
    nodes = started()
    (raised, left) = nodes.draw("kobe", 0, KEY, insecure=True)
    assert isinstance(raised, c.Raise)
    assert raised.code == "KEY_INSECURE"
    assert isinstance(left, c.LeaveDraw)
    nodes.change("kobe", emulation=True)
    cleared, committed = nodes.draw("kobe", 1, KEY, insecure=True)
    assert isinstance(cleared, c.Clear)
    assert isinstance(committed, c.CommitDraw)


def test_a_link_that_is_not_ours_gives_nothing() -> None:
    nodes = started()
    info = replace(nodes.info(0, KEY), session="other")
    (left,) = nodes.do("kobe", c.Drawn(99, "elsewhere", info, KeyMaterial(KEY)))
    assert isinstance(left, c.LeaveDraw)
    assert "elsewhere" in left.why


@pytest.mark.parametrize("other", [KEY + b"+", None])
def test_a_block_that_is_not_the_same_at_both_ends_is_dead(other: bytes | None) -> None:
    nodes = started()
    for name in nodes.cores:
        nodes.change(name, emulation=True)
    nodes.draw("kobe", 0, KEY)
    nodes.draw("osaka", 0, KEY if other is None else other, insecure=other is None)
    assert "KEYS_DIFFER" in nodes.alarms("kobe") + nodes.alarms("osaka")
    for name in nodes.cores:
        assert link(nodes, name).stored == 0
        assert nodes.stores[name].blocks == {}


def test_a_block_with_another_key_at_the_other_end_is_found_out_by_its_tags() -> None:
    nodes = started(Scenario(stock=64, batch=2))
    nodes.draw("kobe", 0, KEY)
    nodes.draw("osaka", 0, KEY[::-1])
    for _ in range(10):
        nodes.wait(1.1)
    assert "KEYS_DIFFER" in nodes.alarms("kobe") + nodes.alarms("osaka")
    for name in nodes.cores:
        assert link(nodes, name).blocks == 0
        assert nodes.cores[name].status().pairs != {}


def test_sixteen_wrong_tags_make_a_neighbour_wait_twice_as_long_each_time() -> None:
    nodes = started(Scenario(stock=0))
    nodes.draw_both(0)
    granted = nodes.ask("osaka", Grant(link=LINK, session="s", number=0, mark=0, wanted=512))
    assert isinstance(granted, Granted)

    def forged() -> str:
        relay = Relay(
            relay=bytes(16),
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
        return answer.why

    assert [forged() for _ in range(17)] == ["tag"] * 16 + ["backoff"]
    for pause_s in (1.0, 2.0, 4.0):
        nodes.now_s += pause_s - 0.01
        assert forged() == "backoff"
        nodes.now_s += 0.01
        assert forged() == "tag"
    nodes.now_s += 10_000
    for _ in range(20):
        assert forged() == "tag"
        nodes.now_s += 600.0
    forged()
    nodes.now_s += 599.0
    assert forged() == "backoff"


def test_nothing_is_spent_from_a_block_that_the_neighbour_does_not_hold() -> None:
    nodes = started()
    nodes.draw("kobe", 0, KEY)
    assert link(nodes, "kobe").leased == 0
    assert link(nodes, "kobe").common == 0
    nodes.draw("osaka", 0, KEY)
    assert link(nodes, "kobe").common == 1
    assert link(nodes, "kobe").spent_pad > 0


def test_a_lost_grant_leaves_a_gap_and_its_range_never_comes_twice() -> None:
    nodes = started(Scenario(stock=8, batch=8, lease=1000))
    lose(nodes, Granted)
    nodes.draw_both(0)
    assert link(nodes, "kobe").leased == 0
    heard = watch(nodes, Granted)
    nodes.wait(10.0)
    begins = [granted.begin for granted in heard if isinstance(granted, Granted)]
    assert min(begins) >= 1000
    assert link(nodes, "kobe").discarded["gap"] >= 8000


def test_a_restart_forfeits_the_lease() -> None:
    nodes = started(Scenario(stock=8, lease=1000))
    nodes.draw_both(0)
    leased = link(nodes, "kobe").leased
    assert leased > 0
    nodes.start("kobe")
    assert link(nodes, "kobe").discarded["lease"] == leased
    assert link(nodes, "kobe").leased == 0


def test_a_block_of_which_both_halves_are_used_up_is_destroyed() -> None:
    nodes = started(Scenario(stock=400, batch=8, lease=512))
    nodes.draw_both(0)
    for name in nodes.cores:
        status = link(nodes, name)
        assert (status.blocks, status.stored, status.leased) == (0, 0, 0)
        assert status.discarded["tail"] < 8 * 128
        assert nodes.stores[name].blocks == {}


def test_a_block_of_which_the_last_relay_was_lost_is_destroyed_all_the_same() -> None:
    nodes = started(Scenario(stock=400, batch=8, lease=512))
    lose(nodes, Relay)
    nodes.draw_both(0)
    nodes.between = lambda _, envelope: envelope
    nodes.wait(60.0)
    assert nodes.stores["kobe"].blocks == nodes.stores["osaka"].blocks == {}
    assert link(nodes, "kobe").discarded["gap"] > 0


def test_a_block_too_short_for_one_key_is_a_tail() -> None:
    nodes = started()
    nodes.draw_both(0, size=127)
    for name in nodes.cores:
        status = link(nodes, name)
        assert status.drawn == 8 * 127
        assert status.discarded.get("tail", 0) >= 8 * 63
    nodes.draw_both(1, size=100)
    assert (LINK, "s", 1) not in nodes.stores["kobe"].blocks


def test_a_half_is_spent_by_its_owner_alone() -> None:
    nodes = started(Scenario(stock=64))
    relays = watch(nodes, Relay)
    nodes.draw_both(0, size=3001)
    ends = {relay.route[0]: relay.offset + relay.length for relay in relays if isinstance(relay, Relay)}
    assert 1400 < ends["kobe"] <= 1500
    assert 1400 < ends["osaka"] <= 1501


def test_no_range_outside_of_the_own_half_is_granted() -> None:
    nodes = started(Scenario(stock=0))
    nodes.draw_both(0, size=3001)
    granted = nodes.ask("osaka", Grant(link=LINK, session="s", number=0, mark=0, wanted=5000))
    assert isinstance(granted, Granted)
    assert (granted.begin, granted.end) == (0, 1500)
    refused = nodes.ask("osaka", Grant(link=LINK, session="s", number=0, mark=1501, wanted=1))
    assert isinstance(refused, Refused)  # kobe has the shorter half
    assert refused.why == "range"


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"offset": 100_000}, "range"),
        ({"length": 96}, "range"),
        ({"number": 7}, "block"),
        ({"link": "elsewhere"}, "link"),
        ({"route": ("kobe", "nara", "osaka")}, "route"),
        ({"route": ("nara", "osaka")}, "route"),
        ({"hop": 1}, "route"),
        ({"tag": bytes(16)}, "tag"),
        ({"relay": bytes(16)}, "tag"),
        ({"ciphertext": bytes(128)}, "tag"),
    ],
)
def test_a_relay_that_was_altered_is_refused(changes: dict[str, object], why: str) -> None:
    nodes = started(Scenario(stock=4, batch=4, in_flight=1))
    caught: list[Relay] = []

    def between(sender: str, envelope: Envelope) -> Envelope | None:
        if isinstance(envelope.body, Relay) and sender == "kobe":
            caught.append(envelope.body)
            return None
        return envelope

    nodes.between = between
    nodes.draw_both(0)
    answer = nodes.ask("osaka", msgspec.structs.replace(caught[0], **changes))
    assert isinstance(answer, Refused)
    assert answer.why == why
    assert isinstance(nodes.ask("osaka", caught[0]), Relayed)  # as it was
    again = nodes.ask("osaka", caught[0])
    assert isinstance(again, Refused)
    assert again.why == "range"


def test_a_message_of_another_run_is_not_acted_upon() -> None:
    nodes = started()
    nodes.draw_both(0)
    question = Grant(link=LINK, session="s", number=0, mark=0, wanted=512)
    before = nodes.stores["osaka"].blocks[LINK, "s", 0]
    answer = nodes.ask("osaka", question, run=b"an earlier life.")
    assert isinstance(answer, Refused)
    assert answer.why == "hello"
    assert nodes.stores["osaka"].blocks[LINK, "s", 0] == before


def test_an_older_have_changes_nothing() -> None:
    nodes = started()
    nodes.draw_both(0)
    assert link(nodes, "kobe").common == 1
    have = Have(link=LINK, whole=True, more=False, blocks=())
    assert nodes.ask("kobe", have, n=0) == Ok()
    assert link(nodes, "kobe").common == 1
    assert nodes.ask("kobe", have) == Ok()
    assert link(nodes, "kobe").common == 0


def test_a_block_that_has_ended_here_is_ended_at_the_other_end() -> None:
    nodes = started(Scenario(stock=400))
    nodes.draw_both(0)
    assert nodes.stores["kobe"].blocks == {}
    other = TwoNodes()
    other.start("osaka")
    other.draw("osaka", 0, KEY)
    nodes.stores["osaka"] = other.stores["osaka"]
    nodes.start("osaka")
    assert nodes.stores["osaka"].blocks == {}
    assert link(nodes, "osaka").discarded["dead"] > 0


def told_by(info: KeyBlockInfo, *key_ids: str) -> KeyBlockInfo:
    """Return the facts of a block that the other end fetches by ids."""
    values = {name: getattr(info, name) for name in (*KeyBlockInfo.__match_args__, "serial_number")}
    return KeyBlockInfo(**values, key_ids=key_ids)


def test_blocks_are_fetched_by_the_ids_that_the_neighbour_has() -> None:
    nodes = TwoNodes()
    (settings,) = nodes.settings["osaka"].neighbours.values()
    fetches = replace(settings, links=(c.LinkSettings(LINK, fetches=True),))
    nodes.change("osaka", neighbours={"kobe": fetches})
    nodes.start()
    nodes.do("kobe", c.Drawn(1, LINK, told_by(nodes.info(0, KEY), "id-1", "id-2"), KeyMaterial(KEY)))
    assert nodes.told["osaka"] == [c.Fetch(LINK, "s", 0, ("id-1", "id-2"))]
    nodes.draw("osaka", 0, KEY)
    keys_of(nodes.enc())
    nodes.do("kobe", c.Drawn(2, LINK, told_by(nodes.info(1, KEY), "id-3"), KeyMaterial(KEY)))
    nodes.do("osaka", c.NotFetched(LINK, "s", 1, "the source says 400"))
    assert "FETCH_FAILED" in nodes.alarms("osaka")
    assert (LINK, "s", 1) not in nodes.stores["kobe"].blocks
