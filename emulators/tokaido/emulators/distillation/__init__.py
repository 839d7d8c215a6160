"""Two-sided distillation of keys: sifting, parameter estimation, Cascade, verification, privacy amplification, tags."""

from tokaido.emulators.distillation._codec import MessageError
from tokaido.emulators.distillation._detector_watch import uneven_limit
from tokaido.emulators.distillation._distiller import Distiller
from tokaido.emulators.distillation._ledger import EpsilonLedger, LedgeredKey
from tokaido.emulators.distillation._receiver import ReceiverDistiller
from tokaido.emulators.distillation._results import (
    AbortedBlock,
    AbortReason,
    AcceptedBlock,
    BlockResult,
    DistillationStatistics,
    QuarantinedBlock,
)
from tokaido.emulators.distillation._settings import QBER_ABORT, DistillationSettings, LeakMode
from tokaido.emulators.distillation._transmitter import TransmitterDistiller

__all__ = [
    "QBER_ABORT",
    "AbortReason",
    "AbortedBlock",
    "AcceptedBlock",
    "BlockResult",
    "DistillationSettings",
    "DistillationStatistics",
    "Distiller",
    "EpsilonLedger",
    "LeakMode",
    "LedgeredKey",
    "MessageError",
    "QuarantinedBlock",
    "ReceiverDistiller",
    "TransmitterDistiller",
    "uneven_limit",
]
