"""The lease under which a link of a device server is moved: the server's own, with a hold of each device."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from tokaido.hal._errors import LeaseError, LeaseHeldError, LeaseLostError, TransportError
from tokaido.hal._numbers import real
from tokaido.hal.sharing._messages import AnyAsk, EndLease, KeepLease, LeaseLink

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from tokaido.hal.sharing._messages import Reply
    from tokaido.hal.sharing._served import ServedTransport
    from tokaido.hal.stations._entries import HalfLinkEntry, LinkEntry


class ServedLeases:
    """Gives the lease of one link of a device server, or of one end of it.

    Args:
        entry: The link, or the end.
        transports: The ways to its devices, by name.
        ask: Asks the server something; its second argument is what errors call it.
    """

    def __init__(
        self,
        entry: LinkEntry | HalfLinkEntry,
        transports: Mapping[str, ServedTransport],
        ask: Callable[[AnyAsk, str], Reply],
    ) -> None:
        self._entry = entry
        self._transports = dict(transports)
        self._ask = ask

    def acquire(self, name: str | Iterable[str], holder: str, seconds: float) -> ServedLease:
        """Take the lease of the link, then hold each of its devices: all of them or none.

        Raises:
            LeaseHeldError: Somebody moves the link, or holds one of its devices.
            LeaseError: These are not the names that a move of the link needs.
            RefusedError: This client may only look.
            ConfigurationError: The server's station gives the link no lease file.
            TransportError: The server could not be asked.
        """
        if tuple(sorted([name] if isinstance(name, str) else name)) != self._entry.lease_names:
            raise LeaseError(f"a server leases link {self._entry.name} with its devices, and nothing else")
        seconds = real(seconds, "a lease")
        reply = self._ask(LeaseLink(self._entry.name, holder[:200], seconds), "lease")
        lease = ServedLease(
            self._entry, reply.fencing_token, holder, seconds, transports=self._transports, ask=self._ask
        )
        try:
            lease.hold()
        except BaseException:
            with suppress(LeaseError, TransportError):  # it ends by itself
                lease.release()
            raise
        return lease


class ServedLease:
    """A lease that was acquired, with the holds that go with it."""

    def __init__(
        self,
        entry: LinkEntry | HalfLinkEntry,
        fencing_token: int,
        holder: str,
        seconds: float,
        *,
        transports: Mapping[str, ServedTransport],
        ask: Callable[[AnyAsk, str], Reply],
    ) -> None:
        self.names = entry.lease_names
        """What it holds."""
        self.holder = holder
        """Who holds it."""
        self.fencing_token = fencing_token
        """Its fencing token: higher than that of every lease of the link's file before."""
        self.seconds = seconds
        """How long it lasts from `acquire` or `renew`, in s."""
        self._link = entry.name
        self._ask = ask
        self._not_held = {name: transport for name, transport in transports.items() if not transport.is_holding}
        self._held: dict[str, ServedTransport] = {}

    def hold(self) -> None:
        """Hold the devices that this program does not hold already, or hold them for as long again."""
        for name, transport in self._not_held.items():
            transport.acquire(f"link {self._link} is moved", seconds=max(self.seconds, 1.0))
            self._held[name] = transport

    def check(self) -> float:
        """Return how long the lease lasts still, in s.

        Raises:
            LeaseLostError: It ran out, or somebody else has taken it.
            TransportError: The server could not be asked.
        """
        return self._kept(renew=False)

    def renew(self) -> None:
        """Let lease and holds last `seconds` from now.

        Raises:
            LeaseLostError: It ran out, or somebody else has taken it, or a device.
            TransportError: The server could not be asked.
        """
        self._kept(renew=True)
        try:
            self.hold()
        except LeaseHeldError as error:
            raise LeaseLostError(error.what, device=error.device, remedy="Order nothing any more") from error

    def keep(self) -> None:
        """Check the lease, and renew it if less than half of its time is left: what precedes every order.

        Raises:
            LeaseLostError: It ran out, or somebody else has taken it.
            TransportError: The server could not be asked.
        """
        if self.check() < self.seconds / 2:
            self.renew()

    def release(self) -> None:
        """Give it back, and release what was held for it. A lease that was lost stays with its new holder.

        Raises:
            LeaseError: The server cannot write the file; the lease then ends by itself.
            TransportError: The server could not be asked; lease and holds end by themselves.
        """
        for transport in self._held.values():
            with suppress(TransportError, LeaseError):  # the hold ends by itself
                transport.release()
        self._held.clear()
        self._ask(EndLease(self._link, self.fencing_token), "end_lease")

    def _kept(self, *, renew: bool) -> float:
        return self._ask(KeepLease(self._link, self.fencing_token, self.seconds, renew), "keep_lease").seconds
