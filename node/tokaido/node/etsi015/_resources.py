"""Resources of RESTCONF (RFC 8040) in a tree of JSON: what a path names, and what of it was asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote_to_bytes

from tokaido.node.etsi015._tree import OURS, STANDARD, Data

LIBRARY_VERSION: Final = "2016-06-21"
"""Of the YANG library (RFC 7895)."""
STREAM: Final = "/restconf/streams/NETCONF/json"
KEYS: Final[dict[str, tuple[str, ...]]] = {
    "qkd_app": ("app_id",),
    "qkd_interface": ("qkdi_id",),
    "qkd_link": ("qkdl_id",),
    "phys_perf": ("perf_type",),
    "pair": ("neighbour",),
    "alarm": ("code", "of"),
    "module": ("name", "revision"),
    "stream": ("name",),
    "access": ("encoding",),
}
"""Key leaves of each list."""
STATE: Final = frozenset(
    ("qkdn_status", "qkdi_status", "expected_consumption", "skr", "phys_perf", "modules-state", "restconf-state")
)
"""What is state in the modules (`config false`), besides all that is ours."""
MODULES: Final = (
    (STANDARD, "2022-01-30", "urn:etsi:qkd:yang:etsi-qkd-node", "implement"),
    ("etsi-qkd-node-types", "2022-01-30", "urn:etsi:qkd:yang:etsi-qkd-node-types", "implement"),
    (OURS, "2026-11-28", "urn:tokaido:yang:tokaido-qkd-node", "implement"),
    ("ietf-yang-library", LIBRARY_VERSION, "urn:ietf:params:xml:ns:yang:ietf-yang-library", "implement"),
    ("ietf-restconf-monitoring", "2017-01-26", "urn:ietf:params:xml:ns:yang:ietf-restconf-monitoring", "implement"),
    ("ietf-yang-types", "2013-07-15", "urn:ietf:params:xml:ns:yang:ietf-yang-types", "import"),
    ("ietf-inet-types", "2013-07-15", "urn:ietf:params:xml:ns:yang:ietf-inet-types", "import"),
)


@dataclass(frozen=True, slots=True)
class Found:
    """A resource."""

    name: str
    """With its module."""
    value: Any
    state: bool
    """Whether all of it is state."""


def datastore(node: Data) -> Data:
    """Return all data: the node's, and what RESTCONF says of itself."""
    return {
        f"{STANDARD}:qkd_node": node,
        "ietf-yang-library:modules-state": {
            "module-set-id": "-".join(revision for name, revision, _, _ in MODULES if name in {STANDARD, OURS}),
            "module": [
                {"name": name, "revision": revision, "namespace": namespace, "conformance-type": kind}
                for name, revision, namespace, kind in MODULES
            ],
        },
        "ietf-restconf-monitoring:restconf-state": {
            "capabilities": {
                "capability": ["urn:ietf:params:restconf:capability:defaults:1.0?basic-mode=explicit"],
            },
            "streams": {
                "stream": [
                    {
                        "name": "NETCONF",
                        "description": "Alarms, and links and units that go down",
                        "replay-support": False,
                        "access": [{"encoding": "json", "location": STREAM}],
                    }
                ]
            },
        },
    }


def find(data: Data, path: str) -> Found | None:
    """Return what a path below `/restconf/data/` names, percent-encoded as it came; None: nothing.

    Raises:
        ValueError: It is none by RFC 8040, section 3.5.3.
    """
    here: Any = data
    module, name, state = "", "", False
    parts = path.split("/")
    for index, part in enumerate(parts, 1):
        if isinstance(here, list):  # the one entry of a list
            here = here[0]
        qualified, equals, keys = part.partition("=")
        prefix, _, name = _decoded(qualified).rpartition(":")
        if not name:
            raise ValueError("a part of the path is empty")
        if not prefix and not module:
            raise ValueError(f"{name} stands without its module, such as {STANDARD}:{name}")
        member = name if module and prefix in {"", module} else f"{prefix}:{name}"
        module = prefix or module
        if not isinstance(here, dict) or member not in here:
            return None
        here, state = here[member], state or is_state(member)
        if equals:
            here = _entries(here, name, tuple(_decoded(key) for key in keys.split(",")))
            if not here:
                return None
        elif isinstance(here, list) and index < len(parts):
            raise ValueError(f"{name} is a list: name one entry by its keys, {name}={','.join(KEYS.get(name, ()))}")
    return Found(f"{module}:{name}", here, state)


def chosen(found: Found, content: str) -> Any:
    """Return what of a resource is configuration (`config`), state (`nonconfig`) or either (`all`); None: nothing."""
    if content == "all":
        return found.value
    return _chosen(found.value, found.state, want_state=content == "nonconfig")


def is_state(member: str) -> bool:
    """Return whether a member of an object is state, and all below it."""
    return member.startswith(f"{OURS}:") or member.rpartition(":")[2] in STATE


def _chosen(value: Any, state: bool, *, want_state: bool, keys: tuple[str, ...] = ()) -> Any:
    if state:
        return value if want_state else None
    if isinstance(value, dict):
        below = {
            name: _chosen(one, is_state(name), want_state=want_state, keys=KEYS.get(name, ()))
            for name, one in value.items()
        }
        found = {name: one for name, one in below.items() if one is not None}
        return {name: value[name] for name in keys} | found if found else None
    if isinstance(value, list) and value and isinstance(value[0], dict):
        entries = [_chosen(one, False, want_state=want_state, keys=keys) for one in value]
        return [one for one in entries if one is not None] or None
    return None if want_state else value


def _entries(here: Any, name: str, wanted: tuple[str, ...]) -> list[Any]:
    if not isinstance(here, list):
        raise ValueError(f"{name} is not a list, so it takes no keys")  # noqa: TRY004 - it is the path that is wrong
    keys = KEYS.get(name)
    if len(wanted) != (1 if keys is None else len(keys)):
        raise ValueError(f"{name} has the keys {', '.join(keys or ('itself',))}, and {len(wanted)} came")
    if keys is None:
        return [one for one in here if str(one) == wanted[0]]
    return [one for one in here if tuple(str(one[key]) for key in keys) == wanted]


def _decoded(text: str) -> str:
    return unquote_to_bytes(text).decode("utf-8")
