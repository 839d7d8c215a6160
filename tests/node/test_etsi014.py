"""ETSI GS QKD 014 V1.1.1, clause by clause: docs/protocols/etsi014-server.md names these tests."""

from __future__ import annotations

import base64
import json
import uuid
from typing import TYPE_CHECKING, Any

import pytest

from tokaido.node.client import Reason
from tokaido.node.service import KeyRefusedError
from tokaido_testing.key_managers import KEYS, STATUS, KeyManagers, Reply

if TYPE_CHECKING:
    from collections.abc import Sequence

JSON = "application/json"
EIGHTS = "size shall be a multiple of 8"
UNSUPPORTED = "not all extension_mandatory parameters are supported"
UNMET = "not all extension_mandatory request options could be met"
NOT_FOUND = "one or more keys specified are not found on KME"
ABSENT = str(uuid.UUID(int=0))


def post(managers: KeyManagers, who: str = "bank", path: str = KEYS, **body: Any) -> Reply:
    port = managers.other_port if who in ("shop", "cafe") else managers.port
    return managers.ask(who, "POST", path, json.dumps(body).encode(), port=port)


def keys(reply: Reply) -> list[dict[str, str]]:
    assert reply.status == 200, reply.body
    found: list[dict[str, str]] = json.loads(reply.body)["keys"]
    return found


def fetch(managers: KeyManagers, ids: Sequence[str], who: str = "shop", master: str = "bank") -> Reply:
    return post(managers, who, f"/api/v1/keys/{master}/dec_keys", key_IDs=[{"key_ID": key_id} for key_id in ids])


def message(reply: Reply, status: int = 400) -> str:
    """Return the message of an Error (table 13), which has nothing else but details."""
    assert reply.status == status, reply.body
    assert reply.headers["Content-Type"] == JSON
    error = json.loads(reply.body)
    assert error.keys() <= {"message", "details"}
    assert all(isinstance(item, dict) for item in error.get("details", []))
    return str(error["message"])


# --- 5.1: rules for all methods ---------------------------------------------------------------------------------------


def test_answers_are_json_that_nobody_keeps(managers: KeyManagers) -> None:
    for reply in (managers.ask("bank", "GET", STATUS), managers.ask("bank", "GET", KEYS), post(managers, size=9)):
        assert reply.headers["Content-Type"] == JSON
        assert reply.headers["Cache-Control"] == "no-store"
        json.loads(reply.body.decode("utf-8"))


def test_the_certificate_alone_says_who_asks(managers: KeyManagers) -> None:
    assert json.loads(managers.ask("bank", "GET", STATUS).body)["master_SAE_ID"] == "bank"
    told = {"X-SAE-ID": "clinic", "Authorization": "Basic Y2xpbmljOg=="}
    assert json.loads(managers.ask("bank", "GET", STATUS, headers=told).body)["master_SAE_ID"] == "bank"


@pytest.mark.parametrize("who", ["stranger", "shop", "node-koganei"])
@pytest.mark.parametrize("path", [STATUS, KEYS, "/api/v1/keys/bank/dec_keys?key_ID=1", "/elsewhere"])
def test_a_certificate_of_no_application_of_this_node_gets_401_without_a_body(
    managers: KeyManagers, who: str, path: str
) -> None:
    reply = managers.ask(who, "GET", path)
    assert (reply.status, reply.body) == (401, b"")


def test_an_sae_id_is_decoded_exactly_once(managers: KeyManagers) -> None:
    once, twice = "a%2Fb%20c%252F", "a%252Fb%2520c%25252F"
    found = json.loads(managers.ask("bank", "GET", f"/api/v1/keys/{once}/status").body)
    assert found["slave_SAE_ID"] == "a/b c%2F"
    message(managers.ask("bank", "GET", f"/api/v1/keys/{twice}/status"))
    assert json.loads(managers.ask("bank", "GET", "/api/v1/keys/%73hop/status").body)["slave_SAE_ID"] == "shop"


@pytest.mark.parametrize("bad", ["%zz", "%2", "%FF", "%ED%A0%80"])
def test_an_sae_id_that_cannot_be_decoded_is_a_bad_request(managers: KeyManagers, bad: str) -> None:
    assert "percent-encoded" in message(managers.ask("bank", "GET", f"/api/v1/keys/{bad}/status"))


@pytest.mark.parametrize(
    "path", ["/", "/api/v1/keys", "/api/v1/keys/shop", "/api/v2/keys/shop/status", f"{STATUS}/", "/api/v1/keys//status"]
)
def test_only_unknown_paths_are_404(managers: KeyManagers, path: str) -> None:
    message(managers.ask("bank", "GET", path), 404)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", STATUS, "GET"),
        ("PUT", KEYS, "GET,POST"),
        ("DELETE", KEYS, "GET,POST"),
        ("PATCH", "/api/v1/keys/bank/dec_keys", "GET,POST"),
        ("OPTIONS", STATUS, "GET"),
    ],
)
def test_other_methods_are_405(managers: KeyManagers, method: str, path: str, allowed: str) -> None:
    reply = managers.ask("bank", method, path, b"{}" if method != "OPTIONS" else None)
    message(reply, 405)
    assert reply.headers["Allow"] == allowed
    assert managers.network.stock == 1000


def test_head_gets_no_key(managers: KeyManagers) -> None:
    reply = managers.ask("bank", "HEAD", KEYS)
    assert (reply.status, reply.body, managers.network.stock) == (405, b"", 1000)


# --- 5.2 and 6.1: Get status ------------------------------------------------------------------------------------------


def test_status_has_every_member_of_table_9(managers: KeyManagers) -> None:
    assert json.loads(managers.ask("bank", "GET", STATUS).body) == {
        "source_KME_ID": "otemachi",
        "target_KME_ID": "koganei",
        "master_SAE_ID": "bank",
        "slave_SAE_ID": "shop",
        "key_size": 256,
        "stored_key_count": 1000,
        "max_key_count": 1000,
        "max_key_per_request": 128,
        "max_key_size": 8192,
        "min_key_size": 64,
        "max_SAE_ID_count": 2,
        "status_extension": {"tokaido_integrity": "confirmed end to end", "tokaido_hops": 1},
    }


def test_a_slave_that_nobody_knows_is_a_bad_request(managers: KeyManagers) -> None:
    for path in ("/api/v1/keys/nobody/status", "/api/v1/keys/nobody/enc_keys"):
        assert "no route" in message(managers.ask("bank", "GET", path))


# --- 5.3, 6.2 and 6.3: Get key ----------------------------------------------------------------------------------------


def test_get_key_gives_one_key_of_the_default_size(managers: KeyManagers) -> None:
    for reply in (managers.ask("bank", "GET", KEYS), post(managers), managers.ask("bank", "POST", KEYS)):
        (key,) = keys(reply)
        assert key.keys() == {"key_ID", "key"}
        assert len(base64.b64decode(key["key"], validate=True)) == 32
        assert str(uuid.UUID(key["key_ID"])) == key["key_ID"]
    assert managers.network.stock == 997


def test_number_and_size_are_as_asked_in_both_forms(managers: KeyManagers) -> None:
    for reply in (managers.ask("bank", "GET", f"{KEYS}?number=3&size=1024"), post(managers, number=3, size=1024)):
        found = keys(reply)
        assert [len(base64.b64decode(key["key"])) for key in found] == [128] * 3
        assert len({key["key_ID"] for key in found}) == len({key["key"] for key in found}) == 3


def test_the_get_form_has_number_and_size_alone(managers: KeyManagers) -> None:
    for query in (
        "additional_slave_SAE_IDs=cafe",
        "number=1&number=2",
        "extension_optional=x",
        "number",
        "&",
        "n%zz=1",
    ):
        message(managers.ask("bank", "GET", f"{KEYS}?{query}"))
    message(managers.ask("bank", "GET", KEYS, b"{}"))
    message(managers.ask("bank", "POST", f"{KEYS}?number=1", b"{}"))
    message(managers.ask("bank", "GET", f"{STATUS}?number=1"))
    assert managers.network.stock == 1000


@pytest.mark.parametrize("size", [1, 63, 257, 8191])
def test_a_size_that_is_not_a_multiple_of_8_is_told_exactly(managers: KeyManagers, size: int) -> None:
    assert message(post(managers, size=size)) == EIGHTS
    assert message(managers.ask("bank", "GET", f"{KEYS}?size={size}")) == EIGHTS


@pytest.mark.parametrize(
    "asked", [{"size": 0}, {"size": 56}, {"size": 8200}, {"size": -8}, {"number": 0}, {"number": -1}]
)
def test_numbers_and_sizes_that_are_never_served_are_bad_requests(managers: KeyManagers, asked: dict[str, Any]) -> None:
    assert " to " in message(post(managers, **asked))


def test_the_limits_of_status_are_the_limits(managers: KeyManagers) -> None:
    assert len(keys(post(managers, number=128))) == 128
    assert "1 to 128" in message(post(managers, number=129))
    for size in (64, 8192):
        keys(post(managers, size=size))


@pytest.mark.parametrize(
    "text", ["1.0", "1e1", "true", '"1"', "null", "[1]", "NaN", "Infinity", "1" * 5000, "9223372036854775808"]
)
def test_a_number_is_an_integer_of_json(managers: KeyManagers, text: str) -> None:
    message(managers.ask("bank", "POST", KEYS, b'{"number":%b}' % text.encode()))
    assert managers.network.stock == 1000


@pytest.mark.parametrize("text", ["1.0", "+1", "-1", " 1", "\uff11", "1_0", "0x1", "", "9" * 20])
def test_a_number_of_the_get_form_is_plain_digits(managers: KeyManagers, text: str) -> None:
    from urllib.parse import quote

    message(managers.ask("bank", "GET", f"{KEYS}?number={quote(text)}"))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b"{",
        b'{"number":1}x',
        b'{"number":1,"number":2}',
        b'{"extension_optional":[{"a":1,"a":2}]}',
        b'{"Number":1}',
        b"\xef\xbb\xbf{}",
        b"\xff\xfe{\x00}\x00",
        b'{"additional_slave_SAE_IDs":["\\ud800"]}',
        b'{"additional_slave_SAE_IDs":"cafe"}',
        b'{"additional_slave_SAE_IDs":[1]}',
        b'{"extension_optional":[1]}',
        b'{"extension_optional":{}}',
        b'{"extension_optional":' + b"[" * 30000 + b"]" * 30000 + b"}",
        b'{"extension_optional":[' + b'{"a":' * 10000 + b"1" + b"}" * 10000 + b"]}",
    ],
)
def test_a_body_that_is_no_key_request_is_a_bad_request(managers: KeyManagers, body: bytes) -> None:
    path = KEYS if body else "/api/v1/keys/bank/dec_keys"
    reply = managers.ask("bank", "POST", path, body, headers={"Content-Type": JSON})
    assert len(message(reply)) < 200
    assert managers.network.stock == 1000


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin1"]
)
def test_a_body_is_json_in_utf_8_by_its_content_type(managers: KeyManagers, kind: str) -> None:
    assert "content type" in message(managers.ask("bank", "POST", KEYS, b"{}", headers={"Content-Type": kind}))
    keys(managers.ask("bank", "POST", KEYS, b"{}", headers={"Content-Type": "application/json; charset=UTF-8"}))


def test_further_slaves_get_the_same_key_each_once(managers: KeyManagers) -> None:
    (key,) = keys(post(managers, additional_slave_SAE_IDs=["cafe"]))
    for slave in ("shop", "cafe"):
        assert keys(fetch(managers, [key["key_ID"]], slave)) == [key]
        assert message(fetch(managers, [key["key_ID"]], slave)) == NOT_FOUND


def test_further_slaves_are_few_different_and_known(managers: KeyManagers) -> None:
    assert "at most 2" in message(post(managers, additional_slave_SAE_IDs=["cafe", "x", "y"]))
    assert "twice" in message(post(managers, additional_slave_SAE_IDs=["shop"]))
    assert "twice" in message(post(managers, additional_slave_SAE_IDs=["cafe", "cafe"]))
    message(post(managers, additional_slave_SAE_IDs=["nobody"]))
    assert managers.network.stock == 1000


@pytest.mark.parametrize("emulated", [True, False])
def test_keys_of_emulated_units_say_so(managers: KeyManagers, emulated: bool) -> None:
    managers.network.emulated = emulated
    reply = json.loads(post(managers).body)
    assert reply.get("key_container_extension") == ({"tokaido_emulated": True} if emulated else None)


# --- extensions (6.2) -------------------------------------------------------------------------------------------------


def test_a_mandatory_extension_that_is_not_known_is_told_exactly(managers: KeyManagers) -> None:
    reply = post(managers, extension_mandatory=[{"tokaido_hops": 1}, {"acme_colour": {"any": ["type", None]}}])
    assert message(reply) == UNSUPPORTED
    assert json.loads(reply.body)["details"] == [{"extension_mandatory_unsupported": ["acme_colour"]}]
    assert managers.network.stock == 1000


@pytest.mark.parametrize(
    "asked",
    [
        {"tokaido_route_type": "relayed"},
        {"tokaido_route_type": "by air"},
        {"tokaido_route_type": ["direct"]},
        {"tokaido_route_type": 1},
        {"tokaido_hops": 0},
        {"tokaido_hops": "1"},
        {"tokaido_hops": True},
        {"tokaido_max_age": 4999},
        {"tokaido_max_age": 1.5},
        {"tokaido_max_age": None},
    ],
)
def test_a_mandatory_extension_that_cannot_be_met_is_told_exactly(managers: KeyManagers, asked: dict[str, Any]) -> None:
    reply = post(managers, extension_mandatory=[asked])
    assert message(reply) == UNMET
    assert json.loads(reply.body)["details"] == [{"extension_mandatory_unmet": list(asked)}]
    assert managers.network.stock == 1000


@pytest.mark.parametrize(
    "asked", [{"tokaido_route_type": "direct"}, {"tokaido_hops": 1}, {"tokaido_hops": 7}, {"tokaido_max_age": 5001}]
)
def test_a_mandatory_extension_that_can_be_met_is(managers: KeyManagers, asked: dict[str, Any]) -> None:
    keys(post(managers, extension_mandatory=[asked]))


def test_routes_of_more_hops_are_relayed(managers: KeyManagers) -> None:
    managers.network.hops = 3
    keys(post(managers, extension_mandatory=[{"tokaido_route_type": "relayed"}, {"tokaido_hops": 3}]))
    assert message(post(managers, extension_mandatory=[{"tokaido_hops": 2}])) == UNMET
    assert message(post(managers, extension_mandatory=[{"tokaido_route_type": "direct"}])) == UNMET


@pytest.mark.parametrize(
    "asked",
    [{"acme_colour": 1}, {"tokaido_route_type": "relayed"}, {"tokaido_max_age": 1}, {"tokaido_max_age": "soon"}],
)
def test_an_optional_extension_never_costs_the_keys(managers: KeyManagers, asked: dict[str, Any]) -> None:
    keys(post(managers, extension_optional=[asked]))


def test_an_optional_age_is_met_where_it_can_be(managers: KeyManagers) -> None:
    keys(post(managers, extension_mandatory=[{"tokaido_max_age": 6000}], extension_optional=[{"tokaido_max_age": 10}]))
    assert message(post(managers, extension_mandatory=[{"tokaido_max_age": 10}])) == UNMET


def test_who_insists_on_two_routes_where_there_are_none_is_told_the_cut_nodes(managers: KeyManagers) -> None:
    reply = post(managers, extension_mandatory=[{"tokaido_route_type": "disjoint"}])
    assert message(reply) == UNMET
    unmet = {"extension_mandatory_unmet": ["tokaido_route_type"], "tokaido_cut_nodes": ["kyoto"]}
    assert json.loads(reply.body)["details"] == [unmet]
    assert managers.network.stock == 1000


def test_a_node_that_wants_two_routes_and_has_none_says_which_nodes_are_in_the_way(managers: KeyManagers) -> None:
    managers.here.fails = KeyRefusedError("every route passes kyoto", Reason.ROUTE, cut_nodes=("kyoto",))
    reply = post(managers)
    assert message(reply, 503) == "every route passes kyoto"
    assert json.loads(reply.body)["details"] == [{"tokaido_reason": "route", "tokaido_cut_nodes": ["kyoto"]}]


@pytest.mark.parametrize(("routes", "given"), [(1, "direct"), (2, "disjoint")])
def test_two_routes_that_are_wished_for_are_taken_where_they_are(
    managers: KeyManagers, routes: int, given: str
) -> None:
    managers.network.routes = routes
    wish = [{"tokaido_route_type": "disjoint"}, {"tokaido_max_age": 10}]  # keys are older, which costs no route
    reply = post(managers, extension_optional=wish)
    assert json.loads(reply.body)["key_container_extension"] == {"tokaido_route_type": given}


def test_an_answer_says_which_routes_its_keys_went(managers: KeyManagers) -> None:
    managers.network.routes = 2
    insists = [{"tokaido_route_type": "disjoint"}]
    both = post(managers, number=2, extension_mandatory=insists)
    ids = [key["key_ID"] for key in keys(both)]
    for reply in (both, fetch(managers, ids)):
        assert json.loads(reply.body)["key_container_extension"] == {"tokaido_route_type": "disjoint"}
    plain = post(managers)
    mixed = [post(managers, extension_mandatory=insists), plain]
    for reply in (plain, fetch(managers, [keys(one)[0]["key_ID"] for one in mixed])):
        assert "key_container_extension" not in json.loads(reply.body)
    managers.network.hops = 3
    relayed = post(managers, extension_mandatory=[{"tokaido_route_type": "relayed"}])
    assert json.loads(relayed.body)["key_container_extension"] == {"tokaido_route_type": "relayed"}


def test_an_extension_stands_once(managers: KeyManagers) -> None:
    assert "twice" in message(post(managers, extension_mandatory=[{"tokaido_hops": 1}, {"tokaido_hops": 2}]))


# --- 5.4, 6.3 and 6.4: Get key with key IDs ---------------------------------------------------------------------------


def test_a_slave_gets_the_masters_keys_in_both_forms(managers: KeyManagers) -> None:
    made = keys(post(managers, number=3))
    by_get = managers.ask(
        "shop", "GET", f"/api/v1/keys/bank/dec_keys?key_ID={made[0]['key_ID']}", port=managers.other_port
    )
    assert keys(by_get) == made[:1]
    assert keys(fetch(managers, [made[2]["key_ID"].upper(), made[1]["key_ID"]])) == [made[2], made[1]]


def test_delivered_keys_are_gone_from_both_ends(managers: KeyManagers) -> None:
    (key,) = keys(post(managers))
    keys(fetch(managers, [key["key_ID"]]))
    assert message(fetch(managers, [key["key_ID"]])) == NOT_FOUND


def test_an_id_that_is_not_there_is_told_exactly_and_costs_no_other(managers: KeyManagers) -> None:
    (key,) = keys(post(managers))
    assert message(fetch(managers, [key["key_ID"], ABSENT])) == NOT_FOUND
    assert message(fetch(managers, [key["key_ID"]], master="clinic")) == NOT_FOUND
    assert message(fetch(managers, [key["key_ID"]], master="nobody")) == NOT_FOUND
    assert keys(fetch(managers, [key["key_ID"]])) == [key]


def test_an_application_that_was_not_named_gets_401_and_the_slave_still_its_key(managers: KeyManagers) -> None:
    mine, other = keys(post(managers)), keys(post(managers, path="/api/v1/keys/cafe/enc_keys"))
    reply = fetch(managers, [mine[0]["key_ID"]], "cafe")
    assert (reply.status, reply.body) == (401, b"")
    reply = fetch(managers, [mine[0]["key_ID"], other[0]["key_ID"]], "cafe")  # named in one of two
    assert (reply.status, reply.body) == (401, b"")
    assert keys(fetch(managers, [mine[0]["key_ID"]])) == mine
    assert keys(fetch(managers, [other[0]["key_ID"]], "cafe")) == other


@pytest.mark.parametrize("bad", ["", "1", f"{{{ABSENT}}}", f"urn:uuid:{ABSENT}", ABSENT.replace("-", ""), ABSENT + "0"])
def test_a_key_id_is_a_uuid(managers: KeyManagers, bad: str) -> None:
    assert "UUID" in message(fetch(managers, [bad]))


def test_the_list_of_ids_has_its_limits(managers: KeyManagers) -> None:
    assert "1 to 128" in message(fetch(managers, []))
    assert "1 to 128" in message(fetch(managers, [str(uuid.uuid4()) for _ in range(129)]))
    assert "twice" in message(fetch(managers, [ABSENT, ABSENT]))
    message(post(managers, "shop", "/api/v1/keys/bank/dec_keys"))


def test_extensions_of_ids_are_for_the_future_and_passed_over(managers: KeyManagers) -> None:
    (key,) = keys(post(managers))
    asked = [{"key_ID": key["key_ID"], "key_ID_extension": {"acme_x": 1}}]
    found = post(managers, "shop", "/api/v1/keys/bank/dec_keys", key_IDs=asked, key_IDs_extension={"acme_y": []})
    assert keys(found) == [key]


def test_the_get_form_has_one_id_alone(managers: KeyManagers) -> None:
    for query in ("", "?key_ID=", f"?key_ID={ABSENT}&key_ID={ABSENT}", f"?key_ID={ABSENT}&size=8", f"?key_id={ABSENT}"):
        message(managers.ask("shop", "GET", f"/api/v1/keys/bank/dec_keys{query}", port=managers.other_port))


# --- 503 --------------------------------------------------------------------------------------------------------------


def test_too_few_keys_are_503_and_none_is_given(managers: KeyManagers) -> None:
    managers.network.stock = 2
    reply = post(managers, number=3)
    assert "not enough key" in message(reply, 503)
    assert reply.headers["Retry-After"] == "3"  # 2.5 s, in whole seconds
    assert managers.network.stock == 2


@pytest.mark.parametrize(
    "reason",
    [Reason.NO_KEY, Reason.PEER_SILENT, Reason.QUOTA, Reason.STARTING, Reason.DRAINING, Reason.STORE, Reason.TOO_OLD],
)
def test_what_may_pass_is_503_with_its_reason_and_a_time(managers: KeyManagers, reason: Reason) -> None:
    managers.here.fails = KeyRefusedError("in words", reason)
    for reply in (post(managers), managers.ask("bank", "GET", f"/api/v1/keys/shop/dec_keys?key_ID={ABSENT}")):
        assert message(reply, 503) == "in words"
        assert json.loads(reply.body)["details"] == [{"tokaido_reason": reason.value}]
        assert int(reply.headers["Retry-After"]) >= 1
        assert (reply.headers["Connection"] == "close") == (reason is Reason.DRAINING)


def test_a_failure_inside_is_503_and_says_nothing_of_it(
    managers: KeyManagers, caplog: pytest.LogCaptureFixture
) -> None:
    managers.here.fails = RuntimeError("SECRET")
    assert message(post(managers), 503) == "internal error"
    assert "RuntimeError" in caplog.text
    assert "SECRET" not in caplog.text
    managers.here.fails = None
    keys(post(managers))
