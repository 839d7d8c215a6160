"""Whatever a device says to whatever is asked: a value of the declared kind, or an error of ours, with every driver."""

from __future__ import annotations

import dataclasses
import inspect
import math
import zlib
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

import tokaido.hal as hal
from tokaido.emulators import launch
from tokaido.hal.driver import Request
from tokaido.hal.transports import HttpMessage, HttpsTransport, LateRequest, ZmqTransport

if TYPE_CHECKING:
    from tokaido.hal.driver import Measured, Query, Valued

DRIVERS = [entry.name for entry in hal.drivers() if entry.distribution == "tokaido"]
NO_NUMBERS = (
    "inf",
    "-inf",
    "nan",
    "NaN",
    "Infinity",
    "1e999",
    "-1e999",
    "9" * 400,
    "",
    " ",
    "x",
    "1.2.3",
    "0x10",
    "--1",
)
ODD = (
    *("-1", "0", "1.5", "1e300", "9" * 5000, "٣", "1@inf", "1@nan", "1@-1", "1@1e999", "1@", "@", ",", ",,,", ";", '"'),
    *('""', '"-', "()", "(@)", "(@1)", "(@1),(@999)", "(@1:999999999)", "(@1),(@1)", "(inf)", "(D)", "=", "A=", "=1"),
    *("A=!", "A=1@inf", "0,inf", "0,A,B", "0,LOS,MAJOR,inf,0", "0,LOS,MAJOR,1,2", "0,LOS,X,1,0", "inf,LOS,MAJOR,1,0"),
    *(
        "3,3,RAISED,LOS,MAJOR,x",
        "3,inf,RAISED,LOS,MAJOR,x",
        "3,3,X,LOS,MAJOR,x",
        "1,2,3",
        "10,nan",
        "10,-1",
        "60,1e999",
    ),
    *("P,path,inf", "P,path,-1", "P,path,1.5", "a,b,c,d", "a,b,c,d,e", ",,,,", "24,24", "999999999,999999999", "0,0"),
    *(
        "\0",
        "\x7f",
        "ERR",
        "OK",
        "x" * 2000,
        "1," * 900,
        "%s%n",
        "{}",
        "None",
        f"A,{'9' * 5000}",
        f"{'9' * 5000},{'9' * 5000}",
        "True",
        "NO_DATA",
        "!NO_DATA",
    ),
)
NOT_CALLED = {
    "close",
    "wait_for",
    "telemetry_stream",
    "key_blocks",
    "load_preshared_key",
    "find",
    "no_such_value",
    "open",
}
ARGUMENTS: Mapping[str, Callable[[hal.Device], tuple[Any, ...]]] = {
    "peer": lambda _: (hal.SwitchPort(hal.Side.INPUT, 1),),
    "set_port_enabled": lambda _: (hal.SwitchPort(hal.Side.INPUT, 1), True),
    "set_boot_mode": lambda _: (hal.BootMode.DARK,),
    "connect": lambda _: (1, 1),
    "disconnect": lambda _: (1,),
    "fetch_block": lambda _: (("00000000-0000-4000-8000-000000000000",),),
    "replace": lambda _: ({1: 1},),
    "select_link": lambda _: ("P", "path"),
    "set_watchdog": lambda _: (10,),
    "zeroize": lambda _: ("TK",),
}


@pytest.fixture(params=DRIVERS)
def device(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[hal.Device]:
    """A device that was opened in order."""
    with launch(request.param) as emulator, hal.Device.open(request.param, timeout=2.0, **emulator.resources) as device:
        monkeypatch.setattr(type(device), "settle_timeout", 0.0, raising=False)  # nothing settles here
        monkeypatch.setattr(type(device), "zero_timeout", 0.0, raising=False)
        yield device


def let_say(device: hal.Device, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Let the device answer `text` to everything, inside the envelope of its protocol."""
    transport: Any = device.transport
    if isinstance(transport, HttpsTransport):
        said = HttpMessage("200", text.encode(), "application/json")
        monkeypatch.setattr(transport, "exchange", lambda request, _=None: transport._judge(request, said))
        return
    if isinstance(transport, ZmqTransport):  # TRN1: id, check and a map
        content = msgspec.msgpack.encode({"ok": True, "value": text, "age_s": 0.0})

        def reply(request: LateRequest[list[bytes], Any], _: float | None = None) -> Any:
            identifier = request.write()[0][:8]
            check = zlib.crc32(identifier + content, zlib.crc32(b"<")).to_bytes(4, "big")
            return transport._judge(request, [identifier + check + content])

        monkeypatch.setattr(transport, "exchange", reply)
        return

    class Plain:
        """A codec whose frames are what is said."""

        serial_number = ""
        events = transport.codec

        def request(self, asked: str, *, repeatable: bool) -> Request[bytes, str]:
            return Request(asked, b"", lambda frame: frame.decode(), repeatable=repeatable)

        def unsolicited(self, frame: bytes) -> None: ...

    def exchange(request: Request[bytes, Any], _: float | None = None) -> Any:
        return transport._judge(request, text.encode())

    monkeypatch.setattr(transport, "exchange", exchange)
    monkeypatch.setattr(transport, "codec", Plain())


def finite(value: object) -> bool:
    """Return whether nothing in a value is a number that is none."""
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, Mapping):
        return all(finite(key) and finite(item) for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return all(map(finite, value))
    if dataclasses.is_dataclass(value):
        return all(finite(getattr(value, field.name)) for field in dataclasses.fields(value))
    return True


def calls(device: hal.Device) -> Iterator[tuple[str, Callable[[], object]]]:
    """Yield everything that can be asked of a device or ordered, by name."""
    yield "opening", device._greet  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    for path in device.value_paths():
        if "[" in path and "[0]" not in path:
            continue  # the parts of a kind share their declarations
        owner, value = device.find(path)
        yield path, partial(read, owner, value)
        if value.writable:
            yield f"{path} = ...", partial(owner.write, value, allowed(value))  # type: ignore[arg-type]
    for name, query in device.queries().items():
        yield name, partial(ask, device, query)
    if isinstance(device, (hal.Transmitter, hal.Receiver)):
        yield "wait_for", lambda: device.wait_for(hal.UnitState.RUN, timeout=0)
    for name in sorted(set(dir(type(device))) - NOT_CALLED):
        member = inspect.getattr_static(type(device), name)
        if name.startswith("_") or not inspect.isfunction(member):
            continue
        needed = [
            one
            for one in list(inspect.signature(member).parameters.values())[1:]
            if one.default is one.empty and one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)
        ]
        if name in ARGUMENTS:
            yield name, partial(getattr(device, name), *ARGUMENTS[name](device))
        elif not needed:
            yield name, getattr(device, name)


def read(owner: Valued, value: Measured[Any]) -> object:
    return of_kind(value, owner.read(value))


def ask(owner: Valued, query: Query[Any]) -> object:
    return of_kind(query, owner.ask(query))


def of_kind(declared: Measured[Any] | Query[Any], value: object) -> object:
    assert isinstance(value, declared.kind), f"{declared.name} is a {type(value).__name__}"
    return value


def allowed(value: Measured[Any]) -> Any:
    """Return something that a setting takes."""
    if value.kind in (int, float):
        return value.kind(value.range[0] if value.range else 1)
    return next(iter(value.kind)) if issubclass(value.kind, Enum) else value.kind()


def test_it_is_a_value_of_the_declared_kind_or_an_error_of_ours(
    device: hal.Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    foreign: list[str] = []
    for text in (*NO_NUMBERS, *ODD):
        for name, call in calls(device):
            with monkeypatch.context() as patch:
                let_say(device, patch, text)
                try:
                    value = call()
                except hal.TokaidoError:
                    continue
                except Exception as error:  # noqa: BLE001 - all of them are listed
                    foreign.append(f"{name} of {text[:40]!r}: {error!r}"[:300])
                    continue
            if not finite(value):
                foreign.append(f"{name} of {text[:40]!r}: {value!r}"[:300])
            if text in NO_NUMBERS and isinstance(value, (int, float)) and not isinstance(value, bool):
                foreign.append(f"{name} took {text!r} for {value!r}")
    assert foreign == []


@pytest.mark.parametrize(
    ("name", "report"),
    [
        ("toshiba.transmitter", "LAS:POW=-0.5@{age} VOA:ATT=35 LAS:TEMP={number}"),
        ("nec.transmitter", "FETC:TEMP:LAS,{number},0,FETC:POW,-0.5,{age},SOUR:ATT,35,0"),
    ],
)
@pytest.mark.parametrize("bad", [*NO_NUMBERS, "-1"])
def test_one_bad_age_or_number_in_a_report_spoils_no_other(
    monkeypatch: pytest.MonkeyPatch, name: str, report: str, bad: str
) -> None:
    with launch(name) as emulator, hal.Transmitter.open(name, timeout=2.0, **emulator.resources) as tx:
        let_say(tx, monkeypatch, report.format(age=bad.strip() or "x", number="nan"))
        readings = tx.telemetry()
    assert readings["attenuation"].quality is hal.Quality.GOOD
    assert [path for path, one in readings.items() if one.quality is not hal.Quality.BAD] == ["attenuation"]
