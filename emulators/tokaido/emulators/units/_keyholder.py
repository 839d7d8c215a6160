"""A unit as the holder of its keys: what is put into it, and what its host said of its blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokaido.emulators.units._box import Box

if TYPE_CHECKING:
    from tokaido.emulators.units._blocks import Blocks
    from tokaido.emulators.units._keychannel import KeyServer
    from tokaido.emulators.units._keystore import KeyStore
    from tokaido.emulators.units._links import UnitLink, UnitLinks
    from tokaido.emulators.units._peer import Peer
    from tokaido.hal import KeyBlockInfo, KeyMaterial


class KeyHolder(Box):
    """Pre-shared keys by link, and key blocks from their birth to their commit."""

    store: KeyStore
    links: UnitLinks
    blocks: Blocks
    peer: Peer
    keychannel: KeyServer

    def add_key_block(self, info: KeyBlockInfo, key: KeyMaterial) -> None:
        """Keep a block behind those that wait, and offer it to the hosts that wait for one."""
        self.touch()
        self.store.add(info, key)
        self.keychannel.serve_draws()

    def key_orders(self) -> list[tuple[str, str, int]]:
        """Return what hosts said of blocks, oldest first: "ack" or "commit", session, number."""
        return list(self.store.told)

    def load_psk(self, key: bytes, link: UnitLink | None = None) -> None:
        """Take the pre-shared key of a link, by default of the one in force.

        Raises:
            Refusal: RANGE; see `Links.load`.
        """
        self.touch()
        link = link or self.links.in_force
        if self.links.load(link, key) and link == self.links.in_force:
            self.blocks.end_session()
            self.peer.forget_proof()

    def forget_secrets(self) -> None:
        """Erase every key block and the pre-shared keys of all links."""
        self.store.erase()
        self.blocks.end_session()
        self.links.erase()
