"""What applications of a demonstration do: one asks for keys, the other one fetches them, and both compare digests."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tokaido.console._output import print_table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from tokaido.node.client import KeyClient


@dataclass(frozen=True, slots=True)
class Application:
    """An application, and the node that serves it."""

    sae: str
    node: str
    control: Path
    """Where the node tells of itself."""
    client: KeyClient


@dataclass(frozen=True, slots=True)
class Delivery:
    """One key that two applications fetched, and what each of them holds."""

    master_sae: str
    slave_sae: str
    key_id: str
    bits: int
    route: tuple[str, ...]
    digest_master: str
    digest_slave: str

    @property
    def agree(self) -> bool:
        """Whether both hold the same key."""
        return secrets.compare_digest(self.digest_master, self.digest_slave)

    @property
    def record(self) -> dict[str, Any]:
        """All of it, ready for JSON."""
        return {
            "master_sae": self.master_sae,
            "slave_sae": self.slave_sae,
            "key_id": self.key_id,
            "bits": self.bits,
            "route": list(self.route),
            "digest_master": self.digest_master,
            "digest_slave": self.digest_slave,
            "agree": self.agree,
        }


def deliver(
    master: Application,
    slave: Application,
    wanted: tuple[int, int],
    nonce: bytes,
    route: Callable[[], tuple[str, ...]] | None = None,
) -> Iterator[Delivery]:
    """Have one application ask for keys, and the other one fetch them by their ids.

    `wanted` is how many keys, and of how many bits. `route` returns the route that keys went lately; default: what the
    master's node says of the next ones.
    """
    given = master.client.enc_keys(slave.sae, number=wanted[0], size=wanted[1])
    taken = slave.client.dec_keys(master.sae, [key.key_id for key in given])
    way = route_of(master.control, slave.node) if route is None else route()
    for one, other in zip(given, taken, strict=True):
        with one as first, other as second:
            yield Delivery(
                master.sae, slave.sae, str(one.key_id), first.bits, way, first.digest(nonce), second.digest(nonce)
            )


def route_of(control: Path, other: str) -> tuple[str, ...]:
    """Return the route that keys for another node go, as the node says that listens at `control`."""
    from tokaido.node.operation import ControlClient  # noqa: PLC0415 - aiohttp, when first needed

    status = ControlClient(control).status()
    return next((tuple(pair.route) for pair in status.pairs if pair.neighbour == other), ())


def show_deliveries(deliveries: Sequence[Delivery]) -> None:
    """Print what was fetched."""
    print_table(
        ["from", "to", "key", "bits", "digest at the master", "digest at the slave", ""],
        [
            [
                delivery.master_sae,
                delivery.slave_sae,
                delivery.key_id,
                str(delivery.bits),
                delivery.digest_master[:16],
                delivery.digest_slave[:16],
                "agree" if delivery.agree else "DIFFER",
            ]
            for delivery in deliveries
        ],
    )
