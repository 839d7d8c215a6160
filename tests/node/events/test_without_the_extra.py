"""Where nats-py is not installed, and what imports it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tokaido.hal import ConfigurationError
from tokaido.node.events import Bus, EventsSettings, NetworkClient, Outgoing
from tokaido.node.operation import Events
from tokaido.node.pki import files_of, issue

if TYPE_CHECKING:
    from pathlib import Path

    from tokaido.node.core import Clear, Raise


def test_nothing_of_a_node_imports_the_library() -> None:
    program = (
        "import sys, tokaido.node, tokaido.node.events as e; from tokaido.node import NodeDaemon, NodeFile;"
        "e.Bus, e.Commands, e.NetworkClient, e.HubFile; sys.exit('nats' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False, timeout=60).returncode == 0


def test_a_person_is_told_what_to_install_and_a_node_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    issue(tmp_path / "pki", nodes={"maibara": ()}, operators=["ann"])
    monkeypatch.setitem(sys.modules, "nats", None)
    alarms: list[Raise | Clear] = []

    def settings(stem: str) -> EventsSettings:
        return EventsSettings("line", ("tls://127.0.0.1:1",), files_of(tmp_path / "pki", stem))

    async def live() -> None:
        with pytest.raises(ConfigurationError, match=r"pip install 'tokaido\[events\]'"):
            async with NetworkClient(settings("operator-ann")):
                pass
        node = settings("node-maibara")
        bus = Bus(node, Outgoing(node, "maibara", Events("00")), lambda: None, alarms.append)
        await bus.start()
        async with asyncio.timeout(20):
            while not alarms:
                await asyncio.sleep(0.01)
        await bus.close()

    asyncio.run(live())
    assert "nats-py, which is not installed" in getattr(alarms[0], "text", "")
