"""Our drivers on every wire end of their emulators, under every fault: the suite that other people run on theirs."""

from __future__ import annotations

from functools import partial
from importlib.metadata import entry_points

from tokaido.emulators import WIRE_ENDS
from tokaido.emulators.conformance import WireFault
from tokaido.emulators.conformance import suite as suite_of
from tokaido_testing import apt
from tokaido_testing.amplifiers import amplifier_only_asks
from tokaido_testing.patience import slowness
from tokaido_testing.repeaters import repeater_only_asks

SERIAL = ("pty", "emu", "asrl")
QUICK = ("emu",)
EIGHT = {"inputs": 8, "outputs": 8}
SOME = tuple(WireFault(kind, "from_unit") for kind in ("drop", "latency", "split"))

WARM = {"warm": True}

suite = partial(suite_of, slowness=slowness, virtual_time=True)

TestTransmitter = suite("toshiba.transmitter", options=WARM, alarm="cover_opened")
TestReceiver = suite("toshiba.receiver", options=WARM, alarm="cover_opened")
TestTimeBinTransmitter = suite("nec.transmitter", options=WARM, alarm="cover_opened")
TestTimeBinReceiver = suite("nec.receiver", options=WARM, alarm="cover_opened")
TestMatrix = suite("polatis.matrix", wire_ends=("tcp", "hislip", "visa"))
TestMatrixOnSerialLines = suite("polatis.matrix", wire_ends=SERIAL, options={"terminator": "\r"})
TestSelector = suite("dicon.selector")
TestOsw = suite("thorlabs.osw")
TestAmplifier = suite("fiberlabs.amplifier", wire_ends=("emu",), is_query=amplifier_only_asks)
TestDetector = suite("idquantique.detector", wire_ends=("emu",))
TestAttenuator = suite("keysight.attenuator", wire_ends=("tcp",))
TestPaddles = suite("thorlabs.mpc", wire_ends=("emu",), is_query=apt.only_asks)
TestTagger = suite("sfifteen.tagger", wire_ends=("emu",))
TestPowerMeter = suite("thorlabs.pm100", wire_ends=("visa",))
TestKeyManagers = suite(
    "etsi014.source", options={"stored": 0}, timeout=0.4, alarm="empty", is_query=lambda text: text.startswith("GET ")
)

TestRepeater = suite("repeater.node", timeout=0.3, is_query=repeater_only_asks)

# their other wire ends, with what their manuals leave open

TestAmplifierOnATerminal = suite(
    "fiberlabs.amplifier", wire_ends=("pty",), options={"blanks": True}, is_query=amplifier_only_asks
)
TestAttenuatorInWatts = suite(
    "keysight.attenuator", wire_ends=("hislip", "visa"), options={"model": "N7751A", "power_unit": "WATT"}
)
TestDetectorOnUsb = suite("idquantique.detector", wire_ends=("visa",), options={"dark_count_rate": 1000.0})
TestPaddlesOnATerminal = suite(
    "thorlabs.mpc", wire_ends=("pty",), options={"completion": "status"}, is_query=apt.only_asks
)
TestTwoPaddles = suite(
    "thorlabs.mpc",
    wire_ends=QUICK,
    faults=SOME[:1],
    options={"model": "MPC220", "completion": "short"},
    is_query=apt.only_asks,
)
TestPowerMeterInDbm = suite(
    "thorlabs.pm100", wire_ends=("tcp", "pty", "emu"), options={"model": "PM103E", "power_unit": "DBM"}
)

TestRepeaterUnderCurve = suite_of(
    "repeater.node", options={"speed": 20.0}, timeout=0.4, slowness=slowness, is_query=repeater_only_asks
)

# other boxes of a family

TestTimeBinReceiverWithPhotodiodes = suite(
    "nec.receiver", wire_ends=("visa",), faults=SOME, options=WARM | {"detectors": "avalanche"}, keys=False
)
TestTimeBinTransmitterOfOneSubChannel = suite(
    "nec.transmitter",
    wire_ends=("hislip",),
    faults=SOME,
    options=WARM | {"sub_channels": 1, "hislip_profile": "strict"},
    keys=False,
)

# what the manuals leave open

TestMatrixThatSteals = suite(
    "polatis.matrix",
    wire_ends=QUICK,
    faults=SOME,
    options={"terminator": "\r", "on_conflict": "steal", "unconnected": "0", "product": "I-OST-8x8-LU1"} | EIGHT,
)
TestSelectorThatComplains = suite(
    "dicon.selector", wire_ends=QUICK, faults=SOME, options={"error_reply": "ERROR", "channel_0": False, "channels": 4}
)
TestOswThatIsLate = suite(
    "thorlabs.osw", wire_ends=QUICK, faults=SOME, options={"stale": "time", "model": "OSW22-1310E"}
)
TestOswThatIsQuick = suite("thorlabs.osw", wire_ends=QUICK, faults=SOME, options={"stale": "never"})


IN_VIRTUAL_TIME_ALONE = {("idquantique.detector", "pty"), ("sfifteen.tagger", "pty")}
"""Counting takes as long as it takes: up to 10 s a test on a port of the kernel, whose time is real."""


def test_every_driver_of_ours_meets_every_fault_at_every_wire_end_that_it_takes() -> None:
    plans = [one.plan for name, one in globals().items() if name.startswith("Test")]
    met = {(plan.driver, end, fault) for plan in plans for end in plan.wire_ends for fault in plan.faults}
    ours = [entry.name for entry in entry_points(group="tokaido.drivers") if entry.value.startswith("tokaido.drivers.")]
    asked = [suite(name).plan for name in ours]
    due = {(plan.driver, end, fault) for plan in asked for end in plan.wire_ends for fault in plan.faults}
    assert {one for one in due if one[:2] not in IN_VIRTUAL_TIME_ALONE} <= met
    assert len({end for _, end, _ in met}) == len(WIRE_ENDS)
