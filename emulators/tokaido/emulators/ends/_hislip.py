"""A stream port as a HiSLIP instrument (IVI-6.1)."""

from __future__ import annotations

import select
from typing import TYPE_CHECKING, Final

from tokaido.emulators.ends._end import End, SharedModel
from tokaido.emulators.ends._service import ClientServiceRequest
from tokaido.emulators.ends._tcp import LOOPBACK
from tokaido.emulators.ends.hislip import HislipServer, Profile, ProgramMessage, RemoteLocal

if TYPE_CHECKING:
    from tokaido.emulators._faults import Faults
    from tokaido.emulators._model import DeviceModel
    from tokaido.hal import Clock

ENDINGS: Final = (b"\r", b"\n")


class HislipEnd(End):
    """Carries the stream port `control` as HiSLIP, sub-address `hislip0`.

    An END stands for the end of a line, and every line that the model sends is one reply with an END; a reply that a
    fault robbed of its end has none. Most instruments speak HiSLIP without TLS, and so does this one; so its listener
    is bound to the loopback interface, carries no port that has keys, and is there only when asked for.

    Args:
        shared: The model.
        port: Where to listen; 0 takes a free one.
        profile: "strict" sends service requests and interruptions, which pyvisa-py before 0.9 cannot take.
        overlapped: Whether overlapped mode is preferred.
        faults: Faults on this wire.
        clock: Times the delays of the faults.
        impostor: The other box that answers under the fault `wrong_id`.
    """

    def __init__(
        self,
        shared: SharedModel,
        port: int = 0,
        *,
        profile: Profile = "lenient",
        overlapped: bool = False,
        faults: Faults,
        clock: Clock,
        impostor: DeviceModel,
    ) -> None:
        super().__init__(shared, "control", faults, clock, impostor)
        self.server = HislipServer(self, host=LOOPBACK, port=port, profile=profile, overlapped=overlapped, clock=clock)
        """The server; only the thread that serves the end may touch it."""
        self.remote: RemoteLocal | None = None
        """What a client last wanted of the front panel."""
        self._asker = b""  # token of the message that the model had last
        self._asked: dict[bytes, ProgramMessage] = {}
        self._tokens = 0
        self._requests: dict[int, ClientServiceRequest] = {}

    @property
    def port(self) -> int:
        """Where it listens, once it was started."""
        return self.server.port

    @property
    def plugged(self) -> bool:
        """Whether it listens."""
        return self.server.listening

    def _descriptors(self) -> dict[int, int]:
        return {self.server.descriptor: select.EPOLLIN}

    def _next_due_s(self) -> float:
        return min(super()._next_due_s(), self.server.due_s())

    def _open(self) -> None:
        self.server.open()

    def _shut(self) -> None:
        self.server.dispose()

    def _unplug_now(self) -> None:
        self._replug_ns = None
        self.server.close()
        self._asked.clear()
        self._lose_what_is_on_its_way()

    def _replug_now(self) -> None:
        self._replug_ns = None
        if not self.plugged:
            self.server.open()

    def _arrived(self) -> list[list[bytes]]:
        for number in list(self._requests):
            self._look_for_requests(number)
        self.server.service(0.0)
        return []  # carry each message at once, so that a status query finds it done

    def _pause_s(self) -> float:
        self._arrived()  # what had to wait for the exchange that was just made
        for number in list(self._requests):
            self._look_for_requests(number)
        return super()._pause_s()

    def _has_work(self) -> bool:
        asked = self._shared.model.service_request_enable
        return super()._has_work() or (bool(asked) and any(requests.changed for requests in self._requests.values()))

    def _look_for_requests(self, number: int) -> None:
        requests = self._requests.get(number)
        if requests is None:
            return
        with self._shared.lock:
            status = requests.new_request(message_available=self.server.message_available(number))
        if status is not None:
            self.server.request_service(number, status)

    # --- hislip.Instrument ------------------------------------------------------------------------------------------

    def opened(self, session: int, /) -> None:
        """Begin to look for reasons to request service of a client."""
        with self._shared.lock:
            self._requests[session] = ClientServiceRequest(self._shared.model)

    def closed(self, session: int, /) -> None:
        """Request nothing of a client any longer."""
        with self._shared.lock:
            self._requests.pop(session, None)

    def receive(self, message: ProgramMessage, /) -> None:
        """Take a message."""
        self._look_for_requests(message.session)  # before there is a reply: each one is a reason of its own
        data = message.data if message.data.endswith(ENDINGS) else message.data + b"\n"
        self._carry([data, self._token(message)])

    def trigger(self, message: ProgramMessage, /) -> None:
        """Trigger the model once everything that came before was handed over."""
        self._carry([b"", self._token(message)])

    def _carry(self, piece: list[bytes]) -> None:
        self._meet("to_unit", piece)
        if self.plugged:
            self._exchange()

    def busy(self, session: int, /) -> bool:
        """Whether a message of this client is on its way to the model, or the model is at it."""
        if any(self._is_of(session, piece[1]) for _, _, piece in self._delayed["to_unit"]):
            return True
        with self._shared.lock:
            return self._is_of(session, self._asker) and self._shared.model.occupied

    def status_byte(self, session: int, /, *, message_available: bool) -> int:
        """Return the status byte for a serial poll."""
        with self._shared.lock:
            self._shared.catch_up()
            return self._requests[session].poll(message_available=message_available)

    def clear(self, session: int, /) -> None:
        """Forget what a client sent, and what the model wanted to say to it; others go on as they were."""
        for waiting in self._delayed.values():
            kept = [entry for entry in waiting if not self._is_of(session, entry[2][1])]
            waiting.clear()
            waiting.extend(kept)
        with self._shared.lock:
            if self._is_of(session, self._asker):
                self._shared.catch_up()
                self._shared.model.clear_device()

    def interrupted(self, _session: int, /) -> None:
        """Tell the model that a reply was not read."""
        self._collect()  # replies to others stay
        with self._shared.lock:
            self._shared.model.query_error(-410)

    def misplaced_trigger(self, _session: int, /) -> None:
        """Tell the model of a trigger within a message."""
        self._collect()
        with self._shared.lock:
            self._shared.model.query_error(-105)

    def remote_local(self, _session: int, request: RemoteLocal, /) -> None:
        """Note who is in command."""
        self.remote = request

    # --- pieces: [line, token of the message] -----------------------------------------------------------------------

    def _token(self, message: ProgramMessage) -> bytes:
        if message.session not in self.server.sessions:
            return b""  # the client is gone: nobody reads a reply
        self._tokens += 1
        token = b"%d" % self._tokens
        self._asked[token] = message
        while len(self._asked) > 1024:
            del self._asked[next(iter(self._asked))]
        return token

    def _is_of(self, session: int, token: bytes) -> bool:
        message = self._asked.get(token)
        return message is not None and message.session == session

    def _content(self, piece: list[bytes]) -> list[bytes]:
        return piece[:1]

    def _rebuilt(self, piece: list[bytes], content: list[bytes]) -> list[bytes]:
        return [content[0], piece[1]]

    def _may_give(self, _piece: list[bytes]) -> bool:
        return not self._shared.model.occupied

    def _may_mix(self) -> bool:
        return False

    def _give(self, model: DeviceModel, piece: list[bytes]) -> None:
        self._asker = piece[1]
        if piece[0]:
            model.receive("control", piece[0])
        else:
            model.trigger()

    def _take(self, model: DeviceModel) -> list[list[bytes]]:
        data = model.take("control")
        if not data:
            return []
        return [[line, self._asker] for line in data.splitlines(keepends=True)]

    def _emit(self, piece: list[bytes]) -> None:
        message = self._asked.get(piece[1])
        if message is not None:
            self.server.respond(message, piece[0], end=piece[0].endswith(ENDINGS))
