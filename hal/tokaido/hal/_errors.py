"""The error tree: everything Tokaido raises on purpose, under one root."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Self


class TokaidoError(Exception):
    """Root of all errors raised by Tokaido.

    An error says what happened, where (device, transport, command), after how long, and what to do.
    """

    def __init__(
        self,
        what: str,
        *,
        device: str = "",
        transport: str = "",
        command: str = "",
        elapsed_s: float | None = None,
        remedy: str = "",
    ) -> None:
        super().__init__(what)
        self.what = what
        self.device = device
        self.transport = transport
        self.command = command
        self.elapsed_s = elapsed_s
        self.remedy = remedy

    def __str__(self) -> str:
        where = [
            text
            for label, value in (("device", self.device), ("transport", self.transport), ("command", self.command))
            if value
            for text in (f"{label} {value}",)
        ]
        if self.elapsed_s is not None:
            where.append(f"after {self.elapsed_s:.3f} s")
        text = f"{self.what} [{', '.join(where)}]" if where else self.what
        return f"{text}. {self.remedy}" if self.remedy else text

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.args, self.__dict__)


def _rebuild(kind: type[TokaidoError], args: tuple[object, ...], state: dict[str, object]) -> TokaidoError:
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(state)
    return error


# --- what the caller did --------------------------------------------------------------------------------------------


class ConfigurationError(TokaidoError, ValueError):
    """A station file, a resource or a secret's file is wrong. Carries every mistake found, not only the first."""

    def __init__(self, what: str, *, mistakes: tuple[str, ...] = (), remedy: str = "") -> None:
        listed = "".join(f"\n  {mistake}" for mistake in mistakes)
        super().__init__(what + listed, remedy=remedy)
        self.mistakes = mistakes


class RangeError(TokaidoError, ValueError):
    """A value lies outside its declared range; nothing was sent."""


class ValueTypeError(TokaidoError, TypeError):
    """A value is not of its declared type; nothing was sent."""


class UnsupportedError(TokaidoError, NotImplementedError):
    """This device lacks what was asked for; a value is never made up."""


class ClosedError(TokaidoError, RuntimeError):
    """The device or transport was closed by its owner."""


# --- what the device said -------------------------------------------------------------------------------------------


class DeviceError(TokaidoError):
    """The device answered with an error of its own: its code and text are kept."""

    def __init__(
        self, what: str, *, code: str = "", device: str = "", transport: str = "", command: str = "", remedy: str = ""
    ) -> None:
        super().__init__(what, device=device, transport=transport, command=command, remedy=remedy)
        self.code = code


class RefusedError(DeviceError):
    """The device refused a command; its state is as before."""


class StateError(RefusedError):
    """The command is not allowed in the state that the device is in."""


class InterlockError(RefusedError):
    """A declared interlock forbids it; nothing was sent."""


class NoDataError(DeviceError):
    """The device has no fresh value to give."""


# --- what the transport met -----------------------------------------------------------------------------------------


class TransportError(TokaidoError, OSError):
    """Bytes could not be carried, or what came back was not a reply."""

    def __str__(self) -> str:
        return TokaidoError.__str__(self)


class NotConnectedError(TransportError, ConnectionError):
    """The device cannot be reached: no port, no peer, or the connection dropped."""


class DeviceTimeoutError(TransportError, TimeoutError):
    """No reply within the deadline."""


class OutcomeUnknownError(DeviceTimeoutError):
    """A command was sent and its reply was lost: it may or may not have been carried out. Read the state."""

    @classmethod
    def unread(cls, what: str, because: TokaidoError, *, device: str = "", command: str = "") -> Self:
        """Return the error of a value that was sent and could not be read back, which `because` kept from coming."""
        return cls(
            f"{what} ({because.what})",
            device=device,
            command=command,
            remedy="It may or may not have been carried out: read the value, then decide",
        )


class ProtocolError(TransportError):
    """A reply was garbled, cut, oversized or malformed; it was thrown away."""


class DeviceBusyError(TransportError):
    """Somebody else holds the device."""


class WrongDeviceError(TransportError):
    """Another device than expected answers at this address."""


class AuthenticationError(TransportError, PermissionError):
    """A peer or a message did not prove who it is."""


# --- keys -----------------------------------------------------------------------------------------------------------


class KeyMaterialError(TokaidoError, ValueError):
    """Key material was used in a way that is not allowed: wiped, of the wrong length, or already spent."""


# --- leases and moves -----------------------------------------------------------------------------------------------


class LeaseError(TokaidoError):
    """The lease book cannot be read or written."""


class LeaseHeldError(LeaseError):
    """Somebody else holds the lease."""

    def __init__(self, what: str, *, holder: str, remaining_s: float, remedy: str = "") -> None:
        super().__init__(what, remedy=remedy)
        self.holder = holder
        """Who holds it."""
        self.remaining_s = remaining_s
        """How long still, in s, unless it is renewed."""


class LeaseLostError(LeaseError):
    """The lease ran out or was taken over: its holder may change nothing any more."""
