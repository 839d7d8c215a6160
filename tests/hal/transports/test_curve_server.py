"""Who gets through the door of a server under CURVE, and what is left of it."""

from __future__ import annotations

import os
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import zmq

import tokaido.hal as hal
from tokaido.hal.transports import (
    CurveClient,
    CurveDoor,
    Request,
    Resource,
    ZmqTransport,
    load_curve_public,
    load_curve_secret,
)
from tokaido_testing.patience import patient

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    for name in ("server", "other", "ann", "ben", "mallory"):
        hal.create_curve_keys(folder, name)
    return folder


def client_named(keys: Path, name: str, *roles: str) -> CurveClient:
    return CurveClient(load_curve_public(keys / f"{name}.key"), name, frozenset(roles))


class Greeter:
    """A server that answers each message with the name and roles of who sent it, in a thread of its own."""

    def __init__(self, keys: Path, *clients: CurveClient, server: str = "server") -> None:
        self.door = CurveDoor(load_curve_secret(keys / f"{server}.key_secret"), clients)
        self.endpoint = "tcp://127.0.0.1:0"
        self._rebind = self._ending = False
        self._bound = threading.Event()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()
        assert self._bound.wait(patient(5))

    def _serve(self) -> None:
        while not self._ending:
            try:
                socket = self.door.socket(zmq.ROUTER)
                self.endpoint = self.door.bind(socket, self.endpoint)
            except hal.NotConnectedError:  # ZeroMQ closes the socket before it a moment later
                hal.SYSTEM_CLOCK.wait(0.005)
                continue
            self._rebind = False
            self._bound.set()
            while not (self._ending or self._rebind):
                if socket.poll(20):
                    address, *rest = socket.recv_multipart(copy=False)
                    client = self.door.client_of(rest[-1])
                    told = f"{client.name} {sorted(client.roles)}" if client else "?"
                    socket.send_multipart([address.bytes, told.encode()])
            socket.close()

    def revoke(self, client: CurveClient) -> None:
        self.door.refuse(client.public)
        self._bound.clear()
        self._rebind = True
        assert self._bound.wait(patient(5))

    def close(self) -> None:
        self._ending = True
        self._thread.join()
        self.door.close()


@pytest.fixture
def closing() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def descriptors_open() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def greeted(keys: Path, greeter: Greeter, name: str, server: str = "server") -> str:
    options = {"server_key_file": f"{keys}/{server}.key", "client_key_file": f"{keys}/{name}.key_secret"}
    resource = Resource("zmq", greeter.endpoint, options)
    with ZmqTransport(resource, timeout_s=patient(2)) as transport:
        return transport.exchange(Request("hi", [b"hi"], lambda frames: frames[0].decode()))


def test_a_listed_client_is_known_by_name_and_roles(keys: Path, closing: ExitStack) -> None:
    greeter = Greeter(keys, client_named(keys, "ann", "operator", "viewer"), client_named(keys, "ben"))
    closing.callback(greeter.close)
    assert greeted(keys, greeter, "ann") == "ann ['operator', 'viewer']"
    assert greeted(keys, greeter, "ben") == "ben []"
    assert {client.name for client in greeter.door.clients} == {"ann", "ben"}


def test_nobody_else_gets_in(keys: Path, closing: ExitStack) -> None:
    greeter = Greeter(keys, client_named(keys, "ann"))
    closing.callback(greeter.close)
    with pytest.raises(hal.AuthenticationError):
        greeted(keys, greeter, "mallory")
    with pytest.raises(hal.AuthenticationError):
        greeted(keys, greeter, "ann", server="other")
    context: zmq.Context[Any] = zmq.Context()
    plain = context.socket(zmq.DEALER)
    plain.linger = 0
    plain.connect(greeter.endpoint)
    plain.send(b"hi")
    assert not plain.poll(300)
    plain.close()
    context.term()
    assert greeted(keys, greeter, "ann") == "ann []"


def test_a_door_admits_its_own_clients_alone(keys: Path, closing: ExitStack) -> None:
    one, two = Greeter(keys, client_named(keys, "ann")), Greeter(keys, client_named(keys, "ben"), server="other")
    closing.callback(one.close)
    closing.callback(two.close)
    assert greeted(keys, one, "ann") == "ann []"
    assert greeted(keys, two, "ben", "other") == "ben []"
    with pytest.raises(hal.AuthenticationError):
        greeted(keys, two, "ann", "other")


def test_who_is_refused_later_is_out_and_who_is_admitted_later_is_in(keys: Path, closing: ExitStack) -> None:
    ann, ben = client_named(keys, "ann"), client_named(keys, "ben")
    greeter = Greeter(keys, ann)
    closing.callback(greeter.close)
    assert greeted(keys, greeter, "ann") == "ann []"
    greeter.door.admit(ben)
    greeter.revoke(ann)
    assert greeted(keys, greeter, "ben") == "ben []"
    with pytest.raises(hal.AuthenticationError):
        greeted(keys, greeter, "ann")


def test_a_key_that_is_listed_twice_is_a_mistake(keys: Path) -> None:
    twice = [client_named(keys, "ann"), CurveClient(load_curve_public(keys / "ann.key"), "anna")]
    with pytest.raises(hal.ConfigurationError, match="anna has the key of ann"):
        CurveDoor(load_curve_secret(keys / "server.key_secret"), twice)


def test_a_place_that_is_taken_is_told(keys: Path, closing: ExitStack) -> None:
    greeter = Greeter(keys, client_named(keys, "ann"))
    closing.callback(greeter.close)
    door = CurveDoor(load_curve_secret(keys / "other.key_secret"))
    with door, pytest.raises(hal.NotConnectedError, match="cannot be bound"):
        door.bind(door.socket(zmq.ROUTER), greeter.endpoint)
    with pytest.raises(hal.ClosedError):
        door.socket(zmq.ROUTER)


def test_without_the_handler_the_door_is_closed(keys: Path, closing: ExitStack) -> None:
    greeter = Greeter(keys, client_named(keys, "ann"))
    closing.callback(greeter.close)
    assert greeted(keys, greeter, "ann") == "ann []"
    admission = greeter.door._admission
    assert admission is not None
    os.eventfd_write(admission._ends, 1)
    admission._thread.join()
    with pytest.raises(hal.TransportError):
        greeted(keys, greeter, "ann")


def test_the_last_door_takes_thread_and_descriptors_along(keys: Path) -> None:
    threads, descriptors = threading.active_count(), descriptors_open()
    greeters = [Greeter(keys, client_named(keys, "ann")) for _ in range(5)]
    handlers = [thread for thread in threading.enumerate() if thread.name == "tokaido-curve"]
    assert len(handlers) == 1
    for greeter in greeters:
        assert greeted(keys, greeter, "ann") == "ann []"
    for greeter in greeters:
        greeter.close()
    assert threading.active_count() == threads
    assert descriptors_open() <= descriptors
