"""Two-sided distillation of keys: sifting, parameter estimation, Cascade, verification, privacy amplification, tags."""

from tokaido.emulators.distillation._codec import MessageError
from tokaido.emulators.distillation._distiller import Distiller
from tokaido.emulators.distillation._receiver import ReceiverDistiller
from tokaido.emulators.distillation._results import (
    AbortedBlock,
    AbortReason,
    AcceptedBlock,
    BlockResult,
    DistillationStatistics,
    EpsilonLedger,
    QuarantinedBlock,
)
from tokaido.emulators.distillation._settings import QBER_ABORT, DistillationSettings
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
    "MessageError",
    "QuarantinedBlock",
    "ReceiverDistiller",
    "TransmitterDistiller",
]
