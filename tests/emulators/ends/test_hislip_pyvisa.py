"""The HiSLIP server and pyvisa-py's client, which nobody here wrote."""

from __future__ import annotations

from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Any

import pytest
from pyvisa_py.protocols import hislip  # type: ignore[import-untyped]  # pyright: ignore[reportMissingTypeStubs]

from tokaido_testing.hislip import Rig
from tokaido_testing.voa import IDENTITY, hislip_port, launch_voa

if TYPE_CHECKING:
    from tokaido.emulators.ends.hislip import Profile

every_profile = pytest.mark.parametrize("profile", ["strict", "lenient"])


def connect(port: int) -> Any:
    return closing(hislip.Instrument("127.0.0.1", timeout=2, port=port))


def ask(client: Any, question: bytes) -> bytes:
    client.send(question)
    return bytes(client.receive(1 << 16))


@every_profile
def test_every_transaction_of_pyvisa_py_works(profile: Profile) -> None:
    with Rig(profile=profile) as rig, connect(rig.server.port) as one, connect(rig.server.port) as two:
        assert one.max_msg_size == 1 << 20
        one.max_msg_size = 1000  # the server's responses come in pieces of that
        assert ask(one, b"name?\n") == b"NAME?\n"
        assert ask(one, b"long" * 3000 + b"?\n") == b"LONG" * 3000 + b"?\n"
        for control in hislip.REMOTELOCALCONTROLCODE:
            one.async_remote_local_control(control)
        assert rig.instrument.panel_requests == list(range(7))

        assert one.async_lock_request(0) == "success"
        assert one.async_lock_info() == 1
        assert two.async_lock_request(0.02) == "failure"
        assert two.async_lock_request(0.02, "team") == "failure"
        assert ask(one, b"name?\n") == b"NAME?\n"
        assert one.async_lock_release() == "success"
        assert one.async_lock_request(0, "team") == "success"
        assert two.async_lock_request(0, "team") == "success"
        assert one.async_lock_release() == "success shared"
        assert two.async_lock_info() == 0

        one.error("Unidentified error")
        two.trigger()
        assert bytes(two.receive()) == b"triggered\n"
        two.async_status_query()
        two.device_clear()
        assert ask(two, b"name?\n") == b"NAME?\n"
        assert two.async_lock_release() == "success shared"  # else the error would wait (2.6.1)
        one.fatal_error("Unidentified error")
        rig.until(lambda: len(rig.server.sessions) == 1)
        assert ask(two, b"name?\n") == b"NAME?\n"
        assert rig.instrument.faults == []


@every_profile
def test_one_pyvisa_py_client_clears_and_the_other_reads_on(profile: Profile) -> None:
    with ExitStack() as opened:
        port = hislip_port(opened.enter_context(launch_voa("hislip", hislip_profile=profile)))
        one, two = (opened.enter_context(connect(port)) for _ in range(2))
        for attenuation in (3, 4):
            one.send(b"INP:ATT %d;*OPC?;:INP:ATT?\n" % attenuation)
            two.async_device_clear()
            two.device_clear_complete(0)
            two._message_id = 0xFFFFFF00
            assert bytes(one.receive()) == b"1;%d.00\n" % attenuation
            assert ask(two, b"*IDN?\n") == f"{IDENTITY}\n".encode()
