"""The role of what gives key blocks: a unit, or a key manager that delivers keys of its own."""

from __future__ import annotations

from abc import abstractmethod
from enum import Enum
from typing import TYPE_CHECKING

from tokaido.hal._device import Device
from tokaido.hal._errors import UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tokaido.hal._keys import KeyBlock
    from tokaido.hal.transports._resources import Resource


class KeyEnd(Enum):
    """How the two ends of a key source come to hold the same block."""

    OWN = "own"
    """Each end draws its blocks by itself, by `key_blocks`: the two devices made them common before. So do units."""
    MASTER = "master"
    """This end draws blocks by `key_blocks`. The other end must be told the `key_ids` of each, to fetch it by."""
    SLAVE = "slave"
    """This end fetches, by `fetch_block`, the blocks that the master's end drew."""


class KeySource(Device):
    """Gives key blocks that its counterpart at the other end of the link gives as well.

    A block has one name at both ends, (link, session, number): the link is the caller's own name for it, `info.session`
    and `info.number` are the source's. Where keys have ids of their own, as in ETSI GS QKD 014, the session is the
    first key's id and the number is 0.
    """

    @classmethod
    def key_end_of(cls, resources: Mapping[str, Resource]) -> KeyEnd:  # noqa: ARG003 - for drivers with two kinds of ends
        """Return which end a device with these resources is, without opening it. Default: `KeyEnd.OWN`."""
        return KeyEnd.OWN

    @property
    def key_end(self) -> KeyEnd:
        """Which end this is, as its resources say."""
        return self.key_end_of(self._resources)

    @property
    def draws_lost(self) -> int:
        """How often keys were asked for and the reply was lost: what it held is gone. Default: 0, nothing is ever gone.

        A device that keeps a block until it is committed loses none; `KeyBlock.lost` counts what one that pushes lost.
        """
        return 0

    @abstractmethod
    def key_blocks(self, timeout: float, *, limit: int | None = None) -> Iterator[KeyBlock]:
        """Draw key blocks, oldest first, until none comes for `timeout` s or `limit` were drawn.

        At the end `KeyEnd.MASTER` the source forgets a block as it gives it. Store it when it comes; committing it does
        nothing. Tell the other end its `info.key_ids`.

        Raises:
            UnsupportedError: This is the end `KeyEnd.SLAVE`; see `fetch_block`.
            OutcomeUnknownError: The reply was lost, and with it the keys; `draws_lost` counts it. The next draw gives
                other keys.
        """

    def fetch_block(self, key_ids: Sequence[str], *, bits: int | None = None) -> KeyBlock:
        """Return the block of these keys, which the master's end drew. The source forgets it as it gives it.

        Args:
            key_ids: `info.key_ids` of the block at the master's end, in their order.
            bits: Length of that block, `info.bits`: a block of another length is never given. Default: any length.

        Raises:
            UnsupportedError: This is another end than `KeyEnd.SLAVE`.
            RefusedError: The source does not have them all, or not for us. None was given.
            OutcomeUnknownError: The reply was lost, and with it the keys; `draws_lost` counts it.
            ProtocolError: Something else came than these keys. It was thrown away, and the keys may be gone.
        """
        del key_ids, bits
        raise UnsupportedError(
            f"{self.name} fetches no block by its ids: it is the end {self.key_end.name}",
            device=self.name,
            remedy="Draw by key_blocks",
        )
