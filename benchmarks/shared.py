"""One declared value through a device server, beside a bare REQ/REP with CURVE, each peer in a process of its own.

The device is an emulated transmitter on a pseudo-terminal in the server's process, so the way through the server to the
device is two hops: the client's and the server's own. A reader who does not hold the device gets what the last exchange
brought, up to 0.1 s old; a holder's question goes to the device each time.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import tokaido.hal as hal
from box import on_one_core, peer
from measuring import Figure, in_turns, show, spread
from tokaido.hal.transports import load_curve_public, load_curve_secret

ROUNDS = 40
READERS = 20
CLIENTS = ("ann", "vic")


def measure() -> list[Figure]:
    import zmq

    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as closing:
        folder = Path(name)
        for who in ("server", *CLIENTS):
            hal.create_curve_keys(folder, who)
        port = closing.enter_context(peer("zmq", str(folder / "server.key_secret")))
        endpoint, direct = closing.enter_context(peer("serve", name, script=__file__)).split()
        pair = load_curve_secret(folder / "ann.key_secret")
        request: Any = zmq.Context.instance().socket(zmq.REQ)
        closing.callback(request.close, linger=0)
        request.curve_serverkey = load_curve_public(folder / "server.key")
        request.curve_publickey, request.curve_secretkey = pair.public, pair.secret
        request.connect(f"tcp://127.0.0.1:{port}")

        def bare_socket() -> float:
            request.send(b"14?")
            return float(request.recv())

        def station(who: str) -> hal.RemoteStation:
            keys = f"server_key_file={folder}/server.key&client_key_file={folder}/{who}.key_secret"
            return closing.enter_context(hal.Station.connect(f"zmq:{endpoint}?{keys}"))

        holder, viewer = station("ann"), station("vic")
        holder.acquire("box", "a benchmark", seconds=600)
        held: Any = holder.device("box", hal.Transmitter)
        seen: Any = viewer.device("box", hal.Transmitter)
        at_port: Any = closing.enter_context(hal.Transmitter.open("toshiba.transmitter", control=direct))
        with on_one_core():
            sides = in_turns(
                [bare_socket, lambda: seen.laser_temperature, lambda: held.laser_temperature], rounds=ROUNDS
            )
        many = [station("vic").device("box", hal.Transmitter) for _ in range(READERS)]
        of_one, of_many = _exchanges(folder, many[:1]), _exchanges(folder, many)
        of_port = in_turns([lambda: at_port.laser_temperature], rounds=5)[0]
    return [
        spread(sides[0].wall).figure("bare REQ/REP with CURVE, beside the server", "us"),
        sides[1].over(sides[0]).figure("server: a shared reading / bare REQ/REP", "x", "<= 1.4"),
        sides[1].cpu_over(sides[0]).figure("server: a shared reading, added client CPU", "us"),
        sides[2].over(sides[0]).figure("server: a holder's reading, to the device / bare", "x"),
        spread(of_port.wall).figure("the same reading at the device's own port", "us"),
        Figure("exchanges of the device, 20 readers / 1 reader, 10 Hz each", of_many / of_one, "x", "<= 1"),
    ]


def _exchanges(folder: Path, readers: list[Any]) -> int:
    """Return how many exchanges these readers cost the device in 2 s at 10 Hz each."""
    before = int((folder / "exchanges").read_text())

    def read(reader: Any) -> None:
        deadline = hal.Deadline(hal.SYSTEM_CLOCK, 2.0)
        while not deadline.passed:
            _ = reader.laser_temperature
            hal.SYSTEM_CLOCK.wait(0.1)

    with ThreadPoolExecutor(len(readers)) as pool:
        list(pool.map(read, readers))
    hal.SYSTEM_CLOCK.wait(0.3)
    return int((folder / "exchanges").read_text()) - before


def _serve(name: str) -> None:
    """Serve an emulated device until this process is ended, writing down now and then how often it was asked."""
    from tokaido.emulators import launch
    from tokaido.lab.sharing import DeviceServer, Listed, Role

    folder = Path(name)
    with launch("toshiba.transmitter", warm=True) as one, launch("toshiba.transmitter", warm=True) as other:
        station = hal.Station.from_text(
            f"[devices.box]\ndriver = 'toshiba.transmitter'\ncontrol = '{one.resources['control']}'\n"
        )
        with DeviceServer(
            station,
            endpoint="tcp://127.0.0.1:0",
            server_key_file=folder / "server.key_secret",
            clients={
                "ann": Listed(folder / "ann.key", Role.OPERATOR),
                "vic": Listed(folder / "vic.key", Role.VIEWER),
            },
            lease_file=folder / "leases.sqlite",
        ) as server:
            (folder / "exchanges").write_text("0")
            print(server.endpoint, other.resources["control"], flush=True)
            while True:
                (folder / "exchanges.new").write_text(str(server.exchanges("box")))
                (folder / "exchanges.new").replace(folder / "exchanges")  # no reader finds half of it
                hal.SYSTEM_CLOCK.wait(0.1)


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        _serve(sys.argv[2])
    else:
        show(measure())
