"""The command `node move`: begins a move of a link, and tells how it goes until it is over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import tokaido.hal as hal
from tokaido.console import _node_status

if TYPE_CHECKING:
    from pathlib import Path

    from tokaido.node.operation import ControlClient

MOVING: Final = "moving"
MOVED: Final = "moved"
POLL_S: Final = 0.25


def run(node: Path, link: str, path: str, *, forget: bool, wait_s: float, as_json: bool) -> int:
    """Move a link, or have a move forgotten, and return the exit code.

    Raises:
        ConfigurationError: Neither or both of a path and `forget` are given.
        RefusedError: The node did not begin it.
        DeviceTimeoutError: The move is not over within `wait_s` s; it goes on.
    """
    if forget == bool(path):
        raise hal.ConfigurationError(
            "`node move` takes a path, or --forget", remedy="`tokaido node move NODE LINK PATH`"
        )
    client = _node_status.client_of(node)
    if forget:
        client.forget_move(link)
        _node_status.done("forgotten", {"link": link}, as_json=as_json)
        return 0
    client.move(link, path)
    told = _told_until_over(client, link, wait_s, quiet=as_json)
    moved = told.startswith(MOVED)
    _node_status.done("moved" if moved else "not moved", {"link": link, "path": path, "told": told}, as_json=as_json)
    return 0 if moved else 1


def _told_until_over(client: ControlClient, link: str, wait_s: float, *, quiet: bool) -> str:
    deadline = hal.Deadline(hal.SYSTEM_CLOCK, wait_s)
    shown = ""
    while True:
        told = next((line.move for line in client.status().links if line.name == link), "")
        if told != shown and not quiet:
            print(f"link {link}: {told}", flush=True)
        shown = told
        if told and not told.startswith(MOVING):
            return told
        if deadline.passed:
            raise hal.DeviceTimeoutError(
                f"the move of {link} is not over: {told}",
                elapsed_s=deadline.elapsed_s,
                remedy="It goes on by itself: `tokaido node status` tells how",
            )
        hal.SYSTEM_CLOCK.wait(POLL_S)
