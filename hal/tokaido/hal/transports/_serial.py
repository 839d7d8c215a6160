"""Serial ports, and whatever else pyserial opens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tokaido.hal.transports._consent import complaints_about_url
from tokaido.hal.transports._kinds import LINE_END, MODEM_OPTIONS, Option, TransportKind, is_port
from tokaido.hal.transports._ports import Port, open_port
from tokaido.hal.transports._stream import StreamTransport

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokaido.hal._clock import Deadline


class SerialTransport(StreamTransport):
    """A stream over a serial port, or over what a pyserial URL names. The port is taken for one owner only."""

    def _dial(self, deadline: Deadline) -> Port:
        return open_port(self.resource, deadline)


# --- its resources --------------------------------------------------------------------------------------------------


def _check_serial(address: str, options: Mapping[str, str]) -> list[str]:
    if not address:
        return ["port: is missing; for example serial:/dev/ttyUSB0"]
    if "rts" in options and options.get("rtscts") == "1":
        return ["rts: the flow control moves that line (rtscts=1); leave one of both out"]
    if address.startswith("socket://"):
        mistakes = [f"{key}: belongs to a serial line, and this is a socket" for key in MODEM_OPTIONS if key in options]
        host, _, port = address.removeprefix("socket://").partition("?")[0].rstrip("/").rpartition(":")
        if not host or not is_port(port):
            mistakes.append("port: a socket has a host and a port; for example serial:socket://192.0.2.7:4001")
        return mistakes
    return complaints_about_url(address)


def _belongs_to_url(address: str, key: str) -> bool:
    scheme, mark, _ = address.partition("://")
    own = _URL_OPTIONS.get(scheme) if mark else frozenset[str]()
    return own is None or key in own


def _serial_line(address: str, settings: Mapping[str, str]) -> dict[str, str] | None:
    return None if address.startswith("socket://") else dict(settings)


# What pyserial's own URLs understand; of the URLs of others nothing is known.
_URL_OPTIONS: Final = {
    "socket": frozenset({"logging"}),
    "rfc2217": frozenset({"logging", "ign_set_control", "poll_modem", "timeout"}),
    "loop": frozenset({"logging"}),
    "spy": frozenset({"file", "color", "raw", "all"}),
    "alt": frozenset({"class"}),
    "hwgrep": frozenset({"n", "skip_busy"}),
}

KIND: Final = TransportKind(
    name="serial",
    stream=SerialTransport,
    options={
        "baudrate": Option.whole_number("115200"),
        "bytesize": Option.one_of("5", "6", "7", "8", example="8"),
        "parity": Option.one_of("N", "E", "O", "M", "S", example="N"),
        "stopbits": Option.one_of("1", "1.5", "2", example="1"),
        "rtscts": Option.one_of("0", "1", example="1"),
        "line_end": LINE_END,
        **MODEM_OPTIONS,
    },
    check=_check_serial,
    keeps=_belongs_to_url,
    serial_line=_serial_line,
)
