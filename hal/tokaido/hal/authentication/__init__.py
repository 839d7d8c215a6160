"""One-time authentication of messages: tags under pads that are used once and never again, across crashes too."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokaido.hal.lazy import lazily

__all__ = [
    "PADS_PER_BLOCK",
    "PAD_BYTES",
    "AuthenticationPool",
    "OneTimeAuthenticator",
    "PadBudget",
    "PadCounts",
    "PadLedger",
    "PadLedgerError",
    "PadMarks",
    "forgery_bound",
]

if TYPE_CHECKING:
    from tokaido.hal.authentication._authenticator import OneTimeAuthenticator, forgery_bound
    from tokaido.hal.authentication._pad_ledger import PadLedger
    from tokaido.hal.authentication._pad_marks import PadLedgerError, PadMarks
    from tokaido.hal.authentication._pad_segments import PAD_BYTES
    from tokaido.hal.authentication._pads import PADS_PER_BLOCK, AuthenticationPool, PadBudget, PadCounts
else:
    __getattr__, __dir__ = lazily(
        __name__,
        {
            "OneTimeAuthenticator": "tokaido.hal.authentication._authenticator",
            "forgery_bound": "tokaido.hal.authentication._authenticator",
            "PADS_PER_BLOCK": "tokaido.hal.authentication._pads",
            "AuthenticationPool": "tokaido.hal.authentication._pads",
            "PadBudget": "tokaido.hal.authentication._pads",
            "PadCounts": "tokaido.hal.authentication._pads",
            "PadMarks": "tokaido.hal.authentication._pad_marks",
            "PAD_BYTES": "tokaido.hal.authentication._pad_segments",
            "PadLedger": "tokaido.hal.authentication._pad_ledger",
            "PadLedgerError": "tokaido.hal.authentication._pad_marks",
        },
        __all__,
    )
