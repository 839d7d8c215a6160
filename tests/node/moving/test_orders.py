"""What a follower does with single orders, and what a leader makes of single answers."""

from __future__ import annotations

import msgspec
import pytest

from tokaido.hal import ProtocolError
from tokaido.node.moving import (
    Act,
    Action,
    Ask,
    Deed,
    Done,
    Failed,
    Follower,
    Half,
    Leader,
    MoveAnswer,
    MoveOrder,
    MoveRecord,
    Order,
    Reply,
    Stage,
    Wait,
    Write,
    answer_of,
    encoded,
    order_of,
    packed,
    unpacked,
)
from tokaido_testing.two_halves import BEFORE, FIRST

FOLLOWS = msgspec.structs.replace(FIRST, leads=False, peer="TX")


def order(kind: Order, *, token: int = 1, move: bytes = FIRST.move) -> MoveOrder:
    return MoveOrder(order=kind, link="field", path="B", move=move, token=token, unit="TX", selected=("RX", "A"))


def at(stage: Stage) -> Follower:
    return Follower(msgspec.structs.replace(FOLLOWS, stage=stage))


def run(follower: Follower, heard: MoveOrder, *, fails: Deed | None = None) -> tuple[list[Action], MoveAnswer]:
    """Let a follower answer an order, and return what it did."""
    follower.hear(heard)
    done: list[Action] = []
    while (action := follower.next()) is not None:
        if isinstance(action, Reply):
            follower.took(Done())
            return done, action.answer
        done.append(action)
        deed = action.deed if isinstance(action, Act) else None
        follower.took(Failed("broken") if deed is not None and deed is fails else Done(BEFORE))
    raise AssertionError("no reply")


def holding(follower: Follower) -> bool:
    return follower.holds


def told(actions: list[Action]) -> list[str]:
    """Return what each of them is, in words."""
    return [
        f"note {action.record.stage.value}"
        if isinstance(action, Write)
        else action.deed.value
        if isinstance(action, Act)
        else type(action).__name__
        for action in actions
    ]


def test_a_whole_move_of_a_follower_is_noted_before_it_is_done_and_before_it_is_answered() -> None:
    follower = Follower(None)
    assert not holding(follower)
    done, answer = run(follower, order(Order.PREPARE))
    assert (told(done), answer.half) == (["check", "note begun", "make dark"], Half.DARK)
    assert holding(follower)
    done, answer = run(follower, order(Order.SWITCH))
    assert (told(done), answer.half) == (["note switching", "switch", "note moved"], Half.MOVED)
    done, answer = run(follower, order(Order.FINISH))
    assert (told(done), answer.half) == (["note finished", "take the new path"], Half.FINISHED)
    assert not holding(follower)
    for kind in Order:
        assert run(follower, order(kind)) == ([], MoveAnswer(half=Half.FINISHED))


def test_an_order_with_an_old_token_or_of_another_move_does_nothing() -> None:
    follower = at(Stage.BEGUN)
    done, answer = run(follower, order(Order.SWITCH, token=0))
    assert (done, answer) == ([], MoveAnswer(half=Half.FREE, why="fencing token 0 is below 1"))
    done, answer = run(follower, order(Order.PREPARE, token=2, move=b"another move....."[:16]))
    assert (done, answer.half, "another move, to B, is not over" in answer.why) == ([], Half.FREE, True)


def test_a_higher_token_is_noted_before_anything_else() -> None:
    follower = at(Stage.BEGUN)
    done, answer = run(follower, order(Order.SWITCH, token=7))
    assert told(done) == ["note begun", "note switching", "switch", "note moved"]
    assert follower.record is not None
    assert (follower.record.token, answer.half) == (7, Half.MOVED)
    assert run(follower, order(Order.BACK, token=6))[1].why == "fencing token 6 is below 7"


def test_what_cannot_be_prepared_is_over_and_a_late_order_for_it_changes_nothing() -> None:
    follower = Follower(None)
    done, answer = run(follower, order(Order.PREPARE), fails=Deed.CHECK)
    assert (told(done), answer) == (["check", "note cancelled"], MoveAnswer(half=Half.CANCELLED, why="broken"))
    assert run(follower, order(Order.PREPARE)) == ([], answer)
    assert not holding(follower)


@pytest.mark.parametrize("stage", [Stage.SWITCHING, Stage.MOVED, Stage.RETURNING])
def test_what_is_cancelled_goes_back_first(stage: Stage) -> None:
    done, answer = run(at(stage), order(Order.CANCEL))
    there = [] if stage is Stage.RETURNING else ["note returning"]
    assert told(done) == [*there, "switch back", "note back", "note cancelled", "take the path before"]
    assert answer.half is Half.CANCELLED


def test_a_follower_that_went_back_by_itself_answers_so_to_whatever_comes() -> None:
    for kind in (Order.PREPARE, Order.SWITCH, Order.FINISH, Order.BACK):
        follower = at(Stage.MOVED)
        follower.go_back()
        assert told([follower.next() or Wait()]) == ["note returning"]
        done, answer = run(at(Stage.RETURNING), order(kind))
        assert (told(done), answer.half) == (["switch back", "note back"], Half.BACK)
    follower = at(Stage.RETURNING)
    assert run(follower, order(Order.BACK), fails=Deed.BACK)[1] == MoveAnswer(half=Half.RETURNING, why="broken")
    assert follower.trouble == "broken"


def test_a_leader_whose_follower_does_not_know_the_move_waits_for_a_person() -> None:
    leader = Leader(msgspec.structs.replace(FIRST, stage=Stage.FINISHING), fenced=False)
    ask = leader.next()
    assert isinstance(ask, Ask)
    leader.took(Done(MoveAnswer(half=Half.FREE, why="this move was not prepared here")))
    assert (leader.next(), leader.trouble) == (Wait(), "this move was not prepared here")
    assert leader.holds


def test_a_leader_that_starts_again_notes_its_new_token_before_it_goes_on() -> None:
    leader = Leader(msgspec.structs.replace(FIRST, stage=Stage.SWITCHING), fenced=False)
    assert told([leader.next() or Wait()]) == ["take the lease"]
    leader.took(Done(9))
    action = leader.next()
    assert isinstance(action, Write)
    assert (action.record.token, action.record.stage) == (9, Stage.SWITCHING)
    leader.took(Failed("the disk is full"))
    assert leader.next() == action


def test_records_and_messages_come_back_as_they_were() -> None:
    assert unpacked(packed(FIRST)) == FIRST
    assert order_of(encoded(order(Order.BACK))) == order(Order.BACK)
    answer = MoveAnswer(half=Half.RETURNING, why="a switch hangs")
    assert answer_of(encoded(answer)) == answer
    for wrong in (b"", b"\xc1", bytes(5000), msgspec.msgpack.encode({"half": "free", "key": 1})):
        with pytest.raises(ProtocolError):
            answer_of(wrong)
        with pytest.raises(ProtocolError):
            order_of(wrong)
        with pytest.raises(ProtocolError):
            unpacked(wrong)


def test_a_record_needs_no_more_than_it_says() -> None:
    record = MoveRecord(link="field", move=bytes(16), token=1, path="B", leads=False, stage=Stage.CANCELLED)
    assert unpacked(packed(record)) == record
    assert record.ended
