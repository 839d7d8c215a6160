"""A node's state as ETSI GS QKD 015 has it: JSON over RESTCONF, for reading alone, and alarms as notifications.

docs/protocols/etsi015.md is the contract.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokaido.node.etsi015._notices import Notices, Reader, notification
from tokaido.node.etsi015._resources import Found, chosen, datastore, find
from tokaido.node.etsi015._site import NAMESPACE, Site
from tokaido.node.etsi015._tree import qkd_node

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from aiohttp import web

    from tokaido.node.operation import NodeStatus

__all__ = [
    "NAMESPACE",
    "Found",
    "Notices",
    "Reader",
    "Site",
    "chosen",
    "datastore",
    "find",
    "notification",
    "qkd_node",
    "state_application",
]


def state_application(status: Callable[[], NodeStatus], readers: Collection[str], notices: Notices) -> web.Application:
    """Return what answers at `[listen] state`.

    Args:
        status: Returns the node's status.
        readers: Names of the certificates that may read.
        notices: The node's notifications. They end with the application.

    Raises:
        ImportError: aiohttp is not installed.
    """
    from tokaido.node.etsi015._server import application  # noqa: PLC0415 - aiohttp, when first needed

    return application(status, readers, notices)
