"""Cisco SKIP, draft-cisco-skip-02: the six requests of table 2, on the same keys as ETSI GS QKD 014."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest

from tokaido.node.applications import skip_application
from tokaido.node.client import Reason
from tokaido.node.service import KeyRefusedError
from tokaido_testing.key_managers import KeyManagers, Reply, etsi014, key_managers, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from aiohttp import web

    from tokaido_testing.key_services import HonestService

NEW = "/key?remoteSystemID=shop"
ABSENT = "0" * 32


def skip(service: HonestService) -> web.Application:
    return skip_application(service, service.is_application, remotes=service.remotes)


@pytest.fixture
def providers(certificates: Path) -> Iterator[KeyManagers]:
    with key_managers(certificates, skip) as found:
        yield found


def told(reply: Reply, status: int = 200) -> dict[str, Any]:
    assert reply.status == status, reply.body
    assert reply.headers["Content-Type"] == "application/json"
    assert reply.headers["Cache-Control"] == "no-store"
    found: dict[str, Any] = json.loads(reply.body)
    return found


def fetch(providers: KeyManagers, key_id: str, who: str = "shop", remote: str = "bank") -> Reply:
    return providers.ask(who, "GET", f"/key/{key_id}?remoteSystemID={remote}", port=providers.other_port)


def test_capabilities_are_figure_3(providers: KeyManagers) -> None:
    found = told(providers.ask("bank", "GET", "/capabilities"))
    assert found == {
        "entropy": True,
        "key": True,
        "algorithm": "QKD relay",
        "localSystemID": "bank",
        "remoteSystemID": ["shop", "cafe", "a/b c%2F"],
    }
    assert len(found["algorithm"]) <= 16  # 4.1: what every encryptor has room for


def test_what_one_encryptor_tells_the_other_is_enough_for_the_key(providers: KeyManagers) -> None:
    local = told(providers.ask("bank", "GET", "/capabilities"))["localSystemID"]
    made = told(providers.ask("bank", "GET", NEW))
    assert made.keys() == {"keyId", "key"}
    assert (len(bytes.fromhex(made["keyId"])), len(bytes.fromhex(made["key"]))) == (16, 32)
    assert told(fetch(providers, made["keyId"].upper(), remote=local)) == made


def test_both_interfaces_give_the_same_keys(providers: KeyManagers) -> None:
    standard = providers.served.listen(etsi014(providers.here), providers.files("node-otemachi"))
    reply = providers.ask("bank", "GET", "/api/v1/keys/shop/enc_keys", port=standard.port)
    (made,) = json.loads(reply.body)["keys"]
    got = told(fetch(providers, made["key_ID"].replace("-", "")))
    assert base64.b64encode(bytes.fromhex(got["key"])).decode() == made["key"]


def test_a_key_of_another_size_is_as_asked(providers: KeyManagers) -> None:
    made = told(providers.ask("bank", "GET", f"{NEW}&size=128"))
    assert len(bytes.fromhex(made["key"])) == 16
    assert told(fetch(providers, made["keyId"])) == made


def test_a_key_is_given_once_and_to_the_one_it_is_for(providers: KeyManagers) -> None:
    made = told(providers.ask("bank", "GET", NEW))
    for who, remote in (("cafe", "bank"), ("shop", "clinic"), ("shop", "nobody")):
        assert "not found" in told(fetch(providers, made["keyId"], who, remote), 400)["message"]
    told(fetch(providers, made["keyId"]))
    assert "not found" in told(fetch(providers, made["keyId"]), 400)["message"]
    until(lambda: all(key.wiped for key in (*providers.here.out, *providers.there.out)))


def test_keys_are_different(providers: KeyManagers) -> None:
    made = [told(providers.ask("bank", "GET", NEW)) for _ in range(3)]
    assert len({one["key"] for one in made}) == len({one["keyId"] for one in made}) == 3


@pytest.mark.parametrize("key_id", ["", "0" * 31, "0" * 33, "g" * 32, "00000000-0000-0000-0000-000000000000"])
def test_a_malformed_key_id_is_a_bad_request(providers: KeyManagers, key_id: str) -> None:
    assert "keyId" in told(fetch(providers, key_id), 400)["message"]


def test_an_id_that_is_not_there_is_a_bad_request(providers: KeyManagers) -> None:
    assert "not found" in told(fetch(providers, ABSENT), 400)["message"]


@pytest.mark.parametrize(
    "query",
    [
        "",
        "?size=128",
        "?remoteSystemID=",
        "?remoteSystemID=nobody",
        "?remoteSystemID=shop&remoteSystemID=cafe",
        "?remoteSystemID=shop&size=0",
        "?remoteSystemID=shop&size=65",
        "?remoteSystemID=shop&size=8200",
        "?remoteSystemID=shop&size=x",
        "?remoteSystemID=shop&colour=red",
        "?remoteSystemID=%FF",
        "?remoteSystemID=%zz",
    ],
)
def test_a_request_for_a_key_that_cannot_be_understood_is_a_bad_request(providers: KeyManagers, query: str) -> None:
    told(providers.ask("bank", "GET", f"/key{query}"), 400)
    assert providers.network.stock == 1000


def test_a_remote_id_is_decoded_once(providers: KeyManagers) -> None:
    told(providers.ask("bank", "GET", "/key?remoteSystemID=a%2Fb%20c%252F"))


def test_entropy_is_random_and_as_long_as_asked(providers: KeyManagers) -> None:
    for query, bits in (("", 256), ("?minentropy=128", 128), ("?minentropy=8192", 8192)):
        found = [told(providers.ask("bank", "GET", f"/entropy{query}")) for _ in range(2)]
        assert [len(bytes.fromhex(one["randomStr"])) * 8 for one in found] == [bits] * 2
        assert [one["minentropy"] for one in found] == [bits] * 2
        assert found[0] != found[1]
    for bad in ("0", "7", "9", "8200", "-8", "1e3", ""):
        told(providers.ask("bank", "GET", f"/entropy?minentropy={bad}"), 400)
    told(providers.ask("bank", "GET", "/entropy?size=8"), 400)


@pytest.mark.parametrize("path", ["/", "/keys", "/key/a/b", "/capabilities/", "/entropy/x", "/api/v1/keys/shop/status"])
def test_other_paths_are_404(providers: KeyManagers, path: str) -> None:
    told(providers.ask("bank", "GET", path), 404)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("path", ["/capabilities", NEW, "/entropy"])
def test_only_get_is_known(providers: KeyManagers, method: str, path: str) -> None:
    reply = providers.ask("bank", method, path)
    told(reply, 405)
    assert reply.headers["Allow"] == "GET"
    assert providers.ask("bank", "HEAD", path).status == 405
    assert providers.network.stock == 1000


@pytest.mark.parametrize("who", ["stranger", "shop", "node-koganei"])
def test_a_certificate_of_no_application_of_this_node_gets_nothing(providers: KeyManagers, who: str) -> None:
    for path in ("/capabilities", NEW, "/entropy"):
        reply = providers.ask(who, "GET", path)
        assert (reply.status, reply.body) == (401, b"")


@pytest.mark.parametrize(("reason", "status"), [(Reason.NO_KEY, 503), (Reason.STARTING, 503), (Reason.STORE, 500)])
def test_what_keeps_keys_back_is_told(providers: KeyManagers, reason: Reason, status: int) -> None:
    providers.here.fails = KeyRefusedError("in words", reason)
    reply = providers.ask("bank", "GET", NEW)
    assert told(reply, status)["message"] == "in words"
    assert ("Retry-After" in reply.headers) == (status == 503)
