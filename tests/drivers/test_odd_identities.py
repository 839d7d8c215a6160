"""Boxes that answer `*IDN?` with three fields, with five, or without a serial number: refused, or taken as said."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import tokaido.hal as hal
from tokaido.drivers.polatis import MatrixSwitch
from tokaido_testing.patience import patient
from tokaido_testing.toy_switch import AnsweringPeer

ODD = {
    "Polatis,OST-2x4-LU1,6.5.2.18": "vendor,model,firmware",
    "Polatis,OST-2x4-LU1,002417,6.5.2.18,FPGA 7": "vendor,model,serial_number,firmware,-",
    "Polatis,OST-2x4-LU1,,6.5.2.18": "vendor,model,-,firmware",
    "Polatis,OST-2x4-LU1,0,6.5.2.18": "vendor,model,-,firmware",
}
"""What a box says, and how a resource says that this is right."""


@contextmanager
def box(identity: str) -> Iterator[str]:
    answers = {"*IDN?": identity, ":OXC:SWIT:SIZE?": "2,4", ":SYST:ERR?": '0, "No error"'}
    with AnsweringPeer(lambda line: [answers[line]], {"send": "\r\n", "reply": "\r"}) as peer:
        yield f"serial:{peer.address}"


@pytest.mark.parametrize(("said", "fields"), ODD.items())
def test_an_odd_identity_is_refused_with_the_way_round_and_taken_by_it(said: str, fields: str) -> None:
    with box(said) as control:
        with pytest.raises(hal.ProtocolError) as caught:
            hal.OpticalSwitch.open("polatis.matrix", control=control, timeout=patient(1.0))
        assert said in str(caught.value)
        assert f"identity={fields}" in str(caught.value)
        with hal.OpticalSwitch.open(
            "polatis.matrix", control=f"{control}?identity={fields}", timeout=patient(1.0)
        ) as switch:
            found = switch.identity()
    known = dict(zip(fields.split(","), said.split(","), strict=True))
    assert (found.vendor, found.model) == ("Polatis", "OST-2x4-LU1")
    assert found.serial_number == known.get("serial_number", "")
    assert found.firmware == "6.5.2.18"


def test_a_driver_may_say_it_for_all_its_boxes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MatrixSwitch, "identity_fields", ("vendor", "model", "firmware"))
    with (
        box("Polatis,OST-2x4-LU1,6.5.2.18") as control,
        hal.OpticalSwitch.open("polatis.matrix", control=control, timeout=patient(1.0)) as switch,
    ):
        assert switch.identity() == hal.Identity("Polatis", "OST-2x4-LU1", "", "6.5.2.18")


def test_a_station_says_it_for_one_box_and_asks_for_no_serial_number_that_is_not_told(tmp_path: Path) -> None:
    with box("Polatis,OST-2x4-LU1,6.5.2.18") as control:
        file = tmp_path / "lab.toml"
        table = f"""
            [devices.west]
            driver = "polatis.matrix"
            control = "{control}?identity=vendor,model,firmware"
            timeout = {patient(1.0)}
        """
        file.write_text(table)
        with hal.Station.from_file(file) as station:
            assert station.device("west", hal.OpticalSwitch).identity().firmware == "6.5.2.18"
        file.write_text(f'{table}\nserial_number = "002417"')
        with (
            hal.Station.from_file(file) as station,
            pytest.raises(hal.WrongDeviceError, match="tells no serial number"),
        ):
            station.device("west", hal.OpticalSwitch)


@pytest.mark.parametrize("fields", ["vendor", "vendor,model,serial", "vendor,model,model", "model,vendor,", "-,-,-,-"])
def test_fields_that_make_no_identity_are_a_mistake_in_the_resource(fields: str) -> None:
    with pytest.raises(hal.ConfigurationError, match="identity: should"):
        hal.Resource.parse(f"serial:/dev/null?identity={fields}")
