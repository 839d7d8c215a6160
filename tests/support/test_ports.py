"""Two servers of one test never get the same port."""

from __future__ import annotations

import socket
from pathlib import Path

from tokaido_testing.ports import COUNT, free_port


def test_no_two_calls_return_one_port_though_nobody_took_the_first() -> None:
    ports = [free_port() for _ in range(COUNT // 3)]
    assert len(set(ports)) == len(ports)


def test_ports_are_none_that_a_socket_gets_that_asks_for_any() -> None:
    lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="ascii").split()[0])
    assert max(free_port() for _ in range(100)) < lowest


def test_a_port_that_is_taken_is_passed_over() -> None:
    with socket.socket() as taken:
        port = free_port()
        taken.bind(("127.0.0.1", port + 1))
        assert free_port() != port + 1
