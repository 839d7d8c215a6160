"""A status as data of ETSI GS QKD 015: what leaves come from, ids, limits of the standard's types, notifications."""

from __future__ import annotations

import asyncio
import json
import re
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid5

import pytest

from tokaido.hal import Severity
from tokaido.node.etsi015 import NAMESPACE, Notices, Site, chosen, datastore, find, notification, qkd_node
from tokaido.node.operation import AlarmChange, Change, NodeAlarm
from tokaido_testing.node_lines import FINE, LINK, PAIR, TAMPER, but

if TYPE_CHECKING:
    from tokaido.node.operation import NodeStatus

SITE = Site(
    "otemachi",
    network="tokaido",
    version="1.2",
    neighbours={"field": "koganei"},
    drivers={"alice": "toshiba.transmitter"},
    roles={"alice": "TRANSMITTER"},
    switches={"alice": "switch"},
)
FAR = but(PAIR, neighbour="kobe", route=("otemachi", "koganei", "kobe"), routes=1)
FULL = but(FINE, alarms=(TAMPER,), pairs=(PAIR, FAR))


def links(status: NodeStatus) -> list[dict[str, Any]]:
    found = qkd_node(status, SITE)["qkd_links"]["qkd_link"]
    assert isinstance(found, list)
    return found


def link(**changes: object) -> dict[str, Any]:
    return links(but(FINE, links=(but(LINK, **changes),)))[0]


def test_a_link_has_what_the_status_says() -> None:
    first = link()
    assert first["qkdl_id"] == str(uuid5(NAMESPACE, "tokaido/link/koganei/otemachi/field"))
    assert first["qkdl_status"] == "etsi-qkd-node-types:ACTIVE"
    assert first["qkdl_enable"] is True
    assert first["qkdl_remote"] == {"qkdn_id": SITE.node_id("koganei")}
    assert first["phys_qkd_role"] == "etsi-qkd-node-types:TRANSMITTER"
    performance = first["qkdl_performance"]
    assert performance["skr"] == 120_000
    assert performance["phys_perf"] == [{"perf_type": "etsi-qkd-node-types:QBER", "value": "3.1"}]
    assert first["tokaido-qkd-node:stock-bits"] == "8000000"
    assert first["tokaido-qkd-node:qber"] == "0.031"
    [unit] = qkd_node(FINE, SITE)["qkd_interfaces"]["qkd_interface"]
    assert unit["qkdi_id"] == first["qkdl_local"]["qkdi_id"]
    assert (unit["qkdi_model"], unit["qkdi_att_point"]) == ("toshiba/transmitter", {"device": "switch"})


def test_ids_are_the_same_at_both_ends_and_others_elsewhere() -> None:
    koganei = Site("koganei", network="tokaido")
    assert koganei.node_id("otemachi") == SITE.node_id()
    assert koganei.link_id("field", "otemachi") == SITE.link_id("field", "koganei")
    assert koganei.pair_id("otemachi") == SITE.pair_id("koganei")
    others = {SITE.node_id(), SITE.node_id("koganei"), SITE.link_id("field", "koganei"), SITE.pair_id("koganei")}
    others |= {Site("otemachi").node_id(), SITE.application_id("otemachi"), SITE.link_id("field", "kobe")}
    assert len(others) == 7
    assert {UUID(one).version for one in others} == {5}
    assert 0 <= SITE.interface_id("alice") < 1 << 32
    assert SITE.interface_id("alice") != SITE.interface_id("bob")


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({}, "ACTIVE"),
        ({"running": False}, "PASSIVE"),
        ({"running": False, "stock_bits": 0}, "PENDING"),
        ({"running": False, "stock_bits": 0, "phase": "maintenance"}, "OFF"),
        ({"running": False, "stock_bits": 0, "phase": "needs a person"}, "OFF"),
    ],
)
def test_the_status_of_a_link_is_the_standards(changes: dict[str, object], status: str) -> None:
    told = link(**changes)
    assert told["qkdl_status"] == f"etsi-qkd-node-types:{status}"
    assert told["qkdl_enable"] is (changes.get("phase") != "maintenance")


def test_a_rate_that_the_standard_cannot_hold_is_left_out_there_and_told_by_ours() -> None:
    most = link(secret_key_rate=4294967294.0)
    assert most["qkdl_performance"]["skr"] == 4294967294
    over = link(secret_key_rate=5e9)
    assert "skr" not in over["qkdl_performance"]
    assert over["tokaido-qkd-node:secret-key-rate"] == "5000000000"


@pytest.mark.parametrize(
    ("qber", "percent", "fraction"),
    [(0.03421, "3.421", "0.03421"), (0.0342178, "3.422", "0.0342178"), (0.0, "0.0", "0.0"), (0.5, "50.0", "0.5")],
)
def test_an_error_rate_is_percent_with_3_digits_and_ours_a_fraction(qber: float, percent: str, fraction: str) -> None:
    told = link(qber=qber)
    assert told["qkdl_performance"]["phys_perf"][0]["value"] == percent
    assert told["tokaido-qkd-node:qber"] == fraction


def test_what_is_not_known_is_left_out() -> None:
    told = link(qber=None, secret_key_rate=None, reserve_s=None, authentication_bits=None)
    assert told["qkdl_performance"] == {}
    ours = {name for name in told if name.startswith("tokaido")}
    assert ours == {f"tokaido-qkd-node:{name}" for name in ("name", "neighbour", "stock-bits")}
    [unit] = qkd_node(but(FINE, links=(but(LINK, state="", answered_s=None),)), SITE)["qkd_interfaces"]["qkd_interface"]
    assert "qkdi_status" not in unit
    assert "qkdn_version" not in qkd_node(FINE, Site("otemachi"))


def test_a_node_that_keys_are_relayed_to_is_a_virtual_link() -> None:
    _, far = links(FULL)
    assert (far["qkdl_type"], far["qkdl_status"]) == ("etsi-qkd-node-types:VIRT", "etsi-qkd-node-types:ACTIVE")
    assert far["virt_next_hop"] == [SITE.node_id("koganei")]
    assert far["qkdl_performance"] == {"expected_consumption": 2560}
    assert not any(name.startswith("phys") for name in far)
    [_, pair] = qkd_node(FULL, SITE)["tokaido-qkd-node:pairs"]["pair"]
    assert (pair["neighbour"], pair["ready-bits"]) == ("kobe", str(4096 * 256))


def test_no_key_and_no_id_of_one_is_in_it() -> None:
    text = json.dumps(datastore(qkd_node(FULL, SITE)))
    ids = {SITE.node_id(name) for name in ("otemachi", "koganei", "kobe")}
    ids |= {SITE.link_id("field", "koganei"), SITE.pair_id("kobe")}
    assert set(re.findall(r"[0-9a-f]{8}-[0-9a-f-]{27}", text)) == ids
    others = re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}|urn:[a-z:-]+|/restconf/[A-Za-z/]+", "", text)
    assert re.findall(r"[0-9a-fA-F]{16,}|[A-Za-z0-9+/=]{32,}", others) == []


# --- resources --------------------------------------------------------------------------------------------------------

NODE = "etsi-qkd-sdn-node:qkd_node"


def value(path: str, content: str = "all") -> Any:
    found = find(datastore(qkd_node(FULL, SITE)), path)
    return None if found is None else chosen(found, content)


def test_paths_name_containers_lists_entries_and_leaves() -> None:
    field = f"{NODE}/qkd_links/qkd_link={SITE.link_id('field', 'koganei')}"
    assert len(value(f"{NODE}/qkd_links/qkd_link")) == 2
    assert [one["tokaido-qkd-node:name"] for one in value(field)] == ["field"]
    assert value(f"{field}/qkdl_performance/phys_perf=etsi-qkd-node-types%3AQBER/value") == "3.1"
    assert value(f"{field}/tokaido-qkd-node:stock-bits") == "8000000"
    assert value(f"{NODE}/etsi-qkd-sdn-node:qkdn_id") == SITE.node_id()
    assert value(f"{NODE}/tokaido-qkd-node:alarms/alarm=TAMPER,alice/message") == "the cover was opened"
    assert value(f"{NODE}/qkd_links/qkd_link=x") is None
    assert value(f"{NODE}/stock-bits") is None
    assert value("etsi-qkd-node-types:qkd_node") is None


@pytest.mark.parametrize(
    "path",
    [
        "qkd_node",
        *(f"{NODE}/{rest}" for rest in ("", "/qkdn_id", "qkd_links/qkd_link/qkdl_id", "qkd_links=1", "%ff")),
        f"{NODE}/tokaido-qkd-node:alarms/alarm=TAMPER",
    ],
)
def test_what_is_no_path_says_why(path: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        value(path)


def test_configuration_and_state_are_told_apart() -> None:
    config = value(NODE, "config")
    assert "tokaido-qkd-node" not in json.dumps(config)
    assert "qkdn_status" not in config
    assert config["qkd_links"]["qkd_link"][0]["qkdl_type"] == "etsi-qkd-node-types:PHYS"
    state = value(NODE, "nonconfig")
    [field, _] = state["qkd_links"]["qkd_link"]
    assert field["qkdl_performance"]["skr"] == 120_000
    assert set(field) & {"qkdl_id", "qkdl_type"} == {"qkdl_id"}, "keys of entries stay"
    assert value(f"{NODE}/qkdn_id", "nonconfig") is None
    assert value(f"{NODE}/qkdn_status", "config") is None


# --- notifications ----------------------------------------------------------------------------------------------------


def change(code: str, of: str, what: Change = Change.RAISED, severity: Severity = Severity.CRITICAL) -> AlarmChange:
    return AlarmChange(what, NodeAlarm(code, of, severity, "the text", False, 0.0, cause=("LOS", "field")))


def test_an_alarm_names_its_link_its_unit_or_neither() -> None:
    details = {"code": "LOS", "of": "field", "change": "raised", "exact-severity": "CRITICAL"}
    details |= {"cause": "LOS", "cause-of": "field"}
    assert notification(change("LOS", "field"), FINE, SITE) == {
        "etsi-qkd-sdn-node:alarm": {
            "link": {
                "qkdl_id": SITE.link_id("field", "koganei"),
                "qkdl_status": "etsi-qkd-node-types:ACTIVE",
                "message": "the text",
                "severity": "etsi-qkd-node-types:MAJOR",
                **{f"tokaido-qkd-node:{name}": value for name, value in details.items()},
            }
        }
    }
    cleared = notification(change("TAMPER", "alice", Change.CLEARED, Severity.WARNING), FINE, SITE)
    unit = cleared["etsi-qkd-sdn-node:event"]["interface"]
    assert (unit["qkdi_id"], unit["severity"]) == (SITE.interface_id("alice"), "etsi-qkd-node-types:MINOR")
    [kind] = notification(change("STORE_FAILED", ""), FINE, SITE)
    assert kind == "tokaido-qkd-node:node-alarm"


def told(notices: Notices, *statuses: NodeStatus) -> list[str]:
    async def read() -> bytes | None:
        reader = notices.open()
        assert reader is not None
        for status in statuses:
            notices.look(status)
        return await reader.next(0)

    data = asyncio.run(read())
    assert data is not None
    events = [json.loads(line.removeprefix("data: ")) for line in data.decode().split("\n\n") if line]
    return [name for event in events for name in event["ietf-restconf:notification"] if name != "eventTime"]


def test_a_link_and_a_unit_that_go_down_are_told_once() -> None:
    down = but(FINE, links=(but(LINK, running=False, state="FAULT", phase="waiting"),))
    names = told(Notices(SITE), FINE, down, down)
    assert names == ["etsi-qkd-sdn-node:sdqkdn_link_down", "etsi-qkd-sdn-node:sdqkdn_interface_down"]
    assert told(Notices(SITE), down) == []
    meant = but(FINE, links=(but(LINK, running=False, phase="maintenance"),))
    assert told(Notices(SITE), FINE, meant) == []


def test_a_reader_that_is_slow_is_dropped_and_counted_and_others_are_not() -> None:
    async def read() -> None:
        notices = Notices(SITE, most_readers=2, most_waiting=3)
        slow, quick = notices.open(), notices.open()
        assert slow is not None
        assert quick is not None
        assert notices.open() is None
        dropped: list[bool] = []
        slow.drop = lambda: dropped.append(True)
        for _ in range(4):
            notices.changed(change("LOS", "field"))
            notices.look(FINE)
            assert await quick.next(0)
        assert (notices.dropped, notices.readers, dropped) == (1, 1, [True])
        assert await slow.next(0) is None
        notices.end()
        assert await quick.next(5) is None

    asyncio.run(read())
