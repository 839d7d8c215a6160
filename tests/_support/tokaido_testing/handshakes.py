"""TLS handshakes in memory, without sockets: who would be heard, and what each end would say of the other."""

from __future__ import annotations

import ssl


def shaken(
    server: ssl.SSLContext, client: ssl.SSLContext, host: str = "localhost"
) -> tuple[ssl.SSLObject, ssl.SSLObject]:
    """Return both ends, server first, once each has believed the other.

    Raises:
        SSLError: One of them did not.
    """
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    one = server.wrap_bio(to_server, to_client, server_side=True)
    other = client.wrap_bio(to_client, to_server, server_hostname=host)
    waiting = [other, one]
    for _ in range(20):
        for end in tuple(waiting):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
            waiting.remove(end)
        if not waiting:
            other.write(b"?")
            assert one.read(1) == b"?"
            return one, other
    raise AssertionError("the handshake did not end")
