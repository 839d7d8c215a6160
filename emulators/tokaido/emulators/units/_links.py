"""The QKD links of a unit: which one is in force, and a pre-shared key with its one-time pads for each.

A link is two units and the named path between them. Its key, its pads and its sessions are its own.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
from typing import TYPE_CHECKING, Final, NamedTuple

from tokaido.emulators.units._budget import BATCH, BUDGET
from tokaido.emulators.units._readings import Refusal
from tokaido.hal import KeyMaterial
from tokaido.hal.authentication import AuthenticationPool, PadLedgerError

if TYPE_CHECKING:
    from tokaido.emulators.units._faults import UnitSide
    from tokaido.hal.authentication import PadLedger

MAX_LINKS: Final = 32
"""Links that may have a pre-shared key at the same time."""
MAX_FENCING_TOKEN: Final = 2**53 - 1
SERIAL_NUMBER: Final = re.compile(r"[A-Z0-9-]{4,24}")
_PATH: Final = re.compile(r"[A-Za-z0-9._-]{1,24}")


class UnitLink(NamedTuple):
    """One link, as one of its units names it."""

    peer: str
    """Serial number of the other unit, or "-" for any unit."""
    path: str
    """Name of the path, or "-" together with the peer."""

    @property
    def named(self) -> bool:
        """Whether it names a peer."""
        return self.peer != "-"


ANYBODY: Final = UnitLink("-", "-")
"""The link at delivery: any unit."""


def parse_link(peer: str, path: str) -> UnitLink:
    """Return the link of these names.

    Raises:
        Refusal: RANGE, when one has another form.
    """
    link = UnitLink(peer, path)
    if link == ANYBODY:
        return link
    if not SERIAL_NUMBER.fullmatch(peer):
        raise Refusal("RANGE", "peer is a serial number, 4 to 24 of A-Z0-9-, or - together with the path")
    if path == "-" or not _PATH.fullmatch(path):
        raise Refusal("RANGE", "path is 1 to 24 of A-Za-z0-9._-, or - together with the peer")
    return link


class UnitLinks:
    """The links of one unit. No pad is ever used twice, whatever is loaded, selected and erased.

    Args:
        side: Which end of its links the unit is.
        insecure: Whether keys are marked so.
        ledger: Where spent pads are noted: for ever, since another box may have spent pads of a key that was erased
            here, and on disk if the unit has a folder for its state.
    """

    def __init__(self, side: UnitSide, *, insecure: bool, ledger: PadLedger) -> None:
        self._side: Final = side
        self._insecure = insecure
        self._ledger = ledger
        self._salt = os.urandom(32)
        self._pools: dict[UnitLink, AuthenticationPool] = {}
        self._loaded: dict[UnitLink, bytes] = {}
        self.in_force = ANYBODY
        self.fencing_token = 0
        """Fencing token of the selection in force."""

    @property
    def pool(self) -> AuthenticationPool | None:
        """One-time pads of the link in force, or None when it has no pre-shared key."""
        return self._pools.get(self.in_force)

    def remaining(self) -> dict[UnitLink, int]:
        """Return the links that have a pre-shared key, and the authentication key that is left for each, in bit."""
        return {link: pool.remaining_bits for link, pool in self._pools.items()}

    def select(self, link: UnitLink, fencing_token: int | None) -> None:
        """Put a link into force.

        Raises:
            Refusal: REFUSED, for a fencing token below the one in force, or without a pre-shared key.
        """
        if fencing_token is not None and fencing_token < self.fencing_token:
            raise Refusal("REFUSED", f"fencing token {fencing_token} is below {self.fencing_token}")
        if link.named and link not in self._pools:
            raise Refusal("REFUSED", f"no pre-shared key is loaded for {link.peer} over {link.path}")
        self.in_force = link
        self.fencing_token = self.fencing_token if fencing_token is None else fencing_token

    def load(self, link: UnitLink, key: bytes) -> bool:
        """Take the pre-shared key of a link and return whether it is another than before.

        A key that the link had earlier goes on where its pads were left.

        Raises:
            Refusal: RANGE, for a key that another link has or had, or for one link too many; INTERNAL, if it cannot be
                found out which of its pads were spent.
        """
        fingerprint = hmac.new(self._salt, key, hashlib.sha256).digest()
        if self._loaded.get(link) == fingerprint:
            return False
        name = f"{self._side}|{link.peer}|{link.path}"
        if self._of_another(key, name):
            tense = "is" if fingerprint in self._loaded.values() else "was"
            raise Refusal("RANGE", f"this pre-shared key {tense} loaded for another link")
        if link not in self._pools and len(self._pools) >= MAX_LINKS:
            raise Refusal("RANGE", f"pre-shared keys of {MAX_LINKS} links are loaded, and there is no room for more")
        if link in self._pools:
            self._loaded.pop(link)
            self._pools.pop(link).close()
        try:
            account = self._ledger.open(key, name)
        except PadLedgerError as error:
            raise Refusal("INTERNAL", error.what) from error
        self._loaded[link] = fingerprint
        self._pools[link] = AuthenticationPool(
            KeyMaterial(key, insecure=self._insecure),
            end=self._side,
            persist=account.persist,
            resume=account.marks,
            batch=BATCH,
            budget=BUDGET,
        )
        return True

    def _of_another(self, key: bytes, name: str) -> bool:
        try:
            return self._ledger.is_of_another(key, name)
        except PadLedgerError as error:
            raise Refusal("INTERNAL", error.what) from error

    def erase(self) -> None:
        """Erase the pre-shared keys of all links and what is left of them; the link in force stays."""
        for pool in self._pools.values():
            pool.close()
        self._pools.clear()
        self._loaded.clear()
        self._ledger.close()
