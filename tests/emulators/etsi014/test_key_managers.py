"""The emulated pair of key managers behind its HTTPS servers: who may ask, what a vendor does otherwise, what stays."""

from __future__ import annotations

import ssl
import stat
import threading
from collections.abc import Iterator
from http.client import HTTPSConnection
from pathlib import Path
from typing import Any

import pytest

import tokaido.hal as hal
from tokaido.emulators import InstrumentEmulator, SteppedClock, launch
from tokaido.emulators.certificates import CertificateAuthority
from tokaido.emulators.etsi014 import KeyManagersModel

TIMEOUT_S = 2.0
NONCE = bytes(16)
STATUS = "/api/v1/keys/sae-b/status"


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[InstrumentEmulator]:
    with launch("etsi014.source", directory=tmp_path, stored=10) as pair:
        yield pair


def opened(resources: Any) -> hal.KeySource:
    return hal.KeySource.open("etsi014.source", timeout=TIMEOUT_S, **resources)


def asked(resources: Any, method: str, path: str, body: bytes | None = None, **files: str) -> tuple[int, bytes]:
    """Ask as a client does that nobody here wrote."""
    resource = hal.Resource.parse(resources["control"])
    options = {**resource.options, **files}
    context = ssl.create_default_context(cafile=options["ca_file"])
    context.load_cert_chain(options["cert_file"], options["key_file"])
    port = int(resource.address.partition("?")[0].rpartition(":")[2])
    connection = HTTPSConnection("127.0.0.1", port, timeout=TIMEOUT_S, context=context)
    try:
        connection.request(method, path, body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def test_another_client_of_the_standard_library_is_served_too(pair: InstrumentEmulator) -> None:
    code, body = asked(pair.resources, "GET", STATUS)
    assert code == 200
    assert b'"source_KME_ID": "KME0001"' in body
    code, body = asked(pair.resources, "POST", "/api/v1/keys/sae-b/enc_keys", b'{"number": 3}')
    assert code == 200
    assert body.count(b'"key_ID"') == 3
    assert asked(pair.counterpart, "GET", "/api/v1/keys/sae-a/status")[0] == 200


def test_a_certificate_of_another_authority_is_refused_in_the_handshake(
    pair: InstrumentEmulator, tmp_path: Path
) -> None:
    stranger = CertificateAuthority(tmp_path / "other", "other").issue("sae-a")
    with pytest.raises((ssl.SSLError, ConnectionError)):
        asked(pair.resources, "GET", STATUS, cert_file=str(stranger.certificate), key_file=str(stranger.key))
    pair.add_fault("distrusts")
    with pytest.raises(hal.AuthenticationError, match="refuses our certificate"):
        opened(pair.resources)
    pair.remove_fault("distrusts")
    opened(pair.resources).close()


def test_the_other_end_s_certificate_is_believed_and_not_served(pair: InstrumentEmulator) -> None:
    other = hal.Resource.parse(pair.counterpart["control"]).options
    assert asked(pair.resources, "GET", STATUS, cert_file=other["cert_file"], key_file=other["key_file"]) == (401, b"")


def test_keys_that_nobody_asked_for_are_none_of_the_stock() -> None:
    with (
        launch("etsi014.source", stored=2) as pair,
        opened(pair.resources) as master,
        opened(pair.counterpart) as slave,
    ):
        (block,) = master.key_blocks(0)
        pair.add_fault("other_ids")
        with pytest.raises(hal.ProtocolError, match="other keys than those"):
            slave.fetch_block(block.info.key_ids)
        pair.remove_fault("other_ids")
        assert master.snapshot()["values"]["stored_key_count"]["value"] == 0


def test_its_secrets_are_its_owner_s_alone_and_gone_in_the_end(tmp_path: Path) -> None:
    before = threading.active_count()
    with launch("etsi014.source", directory=tmp_path) as pair:
        options = hal.Resource.parse(pair.resources["control"]).options
        folder = Path(options["key_file"]).parent
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        keys = list(folder.glob("*.key"))
        assert len(keys) == 4
        assert {stat.S_IMODE(key.stat().st_mode) for key in keys} == {0o600}
    assert list(tmp_path.iterdir()) == []
    assert threading.active_count() == before


@pytest.mark.parametrize(
    "slips",
    ["capital_keys", "slave_in_path", "chunked", "closes", "any_order", "upper_ids", "no_slave_status", "bare_errors"],
)
def test_keys_come_whatever_this_vendor_does_otherwise(slips: str) -> None:
    with (
        launch("etsi014.source", slips=slips, stored=3) as pair,
        opened(pair.resources) as master,
        opened(pair.counterpart) as slave,
    ):
        (block,) = master.key_blocks(0)
        if slips == "slave_in_path":
            with pytest.raises(hal.RefusedError, match="no link to this SAE"):
                slave.fetch_block(block.info.key_ids)
            return
        other = slave.fetch_block(block.info.key_ids, bits=block.info.bits)
        assert other.key.digest(NONCE) == block.key.digest(NONCE)
        assert other.info.session == block.info.session
        with pytest.raises(hal.RefusedError):
            slave.fetch_block(block.info.key_ids)


def test_new_keys_come_with_time_up_to_the_most() -> None:
    model = KeyManagersModel(stored=0, rate_per_s=10.0, max_key_count=15)
    model.advance(1_000_000_000)
    assert model.stock.whole == 10
    model.advance(9_000_000_000)
    assert model.stock.whole == 15


def test_a_slow_one_answers_when_its_time_has_come() -> None:
    with launch("etsi014.source", slow_s=0.3) as pair:
        with pytest.raises(hal.DeviceTimeoutError):
            hal.KeySource.open("etsi014.source", timeout=0.15, **pair.resources)
        opened(pair.resources).close()


def test_seeded_keys_are_the_same_in_every_run_and_marked() -> None:
    digests = []
    for _ in range(2):
        with launch("etsi014.source", secrets="seeded", seed=5) as pair, opened(pair.resources) as master:
            block = next(master.key_blocks(0))
            assert block.info.insecure
            digests.append((block.key.digest(NONCE), block.info.key_ids))
    assert digests[0] == digests[1]


@pytest.mark.parametrize(
    "options",
    [{"slips": "left"}, {"key_size": 100}, {"stored": -1}, {"far_id": "a b"}, {"peer_sae": "sae-a"}, {"slow_s": -1.0}],
    ids=str,
)
def test_options_that_contradict_one_another_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(hal.ConfigurationError, match="cannot be so"):
        launch("etsi014.source", model_options=options)


def test_it_takes_no_place_and_no_stepped_clock(tmp_path: Path) -> None:
    with pytest.raises(hal.ConfigurationError, match="cannot be at"):
        launch("etsi014.source", resources={"control": f"https://127.0.0.1:1?{FILES.format(tmp_path)}"})
    with pytest.raises(hal.ConfigurationError, match="takes a thread"):
        launch("etsi014.source", clock=SteppedClock())
    with launch("polatis.matrix") as switch, pytest.raises(hal.ConfigurationError, match="no counterpart"):
        _ = switch.counterpart


FILES = "cert_file={0}/a&key_file={0}/b&ca_file={0}/c"


@pytest.mark.parametrize(
    "data",
    [
        b"nothing of http\r\n\r\n",
        b"GET /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST /x HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST /x HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n",
        b"GET /x HTTP/1.1\r\nX: " + b"y" * 20_000,
        b"DELETE /api/v1/keys/sae-b/status HTTP/1.1\r\n\r\n",
        b"GET /api/v1/keys/sae-b/more HTTP/1.1\r\n\r\n",
        b"GET /api/v1/keys HTTP/1.1\r\n\r\n",
        b"POST /api/v1/keys/sae-b/enc_keys HTTP/1.1\r\nContent-Length: 2\r\n\r\n[]",
        b'POST /api/v1/keys/sae-b/dec_keys HTTP/1.1\r\nContent-Length: 14\r\n\r\n{"key_IDs":[1]}'[:-1],
    ],
)
def test_a_request_that_is_none_is_answered_by_400(data: bytes) -> None:
    model = KeyManagersModel()
    model.hear("master", b"1", "sae-a", data)
    ((_, said, _),) = model.say("master")
    assert said.startswith(b"HTTP/1.1 400 ")
