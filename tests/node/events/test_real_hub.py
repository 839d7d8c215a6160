"""Nodes, people and a real server: what passes, what is refused, and what no bus is needed for."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from tokaido.emulators.repeater import RepeaterModel, RepeaterOnBus
from tokaido.hal import NotConnectedError, OutcomeUnknownError
from tokaido.node.events import ActDone, Answer, Connection, NetworkClient, Telemetry, encode
from tokaido.node.pki import issue, revoke
from tokaido_testing.console_runs import run_console
from tokaido_testing.hubs import Hub, needs_a_hub
from tokaido_testing.patience import patient

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from tokaido.node.events import Message, NetworkView, Reader

pytestmark = needs_a_hub
NODES = ("maibara", "otsu", "kyoto.2")


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """Return a hub of one server whose streams are made."""

    async def make() -> None:
        async with NetworkClient(found.settings("operator-ann")) as client:
            await client.make_streams(1)

    with Hub(tmp_path_factory.mktemp("hub"), NODES, ("ann", "bob", "eve")) as found:
        asyncio.run(make())
        yield found


def emulated(hub: Hub, folder: Any, name: str = "maibara") -> RepeaterOnBus:
    operators = {"ann": frozenset({"operator"}), "bob": frozenset({"viewer"})}
    settings = hub.settings(f"node-{name}", every_s=0.2, operators=operators)
    return RepeaterOnBus(RepeaterModel(name, secrets="seeded"), settings, folder)


async def until(condition: Callable[[], bool], seconds: float = 10.0) -> float:
    """Return how long it took."""
    begun = time.monotonic()
    while not condition():
        assert time.monotonic() - begun < patient(seconds)
        await asyncio.sleep(0.02)
    return time.monotonic() - begun


async def beside(node: RepeaterOnBus, work: Any) -> None:
    """Let a node live while `work` is done."""
    ending = asyncio.Event()
    life = asyncio.create_task(node.run(ending))
    doing = asyncio.create_task(work)
    try:
        await asyncio.wait({life, doing}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        ending.set()
        await asyncio.wait_for(life, patient(10))
    await doing


def test_a_person_sees_a_node_and_orders_it(hub: Hub, tmp_path: Any) -> None:
    node = emulated(hub, tmp_path)
    told: list[Message] = []

    async def work() -> None:
        async with NetworkClient(hub.settings("operator-ann")) as client:
            view: NetworkView = await client.watch(told.append)
            await until(lambda: "maibara" in view.nodes)
            await until(lambda: any(isinstance(one, Telemetry) for one in told))
            answer = await client.command("maibara", {"do": "relay", "on": False})
            assert (answer.ok, answer.again) == (True, False)
            again = await client.command("maibara", {"do": "relay", "on": True}, identifier=answer.command)
            assert (again.ok, again.again) == (True, True)  # the first of that id, whatever else is in it
            await until(lambda: _state(view, "maibara") == "PAUSED")
            assert view.refused == 0

            reader = client.reader()
            found: list[Message] = []
            while not any(isinstance(one, ActDone) for one in found):
                found += await reader.more()
                await asyncio.sleep(0.02)
            answers = [one for one in found if isinstance(one, Answer)]
            assert [(one.command, one.again) for one in answers] == [(answer.command, False), (answer.command, True)]
        async with NetworkClient(hub.settings("operator-bob")) as client:
            refused = await client.command("maibara", {"do": "relay", "on": True})
            assert (refused.ok, refused.error) == (False, "ROLE")
            with pytest.raises(NotConnectedError, match="otsu is not on the bus now"):
                await client.command("otsu", {"do": "relay", "on": True})
            deaf = Connection(hub.settings("node-otsu"), "node-otsu")
            await deaf.open(hub.urls[0])
            await deaf.hear("tokaido.line.command.otsu.*", ignore)
            with pytest.raises(OutcomeUnknownError, match="Ask again with the same id"):
                await client.command("otsu", {"do": "relay", "on": True}, within_s=0.3)
            await deaf.close()

    asyncio.run(beside(node, work()))
    assert node.model.node.sites.core.status().relaying is False


async def ignore(subject: str, payload: bytes) -> None:
    """Hear, and do nothing."""


def _state(view: NetworkView, node: str) -> str:
    told = view.nodes[node].telemetry
    return "" if told is None else told.state


@pytest.mark.thorough
def test_the_commands_of_the_console(hub: Hub, tmp_path: Any) -> None:
    node = emulated(hub, tmp_path, "kyoto.2")
    file = str(hub.network_file("operator-ann"))

    async def work() -> None:
        await until(lambda: node.bus.connected and not node.outgoing.waiting)
        ran = await asyncio.to_thread(run_console, "network", "watch", "--network", file, "--once", "--json")
        assert not ran.err, ran.err
        [told] = [one for one in json.loads(ran.out)["nodes"] if one["node"] == "kyoto.2"]
        assert (told["state"], told["silent"], told["emulation"]) == ("RELAYING", False, True)
        assert [link["neighbour"] for link in told["links"]] == ["west", "east"]
        command = ("network", "command", "kyoto.2", "--network", file)
        ran = await asyncio.to_thread(run_console, *command, "relay", "off", "--json")
        assert (ran.code, json.loads(ran.out)["ok"]) == (0, True), ran.err
        ran = await asyncio.to_thread(run_console, *command, "drain", "--note", "fun")
        assert ran.code == 1
        assert "refused drain (ROLE)" in ran.err
        ran = await asyncio.to_thread(run_console, "network", "watch", "--network", file, "--once", "--interval", "0.5")
        assert "kyoto.2\tPAUSED\t" in ran.out

    asyncio.run(beside(node, work()))


def test_nobody_speaks_in_the_name_of_another(hub: Hub) -> None:
    async def work() -> None:
        forger = Connection(hub.settings("node-otsu"), "node-otsu")
        await forger.open(hub.urls[0])
        async with NetworkClient(hub.settings("operator-ann")) as client:
            heard: list[str] = []

            async def take(subject: str, payload: bytes) -> None:
                heard.append(subject)

            await client.connection.hear("tokaido.line.>", take)
            forged = [
                "tokaido.line.maibara.telemetry",
                "tokaido.line.maibara.answer.ann",
                "tokaido.line.command.maibara.ann",
                "tokaido.line.command.maibara.otsu",
                "tokaido.line.topology",
                "$JS.API.STREAM.DELETE.line-records",
                "$JS.API.STREAM.PURGE.line-records",
                "$JS.API.CONSUMER.CREATE.line-records.x",
            ]
            for subject in forged:
                await forger.publish(subject, b"{}")
            await forger.publish("tokaido.line.otsu.alarm", b"{}")  # its own: the positive control
            await until(lambda: heard == ["tokaido.line.otsu.alarm"])
            await until(lambda: len(forger.refused) == len(forged))
            with pytest.raises(TimeoutError):  # nothing is acknowledged
                async with asyncio.timeout(0.3):
                    await forger.store("line-records", "tokaido.line.maibara.alarm", b"{}", "x")
            for subject in ("tokaido.line.maibara.telemetry", "tokaido.line.>", ">", "_INBOX_operator-ann.>"):
                before = len(forger.refused)
                await forger.hear(subject, take)
                await until(lambda before=before: len(forger.refused) == before + 1)  # type: ignore[misc]
            assert heard == ["tokaido.line.otsu.alarm"]
        await forger.close()

    asyncio.run(work())


def test_a_payload_in_another_nodes_name_is_not_believed(hub: Hub) -> None:
    async def work() -> None:
        liar = Connection(hub.settings("node-otsu"), "node-otsu")
        await liar.open(hub.urls[0])
        async with NetworkClient(hub.settings("operator-ann")) as client:
            view = await client.watch()
            known = set(view.nodes)
            told = Telemetry(
                network="line", node="nagoya", id="00112233aabbccdd-1", utc_s=1.0, level="fine", headline="", state="",
                up_s=1.0, relaying=True, emulation=False, alarms=0, worst="",
            )  # fmt: skip
            await liar.publish("tokaido.line.otsu.telemetry", encode(told))
            await until(lambda: view.refused == 1)
            assert set(view.nodes) == known
        await liar.close()

    asyncio.run(work())


def test_a_message_that_is_stored_twice_is_read_once(hub: Hub) -> None:
    async def work() -> None:
        node = Connection(hub.settings("node-otsu"), "node-otsu")
        await node.open(hub.urls[0])
        head: dict[str, Any] = {"network": "line", "node": "otsu", "utc_s": 1.0}
        acts = [encode(ActDone(**head, id=f"00000000000000ff-{n}", by="ann", what=f"{n}")) for n in (1, 2)]
        async with NetworkClient(hub.settings("operator-ann")) as client:
            reader = client.reader()
            while await reader.more():
                pass
            for identifier, act in (
                ("a", 0),
                ("a", 0),
                ("b", 1),
                ("c", 0),
            ):  # c: as if its time in the window were over
                await node.store("line-records", "tokaido.line.otsu.act", acts[act], identifier)
            found: list[Message] = []
            await until_async(lambda: more_of(reader, found), lambda: reader.again == 1)
            assert [getattr(one, "what", "") for one in found] == ["1", "2"]
            later = client.reader(position=reader.position - 3, seen=reader.seen)  # another one, with what was kept
            assert (await later.more(), later.again) == ([], 3)
        await node.close()

    asyncio.run(work())


async def more_of(reader: Reader, found: list[Message]) -> None:
    found += await reader.more()


async def until_async(work: Callable[[], Awaitable[None]], condition: Callable[[], bool]) -> None:
    end_s = time.monotonic() + patient(10)
    while not condition():
        assert time.monotonic() < end_s
        await work()


def test_a_revoked_certificate_is_refused_and_who_has_it_is_put_out(hub: Hub) -> None:
    async def reload() -> None:
        """Have the server read its configuration again, and wait until it has."""
        before = hub.log("hub-0").count("Reloaded server configuration")
        hub.write()
        hub.reload()
        await until(lambda: hub.log("hub-0").count("Reloaded server configuration") > before)

    async def work() -> None:
        eve = Connection(hub.settings("operator-eve"), "operator-eve")
        await eve.open(hub.urls[0])
        bob = Connection(hub.settings("operator-bob"), "operator-bob")
        await bob.open(hub.urls[0])
        revoke(hub.pki, ["operator-eve"])
        await reload()
        await until(eve.ended.is_set)
        assert not bob.ended.is_set()  # a good certificate stays
        with pytest.raises(NotConnectedError):
            await Connection(hub.settings("operator-eve"), "operator-eve").open(hub.urls[0])
        for end in ("pem", "key"):
            (hub.pki / f"operator-eve.{end}").rename(hub.pki / f"stolen-eve.{end}")
        issue(hub.pki, operators=["eve"])
        await reload()
        anew = Connection(hub.settings("operator-eve"), "operator-eve")
        await anew.open(hub.urls[0])  # her new one
        with pytest.raises(NotConnectedError):  # and still not the old one, of the same name
            await Connection(hub.settings("stolen-eve"), "operator-eve").open(hub.urls[0])
        await anew.close()
        await bob.close()
        await eve.close()

    asyncio.run(work())
