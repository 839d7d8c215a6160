"""The leases under which clients move the links of the server's station: those of the station file itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokaido.hal import SYSTEM_CLOCK, Clock, ConfigurationError, Lease, LeaseBook, LeaseLostError
from tokaido.hal.sharing import ServedHalfLink, ServedLink

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tokaido.hal import HalfLinkEntry, LinkEntry, PortPairs
    from tokaido.lab.sharing._holds import Client


class LinkLeases:
    """Acquires, keeps and ends leases of links for clients, in one thread. Nothing of them is kept here but the books.

    They are in the `lease_file` of the link, where a program beside the server finds them too, and their fencing tokens
    go on with those that the units heed.

    Args:
        links: Of the station, by name.
        half_links: Its ends of links to other nodes, by name.
        clock: Where time comes from.
    """

    def __init__(
        self,
        links: Mapping[str, LinkEntry],
        half_links: Mapping[str, HalfLinkEntry],
        *,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._whole = links
        self._halves = half_links
        self._links: dict[str, LinkEntry | HalfLinkEntry] = {**links, **half_links}
        self._clock = clock
        self._books: dict[Path, LeaseBook] = {}

    def acquire(self, name: str, client: Client, holder: str, seconds: float) -> Lease:
        """Acquire the lease of a link with its devices.

        Raises:
            ConfigurationError: The station has no such link, or the link no lease file.
            LeaseHeldError: Somebody has the lease of one of them.
            LeaseError: The file cannot be read or written.
        """
        return self._book(name).acquire(self._links[name].lease_names, f"{_sign(client)}: {holder}", seconds)

    def keep(self, name: str, client: Client, fencing_token: int, seconds: float, *, renew: bool) -> float:
        """Return how long a lease lasts still, in s, after it was renewed if that is wanted.

        Raises:
            LeaseLostError: It ran out, or somebody else has it.
            LeaseError: The file cannot be read or written.
        """
        lease = self._lease(name, client, fencing_token, seconds)
        if renew:
            lease.renew()
        return lease.check()

    def end(self, name: str, client: Client, fencing_token: int) -> None:
        """Give a lease back; one that was lost stays with its new holder.

        Raises:
            LeaseError: The file cannot be written.
        """
        try:
            lease = self._lease(name, client, fencing_token, 1.0)
        except LeaseLostError:
            return
        lease.release()

    def told(self) -> list[ServedLink]:
        """Return what clients are told of the whole links."""
        return [
            ServedLink(link.name, link.transmitter, link.receiver, _copied(link), list(link.receiver_switches))
            for link in self._whole.values()
        ]

    def told_of_halves(self) -> list[ServedHalfLink]:
        """Return what clients are told of the ends of links to other nodes."""
        return [
            ServedHalfLink(end.name, end.unit, end.neighbour, end.peer, _copied(end)) for end in self._halves.values()
        ]

    def close(self) -> None:
        """Let go of the files; leases stay."""
        for book in self._books.values():
            book.close()

    def _lease(self, name: str, client: Client, fencing_token: int, seconds: float) -> Lease:
        """Return a lease that this client has."""
        book, names = self._book(name), self._links[name].lease_names
        found = book.inspect(names[0])
        if found is None or found.fencing_token != fencing_token or not found.holder.startswith(_sign(client)):
            why = "ran out" if found is None else f"is that of {found.holder} now, under token {found.fencing_token}"
            raise LeaseLostError(
                f"the lease of {names[0]} under token {fencing_token} {why}",
                remedy="Order nothing any more; acquire it again and read every device first",
            )
        return Lease(book, names, found.holder, fencing_token, seconds)

    def _book(self, name: str) -> LeaseBook:
        link = self._links.get(name)
        if link is None:
            raise ConfigurationError(
                f"the server has no link {name[:80]!r}", remedy=f"It has {', '.join(self._links) or 'none'}"
            )
        if link.lease_file is None:
            raise ConfigurationError(
                f"link {name} cannot be moved without leases",
                remedy=f'Give [links.{name}] of the server\'s station file a lease_file, such as "leases.sqlite"',
            )
        if link.lease_file not in self._books:
            self._books[link.lease_file] = LeaseBook(link.lease_file, clock=self._clock)
        return self._books[link.lease_file]


def _copied(link: LinkEntry | HalfLinkEntry) -> dict[str, dict[str, PortPairs]]:
    return {path: dict(needs) for path, needs in link.paths.items()}


def _sign(client: Client) -> str:
    return f"{client.name} ({client.who})"
