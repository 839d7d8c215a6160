"""Maintenance of a link outlives the node: no order goes to the unit before it is given back, or its time is over."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tokaido.emulators import QkdLink
from tokaido.hal import SYSTEM_CLOCK
from tokaido.node.node_file import control_socket
from tokaido.node.operation import ControlClient
from tokaido.node.supervision import Source
from tokaido_testing.console_runs import run_console
from tokaido_testing.node_files import ALONE, HEAD, living, make_site, until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tokaido.node.supervision import Done, Failed, UnitOrder


@pytest.mark.timeout(180)
def test_maintenance_outlives_the_node_and_ends_by_itself(
    tmp_path: Path, certificates: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = tmp_path / "node.toml"
    node.write_text(HEAD.format(name="otemachi", pki=certificates) + ALONE, encoding="utf-8")
    ordered: list[UnitOrder] = []
    obey = Source.carry_out

    def carry_out(source: Source, order: UnitOrder) -> Done | Failed:
        ordered.append(order)
        return obey(source, order)

    monkeypatch.setattr(Source, "carry_out", carry_out)

    def run(work: Callable[[ControlClient], None]) -> None:
        living(tmp_path, lambda _: work(ControlClient(control_socket(node))))

    with QkdLink.launch("toshiba", load_preshared_key=True) as link:
        unit = link.transmitter
        make_site(tmp_path, control=unit.resources["control"])

        def first(client: ControlClient) -> None:
            words = ("node", "maintenance", str(node), "field", "--hours", "100", "--note", "a new laser")
            assert run_console(*words).code == 0
            until(client, lambda status: "MAINTENANCE" in {one.code for one in status.alarms})

        run(first)
        with unit.lock:
            unit.model.prepare("STANDBY")  # type: ignore[attr-defined] # where an order is due
        ordered.clear()

        def second(client: ControlClient) -> None:
            status = until(client, lambda status: status.links[0].phase == "maintenance")
            [alarm] = [one for one in status.alarms if one.code == "MAINTENANCE"]
            assert "a new laser" in alarm.text
            assert status.links[0].maintained_until_s == pytest.approx(SYSTEM_CLOCK.utc_ns() / 1e9 + 360_000, abs=600)
            shown = run_console("node", "status", str(node))
            assert ", until 20" in shown.out.replace("\n", " ")
            before = status.links[0]
            SYSTEM_CLOCK.wait(0.5)  # 10 s of the node
            line = until(client, lambda now: now.links[0].maintenance_s > before.maintenance_s + 5.0).links[0]
            assert not ordered
            assert (line.up_s, line.down_s) == (0.0, before.down_s)
            soon_s = SYSTEM_CLOCK.utc_ns() / 1e9 + 3600
            client.maintenance("field", on=True, note="nearly done", until_s=soon_s)

        run(second)
        assert not ordered
        monkeypatch.setattr(
            "tokaido_testing.hasty_clock.HastyClock.utc_ns", lambda _: SYSTEM_CLOCK.utc_ns() + 7200 * 10**9
        )

        def third(client: ControlClient) -> None:
            status = until(client, lambda _: bool(ordered))
            assert status.links[0].maintained_until_s is None
            assert ("node", "end maintenance of field", "its time was over") in {
                (row.who, row.what, row.why) for row in client.audit_log()
            }

        run(third)
        ordered.clear()
        with unit.lock:
            unit.model.prepare("STANDBY")  # type: ignore[attr-defined]

        def last(client: ControlClient) -> None:
            until(client, lambda _: bool(ordered))

        run(last)
