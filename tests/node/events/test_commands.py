"""Commands over the bus, without one: who gives them, when, how often, and what a node makes of each."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from tokaido.hal import ConfigurationError, KeyMaterial
from tokaido.node.endpoint import About, Desk
from tokaido.node.events import Answer, Commands, EventsSettings, Outgoing, decode, sign
from tokaido.node.operation import Events, SetRelaying
from tokaido.node.pki import files_of, issue, revoke
from tokaido.node.store import CommandRow, Records, SqliteStore, StoreThread
from tokaido_testing.node_lines import FINE
from tokaido_testing.toy_clock import ToyClock

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from tokaido.node.operation import ControlRequest, NodeStatus, Peer

MOVE = {"do": "move", "link": "field", "path": "B"}
ID = "0123456789abcdef" * 2


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("authority") / "pki"
    issue(folder, nodes={"maibara": ()}, saes=["bank"], operators=["ann", "bob", "eve"])
    issue(folder.parent / "other" / "pki", operators=["ann"])
    revoke(folder, ["operator-eve"])
    return folder


class Node:
    """Carries out orders, and says so."""

    def __init__(self, clock: ToyClock) -> None:
        self.events = Events("00", clock=clock)
        self.done: list[tuple[ControlRequest, str]] = []
        self.fails = False

    def status(self) -> NodeStatus:
        return FINE

    async def operate(self, request: ControlRequest, peer: Peer) -> Any:
        self.done.append((request, peer.user))
        if self.fails:
            raise ConfigurationError("no such link")


class Scene:
    """A node, its store, and what people send it."""

    def __init__(self, folder: Path, authority: Path) -> None:
        self.authority = authority
        self.clock = ToyClock()
        self.clock.ahead_s = time.time() - 1000.0
        self.node = Node(self.clock)
        self.settings = EventsSettings(
            "line",
            (),
            files_of(authority, "node-maibara"),
            operators={"ann": frozenset({"operator"}), "bob": frozenset({"viewer"})},
        )
        self.store = StoreThread(lambda: SqliteStore.open(folder / "store", KeyMaterial(bytes(32)), create=True))
        self.begin()

    def begin(self) -> None:
        """Be a node that has just started."""
        self.outgoing = Outgoing(self.settings, "maibara", self.node.events, clock=self.clock)
        desk = Desk(self.node, About("maibara", "1"), clock=self.clock)
        self.commands = Commands(self.settings, desk, self.node, self.outgoing, lambda: self.store, clock=self.clock)

    @property
    def now_s(self) -> float:
        return self.clock.utc_ns() / 1e9

    def envelope(
        self, stem: str = "operator-ann", *, folder: Path | None = None, changes: Mapping[str, object] | None = None
    ) -> bytes:
        body = {
            "id": ID,
            "network": "line",
            "node": "maibara",
            "issued_utc_s": self.now_s,
            "deadline_utc_s": self.now_s + 10,
            "order": {"do": "relay", "on": False},
        } | dict(changes or {})
        return sign(msgspec.json.encode(body), files_of(folder or self.authority, stem))

    async def send(self, envelope: bytes, who: str = "ann") -> Answer | None:
        """Return the answer, if there is one."""
        before = {row.id for row in await self.store.call(lambda store: store.records.outbox())}
        await self.commands.hear(f"tokaido.line.command.maibara.{who}", envelope)
        rows = await self.store.call(lambda store: store.records.outbox())
        new = [row for row in rows if row.id not in before]
        assert len(new) <= 1
        if not new:
            return None
        assert new[0].subject == f"tokaido.line.maibara.answer.{who}"
        found = decode(new[0].payload)
        assert isinstance(found, Answer)
        return found


def played(tmp_path: Path, authority: Path, play: Callable[[Scene], Awaitable[None]]) -> Scene:
    scene = Scene(tmp_path, authority)

    async def live() -> None:
        await scene.store.start()
        try:
            await play(scene)
        finally:
            await scene.store.close()

    asyncio.run(live())
    return scene


def test_an_order_is_carried_out_once_and_answered_each_time(tmp_path: Path, authority: Path) -> None:
    async def play(scene: Scene) -> None:
        envelope = scene.envelope()
        first = await scene.send(envelope)
        assert first is not None
        assert (first.ok, first.by, first.command, first.again) == (True, "ann", ID, False)
        again = await scene.send(envelope)
        assert again is not None
        assert (again.ok, again.again) == (True, True)
        scene.clock.wait(60.0)  # after its deadline, too
        later = await scene.send(envelope)
        assert later is not None
        assert (later.ok, later.again) == (True, True)

    scene = played(tmp_path, authority, play)
    assert scene.node.done == [(SetRelaying(on=False), "ann")]


def test_a_store_that_takes_its_time_lets_no_order_begin_after_its_deadline(
    tmp_path: Path, authority: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = Records.begin_command

    async def play(scene: Scene) -> None:
        def slowly(records: Records, *words: Any, **options: Any) -> CommandRow | None:
            scene.clock.wait(11.0)
            return begin(records, *words, **options)

        monkeypatch.setattr(Records, "begin_command", slowly)
        answer = await scene.send(scene.envelope())
        assert answer is not None
        assert (answer.ok, answer.error) == (False, "LATE")

    assert played(tmp_path, authority, play).node.done == []


def test_a_refusal_is_remembered_as_well(tmp_path: Path, authority: Path) -> None:
    async def play(scene: Scene) -> None:
        scene.node.fails = True
        first = await scene.send(scene.envelope())
        assert first is not None
        assert (first.ok, first.error, first.text) == (False, "UNKNOWN", "no such link")
        scene.node.fails = False
        again = await scene.send(scene.envelope())
        assert again is not None
        assert (again.ok, again.error, again.again) == (False, "UNKNOWN", True)

    assert len(played(tmp_path, authority, play).node.done) == 1


def test_a_late_command_is_refused_and_never_done(tmp_path: Path, authority: Path) -> None:
    async def play(scene: Scene) -> None:
        envelope = scene.envelope()
        scene.clock.wait(10.5)
        for again in (False, True):
            answer = await scene.send(envelope)
            assert answer is not None
            assert (answer.ok, answer.error, answer.again) == (False, "LATE", again)

    assert played(tmp_path, authority, play).node.done == []


@pytest.mark.parametrize("changes", [{"deadline_utc_s": 400.0}, {"issued_utc_s": 45.0}])
def test_a_command_of_another_time_is_refused(tmp_path: Path, authority: Path, changes: dict[str, float]) -> None:
    async def play(scene: Scene) -> None:
        answer = await scene.send(scene.envelope(changes={key: scene.now_s + s for key, s in changes.items()}))
        assert answer is not None
        assert (answer.ok, answer.error) == (False, "TOO_EARLY")

    assert played(tmp_path, authority, play).node.done == []


def test_the_role_decides_as_at_the_control_endpoint(tmp_path: Path, authority: Path) -> None:
    async def play(scene: Scene) -> None:
        answer = await scene.send(scene.envelope("operator-bob"), "bob")
        assert answer is not None
        assert (answer.ok, answer.error) == (False, "ROLE")
        assert "bob has viewer" in answer.text
        answer = await scene.send(scene.envelope(changes={"id": "ab" * 16, "order": {"do": "drain", "why": "fun"}}))
        assert answer is not None
        assert (answer.ok, answer.error) == (False, "ROLE")

        answer = await scene.send(scene.envelope(changes={"id": "cd" * 16, "order": MOVE}))
        assert answer is not None
        assert (answer.ok, answer.error) == (False, "UNSUPPORTED")  # the role is enough, and this node leads no moves

    assert played(tmp_path, authority, play).node.done == []


def test_a_node_that_died_in_the_middle_says_that_nobody_knows(tmp_path: Path, authority: Path) -> None:
    async def play(scene: Scene) -> None:
        at_s = scene.now_s
        await scene.store.call(lambda store: store.records.begin_command(ID, "ann", now_s=at_s, until_s=at_s + 100))
        scene.begin()
        answer = await scene.send(scene.envelope())
        assert answer is not None
        assert (answer.ok, answer.error) == (False, "UNKNOWN_OUTCOME")

    assert played(tmp_path, authority, play).node.done == []


def test_somebody_elses_id_gives_nothing_away_and_alters_nothing(tmp_path: Path, authority: Path) -> None:
    async def play(scene: Scene) -> None:
        await scene.send(scene.envelope())
        other = await scene.send(scene.envelope("operator-bob"), "bob")
        assert other is not None
        assert (other.ok, other.error) == (False, "REFUSED")
        again = await scene.send(scene.envelope())
        assert again is not None
        assert (again.ok, again.again) == (True, True)

    assert len(played(tmp_path, authority, play).node.done) == 1


async def not_taken(scene: Scene, envelope: bytes, who: str = "ann") -> None:
    assert await scene.send(envelope, who) is None


FORGED: dict[str, Callable[[Scene], tuple[bytes, str]]] = {
    "another person's subject": lambda scene: (scene.envelope("operator-bob"), "ann"),
    "another node": lambda scene: (scene.envelope(changes={"node": "otsu"}), "ann"),
    "another network": lambda scene: (scene.envelope(changes={"network": "other"}), "ann"),
    "a node's certificate": lambda scene: (scene.envelope("node-maibara"), "maibara"),
    "an application's certificate": lambda scene: (scene.envelope("sae-bank"), "bank"),
    "another authority": lambda scene: (scene.envelope(folder=scene.authority.parent / "other" / "pki"), "ann"),
    "a revoked certificate": lambda scene: (scene.envelope("operator-eve"), "eve"),
    "another body": lambda scene: (scene.envelope().replace(b"maibara", b"maibarb", 1), "ann"),
    "an unknown order": lambda scene: (scene.envelope(changes={"order": {"do": "zeroise"}}), "ann"),
    "a question": lambda scene: (scene.envelope(changes={"order": {"do": "status"}}), "ann"),
    "another member": lambda scene: (scene.envelope(changes={"key": "00"}), "ann"),
    "no command": lambda scene: (b"\0", "ann"),
    "too long": lambda scene: (scene.envelope() + b" " * (1 << 16), "ann"),
}


@pytest.mark.parametrize("what", FORGED)
def test_a_command_that_is_not_believed_gets_no_answer(tmp_path: Path, authority: Path, what: str) -> None:
    async def play(scene: Scene) -> None:
        await not_taken(scene, *FORGED[what](scene))

    assert played(tmp_path, authority, play).node.done == []


def test_a_certificate_counts_at_its_own_time_alone(tmp_path: Path, authority: Path) -> None:
    async def play(scene: Scene) -> None:
        scene.clock.wait(31 * 86_400.0)
        await not_taken(scene, scene.envelope())

    assert played(tmp_path, authority, play).node.done == []
