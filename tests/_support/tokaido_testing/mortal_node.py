"""A node in a process of its own that kills itself at a named step of a move.

`python -m` it with FOLDER NODE STEP and, where a move is to come to nothing, the deed that fails.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tokaido.node import NodeDaemon, NodeFile
from tokaido.node.daemon import _link_moves
from tokaido.node.moving import Act, Ask, Failed, Write, _site

if TYPE_CHECKING:
    from tokaido.node.moving import Action, Outcome

LEASE_S = 1.5
"""So that the next life does not wait long."""


def step_of(action: Action) -> str:
    """Return what an action is called."""
    match action:
        case Write(record=record):
            return f"note {record.stage.value}"
        case Act(deed=deed):
            return deed.value
        case Ask(order=order):
            return f"say {order.order.value}"
        case _:
            return "wait"


def die_at(step: str, failing: str) -> None:
    """Have this process kill itself when it comes to a step: `before` or `after` what `step_of` tells.

    Args:
        step: Where it dies.
        failing: Which deed is never done; empty: none.
    """
    carry_out = _link_moves.LinkMoves._carry_out

    def passing(name: str) -> None:
        if name == step:
            os.kill(os.getpid(), signal.SIGKILL)

    async def carried_out(self: _link_moves.LinkMoves, action: Action) -> Outcome:
        passing(f"before {step_of(action)}")
        fails = isinstance(action, Act) and action.deed.value == failing
        outcome = Failed("the test has it fail") if fails else await carry_out(self, action)
        passing(f"after {step_of(action)}")
        return outcome

    _link_moves.LinkMoves._carry_out = carried_out  # type: ignore[method-assign]


def main() -> None:
    """Live until SIGTERM, or that step."""
    folder, node, step, failing = Path(sys.argv[1]), *sys.argv[2:5]
    _site.LEASE_S = LEASE_S  # type: ignore[misc]
    die_at(step, failing)
    daemon = NodeDaemon(NodeFile.read(folder / f"{node}.toml"))
    asyncio.run(daemon.run((folder / f"ready-{node}").touch))


if __name__ == "__main__":
    main()
