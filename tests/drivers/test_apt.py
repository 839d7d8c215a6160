"""APT messages as the driver writes and reads them, on a stream where each frame tells its own length."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tokaido.hal as hal
from tokaido.drivers.thorlabs._apt import AptCodec
from tokaido.emulators import launch
from tokaido.hal.driver import NOT_MINE, StreamTransport

STATUS_1 = bytes.fromhex("91 04 0e 00 81 50") + struct.pack("<HiHhI", 1, 685, 0, 0, 0x8000_0000)


def test_a_question_and_an_order_are_the_bytes_of_the_page() -> None:
    codec = AptCodec()
    assert codec.request("HW_REQ_INFO", repeatable=True).payload.hex(" ") == "05 00 00 00 50 01"
    moved = codec.request("MOT_MOVE_ABSOLUTE 2 685", repeatable=False).payload.hex(" ")
    assert moved == "53 04 06 00 d0 01 02 00 ad 02 00 00 90 04 02 00 50 01"
    enabled = codec.request("MOD_SET_CHANENABLESTATE 6 1", repeatable=False).payload.hex(" ")
    assert enabled == "10 02 06 01 50 01 90 04 02 00 50 01"


@pytest.mark.parametrize(
    "text", ["", "?", "MOT_MOVE_ABSOLUTE 1", "MOT_MOVE_ABSOLUTE 1 1e3", "MOT_REQ_USTATUSUPDATE 300", "HW_REQ_INFO 1"]
)
@pytest.mark.parametrize("repeatable", [True, False])
def test_what_is_no_message_is_refused(text: str, repeatable: bool) -> None:
    with pytest.raises(ValueError, match="not an APT message"):
        AptCodec().request(text, repeatable=repeatable)


def test_an_order_is_never_asked_as_a_question() -> None:
    with pytest.raises(ValueError, match="not an APT message"):
        AptCodec().request("MOT_MOVE_HOME 1", repeatable=True)


def test_an_answer_is_that_of_its_message_and_its_channel() -> None:
    accept = AptCodec().request("MOT_REQ_USTATUSUPDATE 1", repeatable=True).accept
    assert accept(STATUS_1) == "1,685,0,0,2147483648"
    assert AptCodec().request("MOT_REQ_USTATUSUPDATE 2", repeatable=True).accept(STATUS_1) is NOT_MINE
    assert accept(bytes.fromhex("64 04 01 00 01 50")) is NOT_MINE


@given(st.binary(max_size=40))
def test_a_beginning_is_told_by_its_length_or_is_a_protocol_error(data: bytes) -> None:
    try:
        length = AptCodec().frame_length(bytearray(data))
    except hal.ProtocolError:
        return
    assert (length is None) == (len(data) < 6)
    assert length is None or 6 <= length <= 261


def test_several_messages_in_one_piece_are_taken_apart_and_noise_is_no_answer() -> None:
    with (
        launch("thorlabs.mpc", wire_end="emu") as box,
        hal.PolarizationController.open("thorlabs.mpc", **box.resources) as device,
    ):
        transport = device.transport
        assert isinstance(transport, StreamTransport)
        device.retarders[0]._start(10.0)
        hal.SYSTEM_CLOCK.wait(0.1)  # the end of the move waits before the answer
        assert device.retarders[0].position == pytest.approx(10.0, abs=0.1)
        box.faults.add("endless", direction="from_unit", port="control", size=500, count=1)
        with pytest.raises(hal.ProtocolError, match="not a message of a controller"):
            device.identity()
        assert device.retarders[0].position == pytest.approx(10.0, abs=0.1)
        assert transport.query("MOT_REQ_USTATUSUPDATE 1").startswith("1,81,")


def test_the_values_of_parts_are_in_telemetry_and_snapshot() -> None:
    with (
        launch("thorlabs.mpc", wire_end="emu") as box,
        hal.PolarizationController.open("thorlabs.mpc", **box.resources) as device,
    ):
        device.move_to(10.0, 20.0, 30.0)
        told = device.telemetry()
        assert [told[path].quality for path in device.value_paths()] == [hal.Quality.GOOD] * 3
        assert [told[path].value for path in device.value_paths()] == pytest.approx([10.0, 20.0, 30.0], abs=0.1)
        assert device.snapshot()["errors"] == []
