"""Who may read the page: docs/reference/page.md, "Who may read it"."""

from __future__ import annotations

import hmac
import secrets
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""Of every answer."""


class Guard:
    """Knows the token and the cookie of one run.

    Args:
        port: That the server listens at.
    """

    def __init__(self, port: int) -> None:
        self._hosts = (f"127.0.0.1:{port}", f"localhost:{port}")
        self._token = secrets.token_urlsafe(32)
        self._session = secrets.token_urlsafe(32)
        self._cookie = f"tokaido-page-{port}"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._hosts[0]})"

    @property
    def url(self) -> str:
        """The address that lets a browser in."""
        return f"http://{self._hosts[0]}/?token={self._token}"

    @property
    def set_cookie(self) -> str:
        """The header by which a browser gets its cookie."""
        return f"{self._cookie}={self._session}; Path=/; HttpOnly; SameSite=Strict"

    def obstacle(self, method: str, headers: Mapping[str, str]) -> str:
        """Return why a request may have no answer, whatever it knows; empty: it may."""
        host, origin = headers.get("Host", ""), headers.get("Origin")
        if host not in self._hosts:
            return "this page is at 127.0.0.1 or localhost alone"
        if origin is not None and origin != f"http://{host}":
            return "another page asks"
        if origin is None and method not in {"GET", "HEAD"}:
            return "it does not say which page asks"
        return ""

    def is_token(self, text: str) -> bool:
        """Return whether a text is the token."""
        return _same(text, self._token)

    def is_known(self, cookies: Mapping[str, str]) -> bool:
        """Return whether a request brings the cookie."""
        return _same(cookies.get(self._cookie, ""), self._session)


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(errors="replace"), other.encode())
