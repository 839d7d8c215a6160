"""What systemd is told, at a real datagram socket; what the log looks like; and when the node counts as alive."""

from __future__ import annotations

import io
import json
import logging
import os
import socket
import sys
from typing import TYPE_CHECKING

import pytest

from tokaido.hal import KeyMaterial
from tokaido.node.operation import JsonFormatter, Notifier, devices_answer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def heard(tmp_path: Path) -> Iterator[tuple[socket.socket, dict[str, str]]]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as door:
        door.bind(str(tmp_path / "notify"))
        door.settimeout(10)
        yield door, {"NOTIFY_SOCKET": str(tmp_path / "notify")}


def test_systemd_is_told_each_step_of_a_life(heard: tuple[socket.socket, dict[str, str]]) -> None:
    door, environment = heard
    one = Notifier(environment)
    one.ready("Keys are\nserved")
    assert door.recv(4096) == b"READY=1\nSTATUS=Keys are served"
    one.alive()
    assert door.recv(4096) == b"WATCHDOG=1"
    one.status("degraded")
    one.status("degraded")
    one.reloading()
    assert door.recv(4096) == b"STATUS=degraded"
    told = door.recv(4096).decode().split("\n")
    assert told[0] == "RELOADING=1"
    assert told[1].removeprefix("MONOTONIC_USEC=").isdecimal()
    one.stopping()
    assert door.recv(4096) == b"STOPPING=1\nSTATUS=draining"


def test_a_socket_may_be_abstract() -> None:
    name = f"tokaido-notify-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as door:
        door.bind(f"\0{name}")
        door.settimeout(10)
        Notifier({"NOTIFY_SOCKET": f"@{name}"}).alive()
        assert door.recv(4096) == b"WATCHDOG=1"


def test_without_a_systemd_or_with_a_dead_one_nothing_happens(tmp_path: Path) -> None:
    Notifier({}).ready("fine")
    Notifier({"NOTIFY_SOCKET": str(tmp_path / "nobody")}).ready("fine")


@pytest.mark.parametrize(
    ("environment", "seconds"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "often"}, None),
    ],
)
def test_the_watchdog_is_the_one_of_this_process(environment: dict[str, str], seconds: float | None) -> None:
    assert Notifier(environment).watchdog_s == seconds


@pytest.mark.parametrize(
    ("told", "lives"),
    [
        ([], True),
        ([(1.0, 120.0)], True),
        ([(1.0, 120.0), (1e6, 120.0)], True),
        ([(121.0, 120.0)], False),
        ([(121.0, 120.0), (200.0, 120.0)], False),
        ([(121.0, 120.0), (200.0, 300.0)], True),
    ],
)
def test_a_node_lives_while_an_exchange_with_a_device_came_to_its_end(
    told: list[tuple[float, float]], lives: bool
) -> None:
    assert devices_answer(told) is lives


def test_a_log_is_a_line_of_json_without_a_key() -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    logger = logging.getLogger("tokaido.test_of_json")
    logger.addHandler(handler)
    logger.propagate = False
    try:
        key = KeyMaterial(b"A" * 32)
        logger.warning("a key %s and %r\nof alice", key, key)
        try:
            raise ValueError("oh")
        except ValueError:
            logger.exception("it failed")
    finally:
        logger.removeHandler(handler)
        logger.propagate = True
    first, second = (json.loads(line) for line in stream.getvalue().splitlines())
    assert first["message"] == "a key <KeyMaterial 256 bit> and <KeyMaterial 256 bit>\nof alice"
    assert (first["level"], first["logger"]) == ("WARNING", "tokaido.test_of_json")
    assert "ValueError: oh" in second["error"]
    assert "AAAA" not in stream.getvalue()
    assert sys.exc_info() == (None, None, None)
