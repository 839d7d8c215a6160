"""Interfaces for applications: ETSI GS QKD 014 and Cisco SKIP, on one `KeyService`. They need the extra `node`.

Each is an aiohttp application, for a `tokaido.node.listening.Listener` of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiohttp import web

    from tokaido.node.service import KeyService

__all__ = ["etsi014_application", "skip_application"]


def etsi014_application(service: KeyService, is_application: Callable[[str], bool]) -> web.Application:
    """Return what clients of ETSI GS QKD 014 V1.1.1 talk to.

    Args:
        service: Gives the keys.
        is_application: Whether an application of that SAE id is one of this node's.

    Raises:
        ImportError: aiohttp is not installed.
    """
    from tokaido.node.applications._etsi014 import application  # noqa: PLC0415 - aiohttp, when first needed

    return application(service, is_application)


def skip_application(
    service: KeyService, is_application: Callable[[str], bool], *, remotes: Callable[[str], tuple[str, ...]]
) -> web.Application:
    """Return what clients of Cisco SKIP (draft-cisco-skip-02) talk to.

    Args:
        service: Gives the keys.
        is_application: Whether an application of that id is one of this node's.
        remotes: The ids of the applications that one of that id may share keys with.

    Raises:
        ImportError: aiohttp is not installed.
    """
    from tokaido.node.applications._skip import application  # noqa: PLC0415 - aiohttp, when first needed

    return application(service, is_application, remotes=remotes)
