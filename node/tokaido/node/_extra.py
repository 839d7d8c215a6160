"""What the extra `node` brings, or an error that says how to get it."""

from __future__ import annotations

try:
    import aiohttp
    from aiohttp import web
except ImportError as error:
    raise ImportError("the servers of a node need aiohttp: pip install 'tokaido[node]'") from error

__all__ = ["aiohttp", "web"]
