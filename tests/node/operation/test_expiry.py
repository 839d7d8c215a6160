"""Endings are told in time: of own certificates, those of neighbours as they are seen, lists, topologies."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import pytest

from tokaido.hal import Severity
from tokaido.node import NodeDaemon, NodeFile, pki
from tokaido.node.core import Clear, Raise
from tokaido.node.listening import Limits, Listener
from tokaido.node.messages import MAX_BODY, Envelope, Ok
from tokaido.node.node_file import control_socket
from tokaido.node.operation import AlarmLine, ControlClient, Ending, ExpirySettings, ExpiryWatch
from tokaido.node.peers import peer_application
from tokaido.node.tls import ends_of, server_context
from tokaido_testing.hasty_clock import HastyClock
from tokaido_testing.node_files import make_site
from tokaido_testing.patience import patient
from tokaido_testing.ports import free_port
from tokaido_testing.toy_clock import ToyClock

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

DAY_S = 86_400.0
NODE = """
[node]
name = "otemachi"
station = "station.toml"
[store]
path = "keys.sqlite"
key_file = "store.key"
[tls]
certificate = "pki/node-otemachi.pem"
key = "pki/node-otemachi.key"
authority = "pki/ca.pem"
revoked = "pki/crl.pem"
[listen]
neighbours = "127.0.0.1:0"
[neighbours.koganei]
url = "https://127.0.0.1:{port}"
[alarms]
hold_off_s = 0
certificate_days = 20
certificate_urgent_days = 8
"""


class Watched:
    def __init__(self, **settings: float) -> None:
        self.clock = ToyClock()
        self.told: list[Raise | Clear] = []
        self.watch = ExpiryWatch(self.told.append, ExpirySettings(**settings), clock=self.clock)

    def at_day(self, day: float, *endings: tuple[str, float]) -> list[Raise | Clear]:
        self.clock.ahead_s = day * DAY_S
        self.told.clear()
        self.watch.look([Ending("CERTIFICATE_ENDS", of, "the certificate", at * DAY_S) for of, at in endings])
        return list(self.told)


def test_the_nearer_the_end_the_more_severe() -> None:
    watched = Watched(days=30.0, urgent_days=5.0)
    found = {}
    for day in (69.9, 70.1, 94.9, 95.1, 99.9, 100.1):
        told = watched.at_day(day, ("koganei", 100.0))
        found[day] = [one.severity for one in told if isinstance(one, Raise)]
    assert found == {
        69.9: [],
        70.1: [Severity.WARNING],
        94.9: [Severity.WARNING],
        95.1: [Severity.MAJOR],
        99.9: [Severity.MAJOR],
        100.1: [Severity.CRITICAL],
    }
    assert watched.told == [
        Raise("CERTIFICATE_ENDS", Severity.CRITICAL, "koganei", "the certificate ended on 1970-04-11 00:00 UTC")
    ]


def test_what_was_renewed_is_cleared_and_so_is_what_a_clock_that_was_wrong_had_raised() -> None:
    watched = Watched(days=30.0)
    assert len(watched.at_day(80, ("", 100.0), ("koganei", 101.0))) == 2
    again = watched.at_day(81, ("", 400.0), ("koganei", 101.0))
    assert [type(one) for one in again] == [Clear, Raise]
    assert watched.at_day(0, ("", 400.0), ("koganei", 101.0)) == [Clear("CERTIFICATE_ENDS", "koganei")]
    assert watched.at_day(0, ("", 400.0), ("koganei", 101.0)) == []


def test_of_two_the_one_that_ends_first_counts() -> None:
    [told] = Watched().at_day(95, ("", 110.0), ("", 100.0), ("", 105.0))
    assert isinstance(told, Raise)
    assert "1970-04-11" in told.text


def test_the_ends_of_files_are_those_of_what_is_in_them(tmp_path: Path) -> None:
    pki.issue(tmp_path / "pki", saes=["bank"], days=1000)  # the authority lasts as long
    [issued] = pki.issue(tmp_path / "pki", nodes={"otemachi": ()}, days=12)
    ends = ends_of(issued.files)
    assert ends.certificate == issued.not_after.timestamp()
    assert ends.authority > ends.certificate
    assert ends.revoked is not None


class Settable(HastyClock):
    """A clock that a test sets ahead."""

    ahead_s = 0.0

    def utc_ns(self) -> int:
        return super().utc_ns() + round(self.ahead_s * 1e9)


@pytest.mark.timeout(120)
def test_a_node_tells_what_ends_with_it_and_with_neighbours_that_it_sees(tmp_path: Path) -> None:
    pki.issue(tmp_path / "pki", saes=["bank"], days=1000)
    pki.issue(tmp_path / "pki", nodes={"otemachi": ()}, days=12)
    pki.issue(tmp_path / "pki", nodes={"koganei": ()}, days=6)
    make_site(tmp_path)
    clock = Settable(20.0)

    async def hears(neighbour: str, envelope: Envelope) -> Envelope:
        return Envelope(run=bytes(16), to=envelope.run, n=envelope.n, body=Ok())

    def work(client: ControlClient) -> None:
        def until(condition: Callable[[dict[tuple[str, str], AlarmLine]], bool]) -> dict[tuple[str, str], AlarmLine]:
            found: dict[tuple[str, str], AlarmLine] = {}
            for _ in range(600):
                found = {(one.code, one.of): one for one in client.status().alarms}
                if condition(found):
                    return found
                clock.wait(1.0)
            raise AssertionError(found)

        own, theirs = ("CERTIFICATE_ENDS", ""), ("CERTIFICATE_ENDS", "koganei")
        found = until(lambda found: {own, theirs} <= set(found))
        assert (found[own].severity, found[theirs].severity) == ("WARNING", "MAJOR")
        assert ("AUTHORITY_ENDS", "") not in found
        for file in ("pem", "key"):
            (tmp_path / "pki" / f"node-otemachi.{file}").unlink()
        pki.issue(tmp_path / "pki", nodes={"otemachi": ()}, days=29)
        assert until(lambda found: theirs in found)[own].severity == "WARNING"  # it is not in use yet
        client.reload(note="renewed")
        found = until(lambda found: own not in found)
        assert theirs in found
        clock.ahead_s = 7 * DAY_S
        assert "ended on" in until(lambda found: found[theirs].severity == "CRITICAL")[theirs].text
        clock.ahead_s = 15 * DAY_S
        assert until(lambda found: own in found)[own].severity == "WARNING"

    async def live(ending: AsyncExitStack) -> None:
        served = peer_application(hears, lambda name: name == "otemachi")
        koganei = Listener(
            served, server_context(pki.files_of(tmp_path / "pki", "node-koganei")), Limits(body=MAX_BODY)
        )
        await koganei.open("127.0.0.1", port := free_port())
        ending.push_async_callback(koganei.close)
        (tmp_path / "node.toml").write_text(NODE.format(port=port), encoding="utf-8")
        daemon, ready = NodeDaemon(NodeFile.read(tmp_path / "node.toml"), clock=clock), asyncio.Event()
        life = asyncio.create_task(daemon.run(ready.set))

        async def end() -> None:
            daemon.stop()
            await life

        ending.push_async_callback(end)
        async with asyncio.timeout(patient(20)):
            await ready.wait()
        client = ControlClient(control_socket(tmp_path / "node.toml"))
        await asyncio.to_thread(work, client)

    async def whole() -> None:
        async with AsyncExitStack() as ending:
            await live(ending)

    asyncio.run(whole())
