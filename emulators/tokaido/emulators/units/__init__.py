"""What every emulated unit is, of any vendor: states, alarms, keys, sessions, and the hardware of either side.

A vendor's family subclasses `TransmitterUnit` and `ReceiverUnit`: it gives the rating plate (class attributes), what
speaks at the control port (`ControlPort`), how messages of the key channel are written (`KeyFormat`), and what its
hardware has beyond this. Settings and readings have the names of the roles in `tokaido.hal`; a family maps those of
its own protocol onto them.
"""

from tokaido.emulators.units._alarms import ALARMS, ActiveAlarm, AlarmBook, AlarmChange, AlarmKind, Latch
from tokaido.emulators.units._box import ControlPort
from tokaido.emulators.units._faults import MODEL_FAULTS, ModelFaults
from tokaido.emulators.units._keyformat import Header, KeyFormat
from tokaido.emulators.units._keystore import KeyStore
from tokaido.emulators.units._links import ANYBODY, MAX_FENCING_TOKEN, UnitLink, UnitLinks, parse_link
from tokaido.emulators.units._orders import ORDERS, Allowed, OrderName, Orders, setting_allowed
from tokaido.emulators.units._readings import Refusal, UnitReading, no_data
from tokaido.emulators.units._receiver import Light, ReceiverUnit, of_detector
from tokaido.emulators.units._session import DETECTOR_RATIO, BlockOutcome, Session, Verdict, shannon
from tokaido.emulators.units._states import POWERED, State
from tokaido.emulators.units._thermal import Body
from tokaido.emulators.units._transmitter import TransmitterUnit
from tokaido.emulators.units._unit import TICK_NS, UnitModel
from tokaido.emulators.units._watchdog import Watchdog, parse_holder

__all__ = [
    "ALARMS",
    "ANYBODY",
    "DETECTOR_RATIO",
    "MAX_FENCING_TOKEN",
    "MODEL_FAULTS",
    "ORDERS",
    "POWERED",
    "TICK_NS",
    "ActiveAlarm",
    "AlarmBook",
    "AlarmChange",
    "AlarmKind",
    "Allowed",
    "BlockOutcome",
    "Body",
    "ControlPort",
    "Header",
    "KeyFormat",
    "KeyStore",
    "Latch",
    "Light",
    "ModelFaults",
    "OrderName",
    "Orders",
    "ReceiverUnit",
    "Refusal",
    "Session",
    "State",
    "TransmitterUnit",
    "UnitLink",
    "UnitLinks",
    "UnitModel",
    "UnitReading",
    "Verdict",
    "Watchdog",
    "no_data",
    "of_detector",
    "parse_holder",
    "parse_link",
    "setting_allowed",
    "shannon",
]
