"""The command `epics`: a station's values as PVs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import tokaido.hal as hal
from tokaido.console._output import tell, try_to_tell
from tokaido.console._signals import stand_by, terminated_as_interrupt

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def publish(
    path: Path,
    *,
    insecure: bool,
    interface: str,
    port: int,
    search_port: int,
    prefix: str,
    writable: Sequence[str],
    period_s: float,
    seconds: float | None,
    as_json: bool,
) -> None:
    """Publish the values of a station until Ctrl-C, SIGTERM or SIGHUP, or for `seconds`.

    Raises:
        ConfigurationError: With every mistake in the file or the options, or p4p is not installed.
        NotConnectedError: The address or the port cannot be bound.
    """
    try:
        from tokaido.lab.epics import PvServer  # noqa: PLC0415 - p4p, when first needed
    except ImportError as error:
        raise hal.ConfigurationError(
            "PVs need p4p, which is not installed", remedy="Install it with: pip install 'tokaido[epics]'"
        ) from error
    with terminated_as_interrupt(), hal.Station.from_file(path) as station:
        station.on_exit = "keep"  # no command of ours changes anything on leaving
        try:
            with PvServer(
                station,
                insecure_pvaccess=insecure,
                interface=interface,
                port=port,
                search_port=search_port,
                prefix=prefix,
                writable=writable,
                period_s=period_s,
            ) as server:
                told = [f"station {station.name} is published as {server.prefix}:DEVICE:VALUE at {server.endpoint}"]
                told += [f"writable: {', '.join(writable) or 'nothing'}"]
                told += ["pvAccess neither encrypts nor proves who asks; Ctrl-C ends it"]
                facts: dict[str, object] = {"event": "published", "station": station.name, "prefix": server.prefix}
                facts |= {"endpoint": server.endpoint, "writable": list(writable)}
                tell("\n".join(told), facts, as_json=as_json)
                stand_by(seconds)
        except KeyboardInterrupt:
            pass
    try_to_tell("ended; the devices are as they were", {"event": "ended"}, as_json=as_json)
