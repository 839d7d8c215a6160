"""The commands `node run` and `node wrapping-key`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import tokaido.hal as hal
from tokaido.console._output import tell, try_to_tell

if TYPE_CHECKING:
    from pathlib import Path


def run_node(path: Path, *, emulation: bool, log_json: bool = False, as_json: bool) -> None:
    """Run a node until a signal ends it.

    Raises:
        ConfigurationError: With every mistake in its file.
        TokaidoError: It could not start.
    """
    if log_json:
        from tokaido.node.operation import log_as_json  # noqa: PLC0415

        log_as_json()
    asyncio.run(_run(path, emulation=emulation, as_json=as_json))


async def _run(path: Path, *, emulation: bool, as_json: bool) -> None:
    try:
        from tokaido.node import NodeDaemon, NodeFile  # noqa: PLC0415 - aiohttp, when first needed
    except ImportError as error:
        raise hal.ConfigurationError(
            "a node needs aiohttp, which is not installed", remedy="Install it with: pip install 'tokaido[node]'"
        ) from error

    file = NodeFile.read(path)
    daemon = NodeDaemon(file, emulation=emulation)

    def ready() -> None:
        where = ", ".join(f"{name} at port {port}" for name, port in daemon.ports.items())
        tell(
            f"node {file.name} runs: {where}. SIGTERM or Ctrl-C ends it",
            {"event": "ready", "node": file.name, "ports": daemon.ports},
            as_json=as_json,
        )

    await daemon.run(ready)
    try_to_tell("ended in order", {"event": "ended"}, as_json=as_json)


def make_wrapping_key(path: Path, *, as_json: bool) -> None:
    """Make a wrapping key, and the folder that it is to be in, of mode 0700.

    Raises:
        ConfigurationError: A file of that name exists.
    """
    from tokaido.node.store import new_wrapping_key  # noqa: PLC0415

    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    new_wrapping_key(path)
    tell(
        f"made {path}. With it and the store a thief has the keys; without it nobody can read the store",
        {"event": "made", "file": str(path)},
        as_json=as_json,
    )
