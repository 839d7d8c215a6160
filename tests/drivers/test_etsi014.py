"""The driver of ETSI GS QKD 014 key managers: it hands out keys alone, and counts those that are lost."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import tokaido.hal as hal
from tokaido_testing.https_peer import reset
from tokaido_testing.scripted_key_manager import IDS, KEYS, KmePeer, answer, kme_peer, status

NONCE = bytes(16)


@pytest.fixture
def kme(tmp_path: Path) -> Iterator[KmePeer]:
    with kme_peer(tmp_path) as kme:
        yield kme


def container(*numbers: int, name: str = "keys", **other: object) -> dict[str, object]:
    """Return a container of the keys of these numbers; `other` stands beside the key in each."""
    rows = [{"key_ID": IDS[one], "key": base64.b64encode(KEYS[one]).decode(), **other} for one in numbers]
    return {name: rows}


def row(key_id: object = IDS[0], key: object = base64.b64encode(KEYS[0]).decode()) -> dict[str, object]:
    return {"keys": [{"key_ID": key_id, "key": key}]}


def draw(source: hal.KeySource) -> hal.KeyBlock:
    (block,) = source.key_blocks(0, limit=1)
    return block


def has(block: hal.KeyBlock, *numbers: int) -> bool:
    key = hal.KeyMaterial(b"".join(KEYS[one] for one in numbers))
    return block.key.digest(NONCE) == key.digest(NONCE)


# --- what it asks for -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "stored", "asked"),
    [
        ({}, 0, {"number": 1, "size": 256}),
        ({}, 2, {"number": 2, "size": 256}),
        ({}, 5000, {"number": 64, "size": 256}),
        ({"number": "100"}, 5000, {"number": 64, "size": 256}),
        ({"number": "3", "key_size": "512"}, 5000, {"number": 3, "size": 512}),
    ],
)
def test_it_asks_for_as_many_as_there_are_as_may_be_and_as_are_wanted(
    kme: KmePeer, options: dict[str, str], stored: int, asked: dict[str, int]
) -> None:
    with kme.open(**options) as source:  # type: ignore[arg-type]
        kme.says(answer(200, status(stored_key_count=stored)), answer(503, {"message": "none"}))
        assert list(source.key_blocks(0)) == []
    assert [one.body for one in kme.heard if one.start.startswith("POST")] == [asked]


def test_a_block_is_named_by_its_first_key_and_claims_no_more_than_the_source_says(kme: KmePeer) -> None:
    with kme.open() as source:
        kme.says(answer(200, status()), answer(200, container(0, 1, key_extension={"acme_x": 1})))
        block = draw(source)
        block.commit()
    assert has(block, 0, 1)
    info = block.info
    assert (info.name, info.peer, info.key_ids) == (("KME-A", IDS[0], 0), "KME-B", IDS[:2])
    assert (info.bits, info.method, info.bound, info.eps) == (512, "unstated", "unstated", 1.0)
    assert not info.emulated
    assert not info.insecure
    assert block.lost == source.draws_lost == 0


def test_what_an_emulator_says_of_itself_marks_its_blocks(kme: KmePeer) -> None:
    with kme.open() as source:
        said = container(0, 1) | {"key_container_extension": {"tokaido_emulated": True, "tokaido_insecure": True}}
        kme.says(answer(200, status()), answer(200, said))
        block = draw(source)
    assert block.info.emulated
    assert block.info.insecure
    assert block.key.insecure


def test_it_waits_for_keys_until_its_time_is_over(kme: KmePeer) -> None:
    with kme.open() as source:
        status_0, empty = answer(200, status(stored_key_count=0)), answer(503, {"message": "none"})
        kme.says(status_0, empty, answer(200, status()), answer(200, container(0, 1)), status_0, empty)
        assert [has(block, 0, 1) for block in source.key_blocks(1.2, limit=1)] == [True]
        assert list(source.key_blocks(0)) == []


@pytest.mark.parametrize("name", ["keys", "Keys"])
def test_a_container_may_be_spelled_as_the_table_or_as_the_examples(kme: KmePeer, name: str) -> None:
    with kme.open() as source:
        kme.says(answer(200, status()), answer(200, container(0, 1, name=name)))
        assert has(draw(source), 0, 1)


# --- odd containers ---------------------------------------------------------------------------------------------------

ODD_CONTAINERS: dict[str, object] = {
    "nothing": {},
    "a list": [],
    "null": {"keys": None},
    "keys twice": container(0, 1) | container(0, 1, name="Keys"),
    "too few": container(0),
    "too many": container(0, 1, 2),
    "an id twice": container(0, 0),
    "no id": {"keys": [{"key": "AAAA"}]},
    "no key": {"keys": [{"key_ID": IDS[0]}]},
    "cut JSON": b'{"keys": [',
    "no JSON": b"\xff\xfe",
    "deep JSON": b'{"keys":' + b"[" * 100_000,
    "a status": status(),
    "an error": {"message": "all is well"},
}
ODD_ROWS: dict[str, object] = {
    "short id": row(key_id=IDS[0][:-1]),
    "long id": row(key_id=IDS[0] + "0"),
    "bare id": row(key_id=IDS[0].replace("-", "")),
    "id of a number": row(key_id=7),
    "no padding": row(key=base64.b64encode(KEYS[0]).decode().rstrip("=")),
    "a line end": row(key=base64.encodebytes(KEYS[0]).decode()),
    "a blank": row(key=" " + base64.b64encode(KEYS[0]).decode()),
    "for URLs": row(key=base64.urlsafe_b64encode(b"\xff" * 32).decode()),
    "bits behind": row(key=base64.b64encode(KEYS[0]).decode()[:-2] + "F="),
    "an escaped letter": json.dumps(row()).replace('"key": "A', '"key": "\\u0041').encode(),
    "hexadecimal": row(key=KEYS[0].hex()),
    "empty": row(key=""),
    "short key": row(key=base64.b64encode(KEYS[0][:-1]).decode()),
    "long key": row(key=base64.b64encode(KEYS[0] + b"x").decode()),
    "key of numbers": row(key=[1, 2, 3]),
    "null key": row(key=None),
}


@pytest.mark.parametrize(
    ("stored", "body"),
    [(2, body) for body in ODD_CONTAINERS.values()] + [(1, body) for body in ODD_ROWS.values()],
    ids=[*ODD_CONTAINERS, *ODD_ROWS],
)
def test_an_odd_container_gives_no_key_and_is_counted(kme: KmePeer, stored: int, body: object) -> None:
    with kme.open() as source:
        kme.says(answer(200, status(stored_key_count=stored)), answer(200, body))
        with pytest.raises(hal.ProtocolError) as caught:
            draw(source)
        assert not isinstance(caught.value, hal.OutcomeUnknownError)
        assert caught.value.device == "etsi014.source"
        assert source.draws_lost == 1
        kme.says(answer(200, status()), answer(200, container(5, 6)))
        block = draw(source)
        assert (has(block, 5, 6), block.lost, source.draws_lost) == (True, 1, 1)


def test_an_escaped_slash_is_the_same_key(kme: KmePeer) -> None:
    key = b"\xff" * 32
    body = json.dumps(row(key=base64.b64encode(key).decode())).replace("/", "\\/").encode()
    with kme.open() as source:
        kme.says(answer(200, status(stored_key_count=1)), answer(200, body))
        assert draw(source).key.digest(NONCE) == hal.KeyMaterial(key).digest(NONCE)


def test_a_reply_of_another_type_gives_no_key(kme: KmePeer) -> None:
    with kme.open() as source:
        kme.says(answer(200, status()), answer(200, container(0, 1), kind="text/html"))
        with pytest.raises(hal.ProtocolError, match="text/html"):
            draw(source)


def test_a_key_that_was_handed_out_is_never_handed_out_again(kme: KmePeer) -> None:
    with kme.open() as source:
        kme.says(answer(200, status()), answer(200, container(0, 1)))
        draw(source)
        kme.says(answer(200, status()), answer(200, container(2, 1)))
        with pytest.raises(hal.ProtocolError, match="second time"):
            draw(source)


# --- what is lost -----------------------------------------------------------------------------------------------------


def test_a_lost_reply_is_told_counted_and_never_asked_for_again(kme: KmePeer) -> None:
    with kme.open() as source:
        kme.says(answer(200, status()), reset)
        with pytest.raises(hal.OutcomeUnknownError):
            draw(source)
        assert source.draws_lost == 1
        kme.says(answer(200, status()), answer(200, status()), answer(200, container(0, 1)))
        block = draw(source)
        assert (block.lost, source.draws_lost) == (None, 1)
    assert sum(one.start.startswith("POST") for one in kme.heard) == 2


@pytest.mark.parametrize(
    ("said", "error", "code"),
    [
        (answer(400, {"message": "size shall be a multiple of 8"}), hal.RefusedError, "400 size shall"),
        (answer(400, {"message": "x", "details": [{"a_b": "c"}, {"d_e": 1}]}), hal.RefusedError, r"400 x \(a_b, d_e\)"),
        (answer(400, b"<html>", kind="text/html"), hal.RefusedError, "400"),
        (answer(401), hal.RefusedError, "401"),
        (answer(401, {"message": "who are you"}), hal.RefusedError, "401 who"),
        (answer(404, b"nothing", kind="text/plain"), hal.DeviceError, "404"),
        (answer(500), hal.DeviceError, "500"),
    ],
    ids=["400", "details", "html", "401", "401 with a body", "404", "500"],
)
def test_an_error_of_the_key_manager_is_told_and_loses_nothing(
    kme: KmePeer, said: Any, error: type[hal.DeviceError], code: str
) -> None:
    with kme.open() as source:
        kme.says(answer(200, status()), said)
        with pytest.raises(error) as caught:
            draw(source)
        assert re.match(code, caught.value.code)
        assert source.draws_lost == 0


# --- the slave's end --------------------------------------------------------------------------------------------------


def fetching(kme: KmePeer, **options: str) -> hal.KeySource:
    return kme.open(end="slave", **options)  # type: ignore[arg-type]


def test_keys_come_in_the_order_of_the_ids_whatever_the_container_s(kme: KmePeer) -> None:
    with fetching(kme) as source:
        kme.says(answer(200, container(1, 2, 0)))
        block = source.fetch_block([IDS[0].upper(), IDS[1], IDS[2]], bits=768)
    assert has(block, 0, 1, 2)
    assert block.info.session == IDS[0].upper()


@pytest.mark.parametrize(
    ("body", "options", "bits"),
    [
        (container(0, 2), {}, None),
        (container(0), {}, None),
        (container(0, 1, 2), {}, None),
        (container(0, 1), {}, 256),
        (container(0, 1), {"key_size": "128"}, None),
        ({"keys": [*row()["keys"], *row(IDS[1], "AAAA")["keys"]]}, {}, None),  # type: ignore[misc]
    ],
    ids=["other ids", "too few", "too many", "another length", "another size", "two sizes"],
)
def test_other_keys_than_were_asked_for_are_not_handed_out(
    kme: KmePeer, body: object, options: dict[str, str], bits: int | None
) -> None:
    with fetching(kme, **options) as source:
        kme.says(answer(200, body))
        with pytest.raises(hal.ProtocolError):
            source.fetch_block(IDS[:2], bits=bits)
        assert source.draws_lost == 1


@pytest.mark.parametrize("ids", [(), ("x",), (IDS[0], IDS[0].upper()), IDS[0], (1,), (None,)])
def test_ids_that_are_none_are_refused_before_anything_is_sent(kme: KmePeer, ids: Any) -> None:
    with fetching(kme) as source:
        before = len(kme.heard)
        with pytest.raises(hal.KeyMaterialError):
            source.fetch_block(ids)
        assert len(kme.heard) == before


def test_a_slave_s_end_opens_although_its_key_manager_tells_it_no_status(kme: KmePeer) -> None:
    kme.says(answer(400, {"message": "not you"}))
    with fetching(kme) as source:
        assert source.identity().serial_number == ""
        kme.says(answer(200, container(0)))
        assert has(source.fetch_block(IDS[:1]), 0)
    kme.says(answer(400, {"message": "not you"}))
    with pytest.raises(hal.WrongDeviceError, match="does not tell its name"):
        fetching(kme, serial_number="KME-A")
    with pytest.raises(hal.RefusedError):
        kme.open()


# --- who is there -----------------------------------------------------------------------------------------------------


def test_another_key_manager_is_refused(kme: KmePeer) -> None:
    with pytest.raises(hal.WrongDeviceError, match="expected the key manager KME-X, and found KME-A"):
        kme.open(serial_number="KME-X")
    with kme.open(serial_number="KME-A") as source:
        assert source.identity().serial_number == "KME-A"
        kme.says(reset, answer(200, status(source_KME_ID="KME-C")))
        with pytest.raises(hal.NotConnectedError):
            source.identity()
        with pytest.raises(hal.WrongDeviceError, match="found KME-C, linked to KME-B"):
            source.identity()


ODD_STATUSES: dict[str, object] = {
    "another slave": status(slave_SAE_ID="sae-x"),
    "no name": status(source_KME_ID=""),
    "a number as text": status(key_size="256"),
    "a fraction": status(stored_key_count=1.5),
    "below 0": status(stored_key_count=-1),
    "a flag": status(max_key_count=True),
    "missing": {name: value for name, value in status().items() if name != "max_SAE_ID_count"},
    "null": status(key_size=None),
    "a list": [],
    "a container": container(0),
}


@pytest.mark.parametrize("body", ODD_STATUSES.values(), ids=ODD_STATUSES)
def test_an_odd_status_is_none(kme: KmePeer, body: object) -> None:
    with kme.open() as source:
        kme.says(answer(200, body))
        with pytest.raises(hal.ProtocolError):
            source.identity()


def test_all_values_come_by_one_question(kme: KmePeer) -> None:
    with kme.open() as source:
        before = len(kme.heard)
        values = {path: reading.value for path, reading in source.telemetry().items()}
        assert len(kme.heard) == before + 1
        assert source.find("stored_key_count")[0].read(source.find("stored_key_count")[1]) == 2
    assert values == {
        "stored_key_count": 2,
        "max_key_count": 1000,
        "key_size": 256,
        "min_key_size": 64,
        "max_key_size": 1024,
        "max_key_per_request": 64,
        "max_sae_id_count": 0,
    }


# --- its resource -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"peer": ""}, "peer: is missing"),
        ({"end": "middle"}, "end: should be"),
        ({"key_size": "100"}, "key_size: should be"),
        ({"number": "0"}, "number: should be"),
        ({"number": "1e3"}, "number: should be"),
        ({"colour": "red"}, "colour: there is no such option"),
    ],
)
def test_mistakes_in_its_options_are_told_before_anything_is_opened(
    kme: KmePeer, options: dict[str, str], word: str
) -> None:
    with pytest.raises(hal.ConfigurationError, match=word):
        kme.open(**options)  # type: ignore[arg-type]
    assert kme.peer.accepted == 0


def test_a_station_file_tells_them_too(kme: KmePeer, tmp_path: Path) -> None:
    file = tmp_path / "lab.toml"
    file.write_text(f'[devices.kme]\ndriver = "etsi014.source"\ncontrol = "{kme.resource(end="middle")}"\n')
    with pytest.raises(hal.ConfigurationError, match="end: should be master or slave"):
        hal.Station.from_file(file)


def test_an_sae_id_of_any_letters_is_encoded_once(kme: KmePeer) -> None:
    kme.says(answer(200, status(slave_SAE_ID="a/b c%20&\u00e9")))
    with kme.open(peer="a/b c%20&\u00e9") as source:
        assert source.identity().serial_number == "KME-A"
    assert kme.heard[-1].start == "GET /api/v1/keys/a%2Fb%20c%2520%26%C3%A9/status"
