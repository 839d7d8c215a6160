"""What is asked of every repeater: it tells what its model knows, obeys who may order, and makes nothing up."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Protocol, cast, runtime_checkable

import pytest

import tokaido.hal as hal
from tokaido.emulators.conformance._contract import Contract
from tokaido.emulators.conformance._questions import Order, Question
from tokaido.emulators.conformance._rig import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tokaido.emulators.conformance._rig import Rig

A_DAY_S = 86_400.0
SOON_S = 60.0
"""How long an alarm may take to be raised after its cause, in s of the rig's clock."""
WHILE_S = 5.0
"""How long the suite looks whether something goes on, in s of the rig's clock."""


@runtime_checkable
class HasNode(Protocol):
    """A model of a repeater that tells a test what is true. The suite calls it under the emulator's lock."""

    def truth(self, path: str, /) -> object:
        """Return what the driver must say at this path, such as `relaying` or `links[0].qber`."""
        ...


class RepeaterNodeContract(Contract):
    """A repeater with a link at least, whose model `HasNode`."""

    def questions(self, rig: Rig) -> list[Question]:
        """Identity, and those values of the parts that are always there and that no other one is."""
        node = opened(rig)
        asked: dict[str, Callable[[], object]] = {
            "links[0].qber": lambda: node.links[0].qber,
            "links[0].secret_key_rate": lambda: node.links[0].secret_key_rate,
            "links[0].neighbour": lambda: node.links[0].neighbour,
            "pairs[0].target": lambda: node.pairs[0].target,
        }
        found = [Question(path, ask, lambda path=path: truth(rig, path)) for path, ask in asked.items()]  # type: ignore[misc]
        return [found[0], *super().questions(rig), *found[1:]]

    def orders(self, rig: Rig) -> Iterator[Order]:
        """Relaying, off and on in turn; or maintenance until a later time each, where the node has it."""
        node = opened(rig)
        if hal.RepeaterCapability.MAINTENANCE not in node.capabilities:
            for on in itertools.cycle((False, True)):
                set_it = lambda on=on: setattr(node, "relaying", on)  # noqa: E731 - bound to this one
                yield Order(f"relaying = {on}", set_it, on, lambda: truth(rig, "relaying"), once="")
        link, now_s = node.links[0].link, cast("float", truth(rig, "utc"))
        for day in itertools.count(1):
            until_s = float(round(now_s + day * A_DAY_S))
            yield Order(
                f"maintain {link} for {day} days",
                lambda until_s=until_s: node.maintain(link, until_utc_s=until_s),  # type: ignore[misc]
                until_s,
                lambda: truth(rig, "links[0].maintained_until"),
                once="",
            )

    def check_written_once(self, order: Order, written: list[str]) -> None:
        """Fail if a command was written twice: an order of this role is one."""
        commands = [text for text in written if not self.plan.is_query(text)]
        assert len(commands) <= 1, f"{order.name} was written twice: {written}"

    def out_of_range(self, rig: Rig) -> list[tuple[Callable[[], object], type[Exception]]]:
        """Times that are none, besides settings."""
        node = opened(rig)
        link = node.links[0].link
        wrong = [] if hal.RepeaterCapability.MAINTENANCE not in node.capabilities else [-1.0, 1e20]
        more: list[tuple[Callable[[], object], type[Exception]]] = [
            (lambda until_s=until_s: node.maintain(link, until_utc_s=until_s), hal.RangeError)  # type: ignore[misc]
            for until_s in wrong
        ]
        return [*super().out_of_range(rig), (lambda: node.events(-1), hal.RangeError), *more]

    def state(self, rig: Rig) -> object:
        """Whether it relays, and when maintenance of each link ends."""
        node = opened(rig)
        return truth(rig, "relaying"), [truth(rig, f"{link.path}.maintained_until") for link in node.links]

    # --- what it is made of -----------------------------------------------------------------------------------------

    def test_its_parts_have_names_and_tell_what_the_model_knows(self, rig: Rig) -> None:
        """No two links have one name; every value of every part that stands still is the model's."""
        node = opened(rig)
        assert node.links
        for names in ([one.link for one in node.links], [one.node for one in (*node.neighbours,)]):
            assert all(names)
            assert len(set(names)) == len(names)
        for path in (
            *(f"{link.path}.neighbour" for link in node.links),
            *(f"{pair.path}.target" for pair in node.pairs),
        ):
            owner, value = node.find(path)
            got = owner.read(value)
            rig.compare(path, got, got == truth(rig, path), truth=truth(rig, path))
        assert {link.neighbour for link in node.links} == {one.node for one in node.neighbours}

    def test_bulk_and_single_readings_agree(self, rig: Rig) -> None:
        """Telemetry has the same values as the attributes, of those that stand still."""
        node = opened(rig)
        readings = node.telemetry()
        for path in ("links[0].qber", "links[0].neighbour", "pairs[0].target", "relaying"):
            owner, value = node.find(path)
            assert readings[path].value == owner.read(value)

    # --- orders -----------------------------------------------------------------------------------------------------

    def test_its_safe_state_relays_nothing(self, rig: Rig) -> None:
        """No relay is started while it does not relay, and it goes on when it is told to."""
        node = opened(rig)
        node.apply_safe_state()
        assert not node.relaying
        assert node.state() is hal.RepeaterState.PAUSED
        assert truth(rig, "relaying") is False
        before = sum(pair.relayed for pair in node.pairs)
        rig.clock.wait(WHILE_S)
        assert sum(pair.relayed for pair in node.pairs) == before
        node.start_relaying()
        assert node.state() is hal.RepeaterState.RELAYING
        assert truth(rig, "relaying") is True

    def test_what_is_ordered_is_an_event(self, rig: Rig) -> None:
        """An act is told with who did it; events are numbered without a gap, and `since` leaves out the known."""
        node = opened(rig)
        before = node.events()
        node.stop_relaying()
        node.start_relaying()
        after = node.events(before.last)
        acts = [event for event in after.events if event.kind == "act"]
        assert len(acts) == 2
        assert all(act.by and act.text and act.severity is None for act in acts)
        numbers = [event.sequence for event in after.events]
        assert numbers == list(range(before.last + 1, after.last + 1))
        assert (after.lost, after.run) == (0, before.run)
        assert node.events(after.last).events == ()

    def test_what_it_lacks_is_unsupported_and_what_there_is_not_is_refused(self, rig: Rig) -> None:
        """A capability that is not declared is not sent; a link or an alarm that does not exist is refused."""
        node = opened(rig)
        link = node.links[0].link
        calls: dict[hal.RepeaterCapability, Callable[[], None]] = {
            hal.RepeaterCapability.MAINTENANCE: lambda: node.maintain(link),
            hal.RepeaterCapability.DRAIN: lambda: node.drain("a test"),
            hal.RepeaterCapability.SWITCH_MOVE: lambda: node.move_half_link(link, "other"),
            hal.RepeaterCapability.INVENTORY: lambda: node.accept_device("no-such-device"),
        }
        for capability in calls.keys() - node.capabilities:
            with rig.listening() as written, pytest.raises(hal.UnsupportedError):
                calls[capability]()
            assert [text for text in written if not self.plan.is_query(text)] == []
        with pytest.raises(hal.RefusedError):
            node.resume("no-such-link")
        with pytest.raises(hal.RefusedError):
            node.acknowledge("NO_SUCH_ALARM")
        if hal.RepeaterCapability.INVENTORY in node.capabilities:
            with pytest.raises(hal.RefusedError):
                node.accept_device("no-such-device")

    def test_maintenance_ends_when_its_time_comes(self, rig: Rig) -> None:
        """It is told until then, and over afterwards; a time that has passed is refused."""
        node = opened(rig)
        if hal.RepeaterCapability.MAINTENANCE not in node.capabilities:
            pytest.skip("it has no maintenance")
        link, end_s = node.links[0], node.utc + WHILE_S
        node.maintain(link.link, until_utc_s=end_s, note="a test")
        assert link.maintained_until == end_s
        assert until(lambda: link.maintained_until == 0.0, SOON_S, rig.clock)
        assert node.utc >= end_s
        with pytest.raises(hal.RefusedError):
            node.maintain(link.link, until_utc_s=end_s)
        node.maintain(link.link)
        node.end_maintenance(link.link)

    def test_an_alarm_is_told_and_acknowledged(self, rig: Rig) -> None:
        """A fault of the model that raises an alarm shows among the alarms, and who has seen it."""
        node = opened(rig)
        if not self.plan.alarm:
            pytest.skip("the model has no fault")
        rig.emulator.add_fault(self.plan.alarm)
        assert until(lambda: bool(node.alarms()), SOON_S, rig.clock), f"{self.plan.alarm} raises no alarm"
        alarm = node.alarms()[0]
        assert alarm.code
        assert alarm.text
        assert alarm.age_s >= 0
        assert abs(alarm.raised_utc_s + alarm.age_s - node.utc) < SOON_S
        assert node.alarms_standing == len(node.alarms())
        node.acknowledge(alarm.code, alarm.of, note="seen by a test")
        seen = [one for one in node.alarms() if (one.code, one.of) == (alarm.code, alarm.of)]
        assert all(one.acknowledged_by and one.note == "seen by a test" for one in seen)
        rig.emulator.remove_fault(self.plan.alarm)


def opened(rig: Rig) -> hal.RepeaterNode:
    """Return the driver as the repeater that it is."""
    return cast("hal.RepeaterNode", rig.device)


def truth(rig: Rig, path: str) -> object:
    """Return what the model says; the test is skipped if it says nothing."""
    model = rig.emulator.model
    if not isinstance(model, HasNode):
        pytest.skip(f"{type(model).__name__} has no truth: see HasNode")
    return rig.witness(lambda one: one.truth(path))
