"""What a node tells is valid by the standard's published modules and by ours, where those modules are at hand.

They are not in this repository: the folder `shared` beside it has them, or the tests are skipped. `yangson` validates;
`pyang` brings the modules of the IETF.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import tokaido.node.etsi015
from tokaido.hal import Severity
from tokaido.node.etsi015 import Notices, Site, datastore, notification, qkd_node
from tokaido.node.operation import AlarmChange, Change, NodeAlarm
from tokaido_testing.node_lines import FINE, LINK, PAIR, TAMPER, but

if TYPE_CHECKING:
    from tokaido.node.operation import NodeStatus

yangson = pytest.importorskip("yangson", reason="yangson is not installed")

ROOT = Path(__file__).parents[3]
OURS = Path(str(tokaido.node.etsi015.__file__)).with_name("tokaido-qkd-node.yang")
IETF = Path(sys.prefix) / "share" / "yang" / "modules" / "ietf"
STANDARDS = ("etsi-qkd-sdn-node.yang", "etsi-qkd-node-types.yang")
IETF_MODULES = ("ietf-yang-types.yang", "ietf-inet-types.yang", "ietf-restconf-monitoring.yang")
SITE = Site(
    "otemachi",
    version="1.2",
    neighbours={"field": "koganei"},
    drivers={"alice": "toshiba.transmitter"},
    roles={"alice": "TRANSMITTER"},
    switches={"alice": "switch"},
)
FAR = but(PAIR, neighbour="kobe", route=("otemachi", "koganei", "kobe"))
STATUSES = {
    "fine": FINE,
    "far": but(FINE, alarms=(TAMPER, but(TAMPER, of="", cause="LOS", cause_of="field")), pairs=(PAIR, FAR)),
    "down": but(FINE, level="not serving", links=(but(LINK, running=False, stock_bits=0, phase="silent", why="w"),)),
    "bare": but(FINE, links=(but(LINK, qber=None, secret_key_rate=None, reserve_s=None),), pairs=()),
}


@pytest.fixture(scope="module")
def published() -> Path:
    for folder in (base / "shared" for base in ROOT.parents):
        found = next((one.parent for one in folder.rglob(STANDARDS[0])), None) if folder.is_dir() else None
        if found is not None:
            break
    else:
        pytest.skip("the published modules of ETSI GS QKD 015 are not in a folder `shared` beside the repository")
    if not IETF.is_dir():
        pytest.skip("pyang, which brings the modules of the IETF, is not installed")
    return found


@pytest.fixture(scope="module")
def schemas(published: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The modules as they were published, and with a condition that names the identity with its module."""
    return {
        name: model(published, tmp_path_factory.mktemp(name), patched=name == "patched")
        for name in ("published", "patched")
    }


def model(published: Path, folder: Path, *, patched: bool) -> Any:
    for name in STANDARDS:
        text = (published / name).read_text(encoding="utf-8")
        if patched:
            for kind in ("PHYS", "VIRT"):
                text = text.replace(f"qkdl_type = '{kind}'", f"qkdl_type = 'etsi-qkd-node-types:{kind}'")
        (folder / name).write_text(text, encoding="utf-8")
    (folder / OURS.name).write_text(OURS.read_text(encoding="utf-8"), encoding="utf-8")
    library = datastore({})["ietf-yang-library:modules-state"]
    library["module"] = [module for module in library["module"] if module["name"] != "ietf-yang-library"]
    for name in IETF_MODULES:
        (folder / name).write_text((IETF / name).read_text(encoding="utf-8"), encoding="utf-8")
    return yangson.DataModel(json.dumps({"ietf-yang-library:modules-state": library}), [str(folder)])


def validate(schema: Any, data: dict[str, Any]) -> None:
    schema.from_raw(data).validate(ctype=yangson.enumerations.ContentType.all)


def state(status: NodeStatus) -> dict[str, Any]:
    """Return the data, without those of the YANG library: pyang has a later module of it."""
    data = datastore(qkd_node(status, SITE, readers=2, dropped=3))
    del data["ietf-yang-library:modules-state"]
    return data


@pytest.mark.parametrize("name", STATUSES)
def test_a_status_is_valid(schemas: dict[str, Any], name: str) -> None:
    validate(schemas["patched"], state(STATUSES[name]))


def test_as_published_the_condition_on_physical_links_refuses_what_it_is_for(schemas: dict[str, Any]) -> None:
    with pytest.raises(yangson.exceptions.ValidationError, match="phys_"):
        validate(schemas["published"], state(FINE))
    data = state(FINE)
    for link in data["etsi-qkd-sdn-node:qkd_node"]["qkd_links"]["qkd_link"]:
        del link["phys_qkd_role"]
        del link["qkdl_performance"]["phys_perf"]
    validate(schemas["published"], data)


@pytest.mark.parametrize(
    ("leaf", "value"),
    [("qkdl_status", "etsi-qkd-node-types:RUNNING"), ("qkdl_id", "field"), ("tokaido-qkd-node:stock-bits", "-1")],
)
def test_what_is_wrong_is_seen(schemas: dict[str, Any], leaf: str, value: str) -> None:
    data = state(FINE)
    data["etsi-qkd-sdn-node:qkd_node"]["qkd_links"]["qkd_link"][0][leaf] = value
    with pytest.raises(yangson.exceptions.YangsonException):
        validate(schemas["patched"], data)


@pytest.mark.parametrize("change", Change)
@pytest.mark.parametrize("of", ["field", "alice", ""])
def test_notifications_are_valid(schemas: dict[str, Any], change: Change, of: str) -> None:
    alarm = NodeAlarm("LOS", of, Severity.MAJOR, "no light", False, 0.0, cause=("TAMPER", "alice"))
    content = notification(AlarmChange(change, alarm), FINE, SITE)
    check_notification(schemas["patched"], content)
    [body] = content.values()
    body["loudness"] = 3
    with pytest.raises(yangson.exceptions.YangsonException):
        check_notification(schemas["patched"], content)


def test_notifications_of_what_went_down_are_valid(schemas: dict[str, Any]) -> None:
    notices = Notices(SITE)

    async def read() -> bytes | None:
        reader = notices.open()
        assert reader is not None
        notices.look(FINE)
        notices.look(STATUSES["down"])
        return await reader.next(0)

    data = asyncio.run(read())
    assert data is not None
    events = data.decode().split("\n\n")[:-1]
    assert len(events) == 2
    for event in events:
        content = json.loads(event.removeprefix("data: "))["ietf-restconf:notification"]
        content.pop("eventTime")
        check_notification(schemas["patched"], content)


def check_notification(schema: Any, content: dict[str, Any]) -> None:
    """See that each member of a notification is in its schema, with a value of its type."""
    [(name, body)] = content.items()
    module, _, local = name.partition(":")
    node = schema.schema.get_child(local, module)
    assert node is not None, name
    node.from_raw(body)
