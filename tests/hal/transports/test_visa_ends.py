"""VISA sessions with the wire ends of the emulators: a HiSLIP server of both profiles, and the in-process library."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tokaido import emulators
from tokaido.hal import DeviceTimeoutError, RefusedError, Resource
from tokaido.hal.transports import ScpiCodec, VisaTransport, drain_errors
from tokaido_testing.patience import patient

ENDS = [
    ("hislip", "lenient", ""),
    ("hislip", "strict", ""),
    ("tcp", "lenient", ""),
    ("visa", "lenient", ""),
    ("visa", "lenient", "visa:TCPIP::oxc::5025::SOCKET?backend=@tokaido"),
    ("visa", "lenient", "visa:ASRL7::INSTR?backend=@tokaido"),
]


@pytest.mark.parametrize(("end", "profile", "name"), ENDS)
def test_one_switch_on_every_end_answers_refuses_and_recovers(end: str, profile: str, name: str) -> None:
    with (
        emulators.launch(
            "polatis.matrix",
            wire_end=end,
            hislip_profile="strict" if profile == "strict" else "lenient",
            resources={"control": name} if name else None,
        ) as switch,
        VisaTransport(Resource.parse(switch.resources["control"]), ScpiCodec(), timeout_s=patient(0.5)) as transport,
    ):
        for _ in range(3):
            assert "16x16" in transport.query("*IDN?")
            assert transport.command(":OXC:SWIT:CONN:ONLY (@1),(@25)") == ""
            with pytest.raises(RefusedError) as caught:
                transport.command(":OXC:SWIT:CONN:ADD (@1),(@99)")
            assert caught.value.code == "-222"
            with pytest.raises(DeviceTimeoutError):
                transport.query("NO:SUCH?", 0.1)
            assert [code for code, _ in drain_errors(transport)] == [-113]
            assert transport.query(":OXC:SWIT:CONN:STAT?") == "(@1),(@25)"


def test_a_program_that_leaves_a_device_open_ends() -> None:
    program = (
        "import tokaido.hal as hal\n"
        "from tokaido.emulators import launch\n"
        "emulator = launch('keysight.attenuator', wire_end='visa')\n"
        "voa = hal.VariableAttenuator.open('keysight.attenuator', **emulator.resources)\n"
        "print(voa.attenuation)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stdout) == (0, "0.0\n"), done.stderr
