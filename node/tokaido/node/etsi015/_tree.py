"""A node's status as data of ETSI GS QKD 015 in JSON (RFC 7951): a pure function, with no key and no id of one."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from urllib.parse import quote

from tokaido.node.tls import SAE_URI

if TYPE_CHECKING:
    from tokaido.node.etsi015._site import Site
    from tokaido.node.operation import AlarmLine, LinkLine, NodeStatus, PairLine

STANDARD: Final = "etsi-qkd-sdn-node"
"""The standard's module."""
OURS: Final = "tokaido-qkd-node"
"""The module that adds to it."""
MOST_U32: Final = 0xFFFF_FFFF
KEY_BITS: Final = 256
"""Size of the keys that pairs count."""
Data: TypeAlias = dict[str, Any]


def qkd_node(status: NodeStatus, site: Site, *, readers: int = 0, dropped: int = 0) -> Data:
    """Return the container `qkd_node`.

    Args:
        status: Of the node.
        site: The node's names and devices.
        readers: How many read the notifications.
        dropped: How many readers were too slow.
    """
    direct = {site.neighbours.get(link.name, link.neighbour) for link in status.links}
    devices = {link.device: link for link in status.links}
    links = [_link(link, site) for link in status.links]
    links += [_virtual(pair, site) for pair in status.pairs if pair.target and pair.neighbour not in direct]
    found: Data = {
        "qkdn_id": site.node_id(),
        "qkdn_status": identity("DOWN" if status.level == "not serving" else "OPERATING"),
        "qkdn_version": site.version,
        "qkdn_capabilities": {
            "link_stats_support": True,
            "application_stats_support": False,
            "key_relay_mode_enable": status.relaying,
        },
        "qkd_applications": {
            "qkd_app": [
                {
                    "app_id": site.application_id(one.name),
                    "app_type": identity("CLIENT"),
                    "server_app_id": SAE_URI + quote(one.name, safe=""),
                    "local_qkdn_id": site.node_id(),
                }
                for one in status.applications
                if one.here
            ]
        },
        "qkd_interfaces": {"qkd_interface": [_interface(link, site) for link in devices.values()]},
        "qkd_links": {"qkd_link": links},
        f"{OURS}:name": status.node,
        f"{OURS}:level": status.level,
        f"{OURS}:headline": status.headline,
        f"{OURS}:up-seconds": whole(status.up_s),
        f"{OURS}:emulation": status.emulation,
        f"{OURS}:pairs": {"pair": [_pair(pair, site) for pair in status.pairs]},
        f"{OURS}:alarms": {"alarm": [_alarm(alarm) for alarm in status.alarms]},
        f"{OURS}:notification-readers": {"open": readers, "dropped": str(dropped)},
    }
    return found if site.version else {name: value for name, value in found.items() if name != "qkdn_version"}


def link_status(link: LinkLine) -> str:
    """Return the name of the standard's status of a link."""
    if link.running:
        return "ACTIVE"
    if link.stock_bits > 0:
        return "PASSIVE"
    return "OFF" if link.phase in {"maintenance", "needs a person", "watching"} else "PENDING"


def interface_status(link: LinkLine) -> str:
    """Return the name of the standard's status of a link's unit; empty: nothing was heard of it yet."""
    if link.phase == "silent" or link.state in {"FAULT", "SECURITY_HOLD"}:
        return "FAILED"
    if link.state in {"OFF", "ZEROIZE", "UPDATE"}:
        return "DISABLED"
    return "" if link.answered_s is None else "ENABLED"


def identity(name: str) -> str:
    """Return an identity of the standard, as a value in JSON (RFC 7951, 6.8)."""
    return f"etsi-qkd-node-types:{name}"


def severity(exact: str) -> str:
    """Return the standard's severity for one of ours."""
    return identity("MAJOR" if exact in {"CRITICAL", "MAJOR"} else "MINOR")


def decimal(value: float, digits: int) -> str:
    """Return a decimal64 in its canonical form (RFC 7950, 9.3.2)."""
    text = f"{value:.{digits}f}".rstrip("0")
    return f"{text}0" if text.endswith(".") else text


def whole(value: float) -> str:
    """Return an unsigned integer of 64 bit, which JSON has as text (RFC 7951, 6.1)."""
    return str(min(max(round(value), 0), (1 << 64) - 1)) if isfinite(value) else "0"


def _link(link: LinkLine, site: Site) -> Data:
    neighbour = site.neighbours.get(link.name, link.neighbour)
    performance: Data = {}
    rate = link.secret_key_rate
    if rate is not None and 0 <= rate < MOST_U32:
        performance["skr"] = round(rate)
    if link.qber is not None and isfinite(link.qber):
        performance["phys_perf"] = [{"perf_type": identity("QBER"), "value": decimal(100 * link.qber, 3)}]
    found: Data = {
        "qkdl_id": site.link_id(link.name, neighbour),
        "qkdl_status": identity(link_status(link)),
        "qkdl_enable": link.phase != "maintenance",
        "qkdl_local": {"qkdn_id": site.node_id(), "qkdi_id": site.interface_id(link.device)},
        "qkdl_remote": {"qkdn_id": site.node_id(neighbour)},
        "qkdl_type": identity("PHYS"),
        "qkdl_performance": performance,
        f"{OURS}:name": link.name,
        f"{OURS}:neighbour": neighbour,
        f"{OURS}:stock-bits": whole(link.stock_bits),
    }
    if link.device in site.roles:
        found["phys_qkd_role"] = identity(site.roles[link.device])
    if link.reserve_s is not None:
        found[f"{OURS}:reserve-seconds"] = whole(link.reserve_s)
    if link.authentication_bits is not None:
        found[f"{OURS}:authentication-bits"] = whole(link.authentication_bits)
    if rate is not None and isfinite(rate):
        found[f"{OURS}:secret-key-rate"] = whole(rate)
    if link.qber is not None and isfinite(link.qber):
        found[f"{OURS}:qber"] = decimal(link.qber, 9)
    if link.why:
        found[f"{OURS}:why"] = link.why
    return found


def _virtual(pair: PairLine, site: Site) -> Data:
    """Return the virtual link to a node that keys are relayed to."""
    stocked = "PASSIVE" if pair.ready else "PENDING"
    expected = pair.demand * KEY_BITS
    found: Data = {
        "qkdl_id": site.pair_id(pair.neighbour),
        "qkdl_status": identity("ACTIVE" if pair.route else stocked),
        "qkdl_local": {"qkdn_id": site.node_id()},
        "qkdl_remote": {"qkdn_id": site.node_id(pair.neighbour)},
        "qkdl_type": identity("VIRT"),
        "qkdl_performance": {"expected_consumption": round(expected)} if 0 <= expected < MOST_U32 else {},
        f"{OURS}:name": pair.neighbour,
        f"{OURS}:neighbour": pair.neighbour,
        f"{OURS}:stock-bits": whole(pair.ready * KEY_BITS),
    }
    if len(pair.route) > 1:
        found["virt_next_hop"] = [site.node_id(pair.route[1])]
    if pair.reserve_s is not None:
        found[f"{OURS}:reserve-seconds"] = whole(pair.reserve_s)
    return found


def _interface(link: LinkLine, site: Site) -> Data:
    found: Data = {"qkdi_id": site.interface_id(link.device), f"{OURS}:name": link.device}
    if link.device in site.drivers:
        found["qkdi_model"] = site.drivers[link.device].replace(".", "/", 1)
    if link.device in site.switches:
        found["qkdi_att_point"] = {"device": site.switches[link.device]}
    if link.device in site.roles:
        found["qkdi_capabilities"] = {"role_support": identity(site.roles[link.device])}
    if status := interface_status(link):
        found["qkdi_status"] = identity(status)
    if link.state:
        found[f"{OURS}:state"] = link.state
    return found


def _pair(pair: PairLine, site: Site) -> Data:
    found: Data = {
        "neighbour": pair.neighbour,
        "qkdn-id": site.node_id(pair.neighbour),
        "ready-bits": whole(pair.ready * KEY_BITS),
        "target-bits": whole(pair.target * KEY_BITS),
    }
    if pair.reserve_s is not None:
        found["reserve-seconds"] = whole(pair.reserve_s)
    return found


def _alarm(alarm: AlarmLine) -> Data:
    found: Data = {
        "code": alarm.code,
        "of": alarm.of,
        "exact-severity": alarm.severity,
        "message": alarm.text,
        "to-do": alarm.to_do,
        "raised": alarm.raised,
        "lasts": alarm.lasts,
        "acknowledged": bool(alarm.acknowledged_by),
    }
    if alarm.cause:
        found |= {"cause": alarm.cause, "cause-of": alarm.cause_of}
    return found
