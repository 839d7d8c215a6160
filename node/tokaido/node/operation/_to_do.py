"""What a person does about an alarm, by its code: one sentence, for the person on duty at night."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tokaido.node.moving import MOVE_STUCK, MOVE_STUCK_TO_DO
from tokaido.node.operation._expiry import TO_DO as OF_ENDS
from tokaido.node.supervision import SupervisionAlarm

if TYPE_CHECKING:
    from collections.abc import Mapping

OF_THE_CORE: Final[Mapping[str, str]] = {
    "STORE_ROLLBACK": "Find out who put an old copy of a key store back; the keys between both nodes were burned",
    "STORE_FAILED": "Look at the disk of the key store; the node tries to open it again",
    "CONFIRM_FAILED": "See that both nodes have the same end-to-end key file; if they have, a relay altered keys",
    "KEYS_DIFFER": "Call the security officer: both ends of a link gave different keys under one name",
    "TAG_WRONG": "Look for who alters messages between the nodes; the link backs off by itself",
    "KEY_INSECURE": "Take the emulated source out of the station file: its keys protect nothing",
    "NEIGHBOUR_SILENT": "See whether the neighbour and the network to it run; keys in stock go to nobody meanwhile",
    "VERSION_MISMATCH": "Bring both nodes to one release, and see that each has the other's right name",
    "RELAY_FAILED": "Look at the node that the text names, and at its link to the next one: no key passes there",
    "FETCH_FAILED": "Look at the key source of the link at this end: it lacks what the other end drew",
    "STOCK_LOW": "Look at the link of that neighbour: it makes less key than is used",
}
OF_UNITS: Final[Mapping[str, str]] = {
    "LASER_TEMP": "Look at the unit's cooling; the node clears the fault when its cause is gone",
    "LASER_POWER": "Look at the unit's laser; if it stays, call the vendor",
    "PHOTON_NUMBER": "Look for light that enters the transmitter from the line; its pulses are brighter than set",
    "RNG_FAIL": "Call the vendor: the unit's random generator fails its test",
    "DET_TEMP": "Look at the cooling of the detectors; the node clears the fault when its cause is gone",
    "DETECTOR_BLINDING": "Treat it as an attack: find the bright light on the line before you acknowledge at the unit",
    "TROJAN_LIGHT": "Treat it as an attack: find the light from outside before you acknowledge at the unit",
    "TAMPER": "Go to the unit: its cover was opened. Load new keys if you cannot explain it",
    "AUTH_MISMATCH": "Load the same new pre-shared key at both units of the link, then acknowledge",
    "QBER_ABORT": "Look for an eavesdropper or a fault of the line before you acknowledge at the unit",
    "PHASE_ERROR_ABORT": "Look for an eavesdropper or a fault of the line before you acknowledge at the unit",
    "DETECTOR_MISMATCH": "Look at the detectors of the receiver: they favour one value",
    "QUARANTINE": "Acknowledge at the unit when you know why a block was locked away; the block is destroyed",
    "AUTH_KEY_LOW": SupervisionAlarm.AUTH_KEY_LOW.to_do,
    "QBER_HIGH": "Watch it; if it rises, look at the fibre and the alignment",
    "RATE_LOW": "Look at the loss of the link at the receiver",
    "EC_FAIL": "Watch it; blocks that fail often mean a bad line",
    "NO_KEY": "Blocks are too small for a key: look at loss and QBER, or set longer blocks at both units",
    "LOS": "Look at the fibre and the switches on the way: no clock light arrives",
    "SYNC_LOSS": "Look at the fibre and the transmitter: light arrives and cannot be followed",
    "PEER_UNREACHABLE": "Look at the classical channel of the link and at the unit at the other end",
    "SETTINGS_MISMATCH": "Set both units to the same length of blocks",
    "KEYSTORE_FULL": "See why the node does not draw: its own store may be full",
    "LEASE_EXPIRED": "Another program's watchdog ran out; see which one it was",
    "CHASSIS_TEMP": "Look at the cooling of the room",
}
OF_THE_NODE: Final[Mapping[str, str]] = {
    "ALARMS_DROPPED": "Clear the causes of the others first; look into the log for the rest",
    MOVE_STUCK: MOVE_STUCK_TO_DO,
    "BUS_LOST": "See that the hub runs and knows this node's certificate; keys need no bus, and its messages wait",
    "AUDIT_ALTERED": "Call the security officer: keep a copy of the store, then compare `audit show` with the journal",
    "DEVICE_CHANGED": "Find out who changed the box; then the officer: `tokaido node inventory accept NODE DEVICE`",
    "STORE_CLOSED": "Look at the disk of the key store; the node tries to open it again",
}
_BY_CODE: Final[Mapping[str, str]] = {
    **OF_UNITS,
    **OF_THE_CORE,
    **OF_THE_NODE,
    **OF_ENDS,
    **{alarm.code: alarm.to_do for alarm in SupervisionAlarm},
}


def to_do(code: str) -> str:
    """Return what a person does about an alarm of that code."""
    return _BY_CODE.get(code, "Look into the manual of the device that raised it")
