"""Carries a command of a client out, whether it came to the control endpoint or over the bus."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from tokaido.hal import DeviceTimeoutError, TokaidoError

if TYPE_CHECKING:
    from tokaido.node.operation import ControlRequest, Operations, Peer

LOG: Final = logging.getLogger("tokaido.node.endpoint")
WORK_S: Final = 10.0
"""How long the node may take over a command."""


async def failure_of(operations: Operations, request: ControlRequest, peer: Peer) -> Exception | None:
    """Carry a command out, and return what was in the way; None: nothing."""
    try:
        async with asyncio.timeout(WORK_S):
            await operations.operate(request, peer)
    except TimeoutError:
        what = f"the node did not finish within {WORK_S:g} s"
        return DeviceTimeoutError(what, remedy="Read what is in force, and look into its log")
    except TokaidoError as error:
        return error
    except Exception as error:
        LOG.exception("a command of %s failed in the node", peer.user)
        return error
    return None
