from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokaido.hal import ConfigurationError, Resource


@pytest.mark.parametrize(
    ("text", "address", "options"),
    [
        ("serial:/dev/ttyUSB0", "/dev/ttyUSB0", {}),
        (
            "serial:/dev/qkd/TKTX0001?baudrate=9600&parity=E",
            "/dev/qkd/TKTX0001",
            {"baudrate": "9600", "parity": "E"},
        ),
        ("serial:socket://192.0.2.7:4001?timeout=2.5", "socket://192.0.2.7:4001", {"timeout": "2.5"}),
        (
            "serial:rfc2217://lab:2217?ign_set_control&baudrate=9600",
            "rfc2217://lab:2217?ign_set_control",
            {"baudrate": "9600"},
        ),
        ("serial:rfc2217://lab:2217%3Ftimeout=3?timeout=1", "rfc2217://lab:2217?timeout=3", {"timeout": "1"}),
        ("serial:emu://tx1?seed=7&timeout=1", "emu://tx1?seed=7", {"timeout": "1"}),
        (
            "visa:TCPIP::192.0.2.7::5025::SOCKET?timeout=2.5",
            "TCPIP::192.0.2.7::5025::SOCKET",
            {"timeout": "2.5"},
        ),
        (
            "visa:ASRL/dev/qkd/OXC0001::INSTR?baud_rate=38400&flow_control=rts_cts&backend=@ivi",
            "ASRL/dev/qkd/OXC0001::INSTR",
            {"baud_rate": "38400", "flow_control": "rts_cts", "backend": "@ivi"},
        ),
        ("visa:TCPIP::lab::hislip0,4880::INSTR", "TCPIP::lab::hislip0,4880::INSTR", {}),
        ("visa:GPIB0::7::INSTR?backend=/opt/visa.so@ivi", "GPIB0::7::INSTR", {"backend": "/opt/visa.so@ivi"}),
        ("zmq:inproc://tx1", "inproc://tx1", {}),
    ],
)
def test_a_resource_is_parsed_and_said_again(
    text: str, address: str, options: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKAIDO_TRUST_RESOURCES", "1")
    resource = Resource.parse(text)
    assert (resource.address, resource.options) == (address, options)
    assert Resource.parse(str(resource)) == resource


def test_files_lie_beside_the_station_file() -> None:
    text = "zmq:tcp://[2001:db8::7]:5560?server_key_file=alice.key&client_key_file=/etc/a%26b.key_secret"
    resource = Resource.parse(text, base=Path("/srv/lab"))
    assert resource.options == {"server_key_file": "/srv/lab/alice.key", "client_key_file": "/etc/a&b.key_secret"}
    assert Resource.parse(str(resource)) == resource


@pytest.mark.parametrize(
    ("text", "mistakes"),
    [
        ("/dev/ttyUSB0", []),
        ("gpib:7", []),
        ("visa:", ["resource: should be a VISA resource string"]),
        ("visa:192.0.2.7::5025::SOCKET", ["resource: should be a VISA resource string"]),
        ("visa:ASRL", ["resource: names no port"]),
        ("visa:TCPIP::lab::SOCKET?backend=py", ["backend: should be @ and a name", "resource: a socket has a host"]),
        (
            "visa:TCPIP::lab::5025::SOCKET?baud_rate=9600&flow_control=yes",
            ["flow_control: should", "baud_rate: belongs to a serial line", "flow_control: belongs"],
        ),
        ("serial:", ["port: is missing"]),
        ("serial:/dev/ttyUSB0?baudrat=9600", ["baudrat: serial has no such option"]),
        ("serial:socket://lab:4001?speed=3", ["speed: serial has no such option"]),
        ("serial:socket://lab", ["port: a socket has a host and a port"]),
        (
            "serial:/dev/ttyUSB0?baudrate=fast&parity=X&rtscts=yes&timeout=-1&bytesize=&stopbits=1&stopbits=2",
            [
                "baudrate: should",
                "parity: should",
                "rtscts: should",
                "timeout: should",
                "bytesize: has",
                "stopbits: gi",
            ],
        ),
        ("zmq:tcp://*:5560?client_key_file=a", ["endpoint: has no host", "server_key_file: is missing"]),
        (
            "zmq:udp://lab:1?server_key_file=a&client_key_file=b&baudrate=1",
            ["baudrate: zmq has no", "endpoint: should"],
        ),
    ],
)
def test_every_mistake_is_reported_with_its_remedy(text: str, mistakes: list[str]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Resource.parse(text)
    assert len(caught.value.mistakes) == len(mistakes)
    for found, expected in zip(caught.value.mistakes, mistakes, strict=True):
        assert found.startswith(expected)
    assert all(word in str(caught.value) for word in mistakes)


ADDRESS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1)
OWN = st.lists(st.sampled_from(["poll_modem", "timeout=3", "logging=debug", "baudrate=1", "x", ""]), max_size=3)


@given(ADDRESS, ADDRESS, st.sampled_from(["", "emu://", "rfc2217://"]), OWN)
def test_any_address_and_any_file_name_come_back(path: str, file: str, scheme: str, own: list[str]) -> None:
    address = scheme + path.replace("://", "")
    resource = Resource("serial", address + ("?" + "&".join(own) if own else ""), {"timeout": "1"})
    assert Resource.parse(str(resource)) == resource
    keys = Resource("zmq", "ipc:///run/" + path, {"server_key_file": "/" + file.lstrip("/"), "client_key_file": "/b"})
    again = Resource.parse(str(keys))
    assert again.address == keys.address
    assert Path(again.options["server_key_file"]) == Path(keys.options["server_key_file"])


@given(st.text())
def test_no_text_makes_the_parser_raise_anything_but_its_own_error(text: str) -> None:
    for prefix in ("", "serial:", "visa:", "visa:TCPIP::", "zmq:", "serial:socket://", "zmq:tcp://a:1?"):
        try:
            Resource.parse(prefix + text)
        except ConfigurationError:
            continue
