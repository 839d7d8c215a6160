"""Which wire end a resource asks for, and the resource that leads to a wire end."""

from __future__ import annotations

import itertools
import shutil
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from tokaido.hal import ConfigurationError, Resource

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import ExitStack

    from tokaido.emulators._model import DeviceModel
    from tokaido.emulators.certificates import CertificateAuthority
    from tokaido.emulators.ends import (
        HislipEnd,
        HttpsEnd,
        InProcessEnd,
        InProcessMessages,
        PtyEnd,
        SharedModel,
        TcpEnd,
        ZmqEnd,
    )

    ControlEnd = PtyEnd | TcpEnd | HislipEnd | InProcessEnd | HttpsEnd | ZmqEnd | InProcessMessages

WIRE_ENDS: Final = ("pty", "emu", "tcp", "hislip", "visa", "asrl", "https", "zmq")
"""What can carry a control port.

| name | what it is | resource |
|---|---|---|
| `pty` | a pseudo-terminal | `serial:/path` |
| `emu` | a serial port within the process | `serial:emu://NAME` |
| `tcp` | a raw TCP socket on the loopback interface | `visa:TCPIP::127.0.0.1::PORT::SOCKET` |
| `hislip` | HiSLIP on the loopback interface | `visa:TCPIP::127.0.0.1::hislip0,PORT::INSTR` |
| `visa` | an instrument within the process | `visa:TCPIP::NAME::INSTR?backend=@tokaido` |
| `asrl` | a pseudo-terminal, reached through VISA | `visa:ASRL/path::INSTR` |
| `https` | an HTTPS server under mutual TLS on the loopback interface | `https://127.0.0.1:PORT?...` |
| `zmq` | a ZeroMQ socket under CURVE on the loopback interface | `zmq:tcp://127.0.0.1:PORT?...` |
"""
PLAIN: Final = ("tcp", "hislip", "visa", "asrl")
"""Ends that instruments have; a device with a key channel has one of them only if its contract says so."""
WITHIN: Final = ("emu", "visa", "zmq")
"""Ends that a stepped clock can have within the process, without a thread."""
_numbers = itertools.count(2)


@dataclass(frozen=True, slots=True)
class Plug:
    """What a wire end is made of."""

    shared: SharedModel
    directory: Path
    stack: ExitStack
    pace_baud: int | None
    hislip_profile: Any
    common: dict[str, Any]
    """Faults, clock and impostor."""
    authorities: list[CertificateAuthority] = field(default_factory=list)
    """The authority of the certificates, once it was needed."""

    def certificates(self) -> CertificateAuthority:
        """Return the authority of the emulator's certificates, in a folder of mode 0700."""
        from tokaido.emulators.certificates import CertificateAuthority  # noqa: PLC0415 - OpenSSL takes 50 ms

        if not self.authorities:
            folder = self.directory / f"{self.shared.model.serial_number}-tls"
            if folder.exists():
                raise ConfigurationError(f"{folder} is there already; another emulation may run")
            self.stack.callback(shutil.rmtree, folder, ignore_errors=True)
            self.authorities.append(CertificateAuthority(folder))
        return self.authorities[0]


def allowed_ends(model: DeviceModel | type[DeviceModel]) -> list[str]:
    """Return the wire ends that the control port of a model may be on; plain ones only as its contract allows."""
    plain = model.plain_control or "keys" not in model.MESSAGE_PORTS
    return [name for name in model.wire_ends if name not in PLAIN or plain]


def choose_end(model: DeviceModel, wire_end: str | None, place: str | None, *, threads: bool = True) -> str:
    """Return the wire end of a model's control port: the one that was named, the one of the place, or its usual one.

    Without `threads` it is one within the process.

    Raises:
        ConfigurationError: It has no such end, or the place is at another one.
    """
    there = None if place is None else end_of(Resource.parse(place))
    fitting = [name for name in model.wire_ends if threads or name in WITHIN]
    end = wire_end or there or (fitting or model.wire_ends)[0]
    known = allowed_ends(model)
    if end not in known:
        raise ConfigurationError(
            f"{type(model).__name__} has no wire end {end!r}", remedy=f"Choose one of: {', '.join(known)}"
        )
    if not threads and end not in WITHIN:
        raise ConfigurationError(
            f"the wire end {end!r} takes a thread, and a stepped clock has one",
            remedy=f"Choose one of: {', '.join(fitting) or 'none'}",
        )
    if there is not None and there != end:
        raise ConfigurationError(f"{place} is not a place for the wire end {end!r}", remedy=f"Take {there!r}")
    return end


def end_of(resource: Resource) -> str:
    """Return the wire end that a control resource leads to.

    Raises:
        ConfigurationError: There is none that does.
    """
    address = resource.address
    if resource.kind == "serial":
        scheme, mark, _ = address.partition("://")
        if not mark:
            return "pty"
        if scheme in ("emu", "socket"):
            return {"emu": "emu", "socket": "tcp"}[scheme]
    elif resource.kind in ("https", "zmq"):
        return resource.kind
    elif resource.kind == "visa":
        if resource.options.get("backend", "").endswith("@tokaido"):
            return "visa"
        if address.upper().startswith("ASRL"):
            return "asrl"
        if address.upper().endswith("::SOCKET"):
            return "tcp"
        if "hislip" in address.lower():
            return "hislip"
    raise ConfigurationError(
        f"no emulated device can be at {resource}",
        remedy="Take serial:/path, serial:emu://NAME, visa:TCPIP::127.0.0.1::PORT::SOCKET, visa:ASRL/path::INSTR, "
        "visa:TCPIP::127.0.0.1::hislip0,PORT::INSTR or visa:TCPIP::NAME::INSTR?backend=@tokaido",
    )


def make_end(kind: str, plug: Plug, place: str | None) -> tuple[ControlEnd, Callable[[], str]]:
    """Return a wire end, not started yet, and what tells its resource once it is.

    Raises:
        ConfigurationError: It cannot be at the place.
    """
    resource = None if place is None else Resource.parse(place)
    make = {"pty": _pty, "asrl": _pty, "emu": _emu, "tcp": _tcp, "hislip": _hislip, "visa": _visa, "https": _https}[
        kind
    ]
    end, tell = make(kind, plug, resource)
    return end, tell if place is None else lambda: place


def _serial_name(plug: Plug) -> str:
    return plug.shared.model.serial_number


def _pty(kind: str, plug: Plug, resource: Resource | None) -> tuple[ControlEnd, Callable[[], str]]:
    from tokaido.emulators.ends import PtyEnd  # noqa: PLC0415 - each end is loaded when it is needed

    if resource is None:
        link = plug.directory / _serial_name(plug)
    else:
        address = resource.address[4:].partition("::")[0] if kind == "asrl" else resource.address
        link = Path(address).expanduser().absolute()
        make_room(link, plug.stack)
    end = PtyEnd(plug.shared, link, pace_baud=plug.pace_baud, **plug.common)
    baud = plug.shared.model.BAUD_RATE
    text = quote(str(link))
    return (
        end,
        lambda: f"visa:ASRL{text}::INSTR?baud_rate={baud}" if kind == "asrl" else f"serial:{text}?baudrate={baud}",
    )


def make_room(link: Path, stack: ExitStack) -> None:
    """Make the folder of a link if it is absent, and remove it at the end.

    Raises:
        ConfigurationError: The place is taken, or cannot be made.
    """
    if is_taken(link):
        raise ConfigurationError(
            f"{link} is there already; another emulation may run", remedy="Remove it, if none does"
        )
    try:
        if not link.parent.exists():
            link.parent.mkdir(parents=True)
            stack.callback(_remove_folder, link.parent)
    except OSError as error:
        raise ConfigurationError(f"{link} cannot be made: {error.strerror}") from error


def is_taken(link: Path) -> bool:
    """Whether something stands where a link is to be; a link to a terminal that is gone is an emulation's that died."""
    if link.is_symlink() and not link.exists():
        return not str(link.readlink()).startswith("/dev/pts/")
    return link.exists()


def _remove_folder(folder: Path) -> None:
    with suppress(OSError):  # somebody keeps something in it
        folder.rmdir()


def _emu(_: str, plug: Plug, resource: Resource | None) -> tuple[ControlEnd, Callable[[], str]]:
    import serial  # noqa: PLC0415 - when first needed

    from tokaido.emulators.ends import (  # noqa: PLC0415
        InProcessEnd,
        find_in_process,
        urlhandler,
    )

    if urlhandler.__name__ not in serial.protocol_handler_packages:
        serial.protocol_handler_packages.append(urlhandler.__name__)
    if resource is None:
        name = f"emu://{_serial_name(plug)}"
        while find_in_process(name) is not None:
            name = f"emu://{_serial_name(plug)}-{next(_numbers)}"
    else:
        name = resource.address.rstrip("/")
    baud = plug.shared.model.BAUD_RATE
    end = InProcessEnd(plug.shared, name, pace_baud=plug.pace_baud, **plug.common)
    return end, lambda: f"serial:{quote(name, safe=':/')}?baudrate={baud}"


def _tcp(_: str, plug: Plug, resource: Resource | None) -> tuple[ControlEnd, Callable[[], str]]:
    from tokaido.emulators.ends import TcpEnd  # noqa: PLC0415

    port = 0
    if resource is not None:
        parts = resource.address.removeprefix("socket://").rstrip("/").split("::")
        host, _, number = parts[0].rpartition(":") if len(parts) == 1 else (parts[1], "", parts[2])
        port = _loopback(host, number, resource)
    end = TcpEnd(plug.shared, port, **plug.common)
    return end, lambda: f"visa:TCPIP::127.0.0.1::{end.port}::SOCKET"


def _hislip(_: str, plug: Plug, resource: Resource | None) -> tuple[ControlEnd, Callable[[], str]]:
    from tokaido.emulators.ends import HislipEnd  # noqa: PLC0415

    port = 0
    if resource is not None:
        parts = resource.address.split("::")
        port = _loopback(parts[1], parts[2].partition(",")[2] or "4880", resource)
    end = HislipEnd(plug.shared, port, profile=plug.hislip_profile, **plug.common)
    return end, lambda: f"visa:TCPIP::127.0.0.1::hislip0,{end.port}::INSTR"


def _loopback(host: str, port: str, resource: Resource) -> int:
    """Return the port of a listener without TLS, which nobody outside this machine may reach."""
    if host not in ("127.0.0.1", "localhost") or not port.isdigit():
        raise ConfigurationError(f"{resource} is not on the loopback interface", remedy="Take 127.0.0.1 and a port")
    return int(port)


def _visa(_: str, plug: Plug, resource: Resource | None) -> tuple[ControlEnd, Callable[[], str]]:
    from pyvisa.rname import InvalidResourceName, ResourceName  # noqa: PLC0415 - 100 ms

    from tokaido.emulators.ends import (  # noqa: PLC0415
        VISA_SCHEME,
        InProcessEnd,
        find_in_process,
    )

    if resource is None:
        address = f"TCPIP::{_serial_name(plug)}::INSTR"
        while find_in_process(f"{VISA_SCHEME}{ResourceName.from_string(address)}") is not None:
            address = f"TCPIP::{_serial_name(plug)}-{next(_numbers)}::INSTR"
    else:
        address = resource.address
    try:
        name = str(ResourceName.from_string(address))
    except InvalidResourceName as error:
        raise ConfigurationError(f"{address!r} is not a VISA resource name") from error
    end = InProcessEnd(plug.shared, f"{VISA_SCHEME}{name}", **plug.common)
    return end, lambda: f"visa:{address}?backend=@tokaido"


def _https(_: str, plug: Plug, resource: Resource | None) -> tuple[ControlEnd, Callable[[], str]]:
    if resource is not None:
        raise ConfigurationError(
            f"an emulated HTTPS server cannot be at {resource}, whose certificates are not its own",
            remedy="Leave the place out, and take the emulator's resources",
        )
    return https_end(plug, 0)


def https_end(plug: Plug, index: int) -> tuple[HttpsEnd, Callable[[], str]]:
    """Return the wire end of one of a model's servers, and what tells its resource once it is started."""
    from tokaido.emulators._https_model import HttpsModel  # noqa: PLC0415 - when first needed
    from tokaido.emulators.ends import HttpsEnd  # noqa: PLC0415

    model = plug.shared.model
    if not isinstance(model, HttpsModel):
        raise ConfigurationError(f"{type(model).__name__} is not an HTTPS server")
    server = model.SERVERS[index]
    authority = plug.certificates()
    client = authority.issue(f"{server}-client", common_name=model.clients[server])
    end = HttpsEnd(plug.shared, server, authority.issue(f"{server}-server"), **plug.common)
    files = {"cert_file": client.certificate, "key_file": client.key, "ca_file": client.authority}

    def tell() -> str:
        options = "&".join(f"{name}={quote(str(file))}" for name, file in files.items())
        return f"https://127.0.0.1:{end.port}?{model.query(server)}&{options}"

    return end, tell
