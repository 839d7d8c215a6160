"""The commands `serve` and `holders`: devices that several programs use."""

from __future__ import annotations

from typing import TYPE_CHECKING

import tokaido.hal as hal
from tokaido.console._output import print_json, print_table, tell, try_to_tell
from tokaido.console._signals import stand_by, terminated_as_interrupt

if TYPE_CHECKING:
    from pathlib import Path

    from tokaido.hal.sharing import HeldDevice


def serve(path: Path, endpoint: str, seconds: float | None, *, as_json: bool) -> None:
    """Serve the devices of a station file until Ctrl-C, SIGTERM or SIGHUP, or for `seconds`.

    Raises:
        ConfigurationError: With every mistake in the file; nothing was started.
        NotConnectedError: The endpoint cannot be bound.
    """
    from tokaido.lab.sharing import server_of  # noqa: PLC0415 - ZeroMQ, when first needed

    station = hal.Station.from_file(path)
    with terminated_as_interrupt():
        try:
            with server_of(station, endpoint=endpoint) as server:
                told = [f"station {station.name} is served at {server.endpoint}"]
                told += [f"not served: {name}: {why}" for name, why in server.why_not.items()]
                told += ["Ctrl-C ends it; the devices stay as they are"]
                facts = {"event": "served", "station": station.name, "endpoint": server.endpoint}
                tell("\n".join(told), {**facts, "not_served": dict(server.why_not)}, as_json=as_json)
                stand_by(seconds)
        except KeyboardInterrupt:
            pass
    try_to_tell("ended; the devices are as they were", {"event": "ended"}, as_json=as_json)


def holders(server: str, *, as_json: bool) -> None:
    """Tell which devices a server has, and who holds them.

    Raises:
        TransportError: It could not be asked.
    """
    with hal.Station.connect(server) as station:
        held = {one.device: one for one in station.holders()}
        if as_json:
            print_json(
                {
                    "station": station.name,
                    "devices": list(station.devices),
                    "not_served": station.why_not,
                    "holders": [_record(one) for one in held.values()],
                }
            )
            return
        rows: list[list[str]] = []
        for name, entry in station.devices.items():
            one = held.get(name)
            told = [] if one is None else [f"{one.name} ({one.who})", one.why, f"{one.remaining_s:.0f} s"]
            rows.append([name, entry.driver, *(told or ["", "", ""])])
        rows += [[name, "", "not served", why, ""] for name, why in station.why_not.items()]
        print_table(["device", "driver", "held by", "what for", "still"], rows)


def _record(held: HeldDevice) -> dict[str, object]:
    return {name: getattr(held, name) for name in held.__struct_fields__}
