"""A stream port as a HiSLIP instrument (IVI-6.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tokaido.emulators.ends._end import End, SharedModel
from tokaido.emulators.ends._service import ServiceRequest
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
    fault robbed of its end has none. HiSLIP 1.0 has no TLS, which is what instruments speak; so this listener is bound
    to the loopback interface, carries no port that has keys, and is there only when asked for.

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
        """The server; only the end's own thread may touch it."""
        self.remote: RemoteLocal | None = None
        """What a client last wanted of the front panel."""
        self._asker = ProgramMessage(0, 0, 0, b"")
        self._asked: dict[bytes, ProgramMessage] = {}
        self._service = ServiceRequest(shared.model)

    @property
    def port(self) -> int:
        """Where it listens, once it was started."""
        return self.server.port

    @property
    def plugged(self) -> bool:
        """Whether it listens."""
        return self.server.listening

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

    def _wait(self, timeout_s: float) -> list[list[bytes]]:
        with self._shared.lock:
            request = self._service.new_request()
        if request is not None:
            self.server.request_service(request)
        self.server.service(timeout_s)
        return []  # carry each message at once, so that a status query finds it done

    # --- hislip.Instrument ------------------------------------------------------------------------------------------

    def receive(self, message: ProgramMessage) -> None:
        """Take a message."""
        data = message.data if message.data.endswith(ENDINGS) else message.data + b"\n"
        self._carry([data, self._token(message)])

    def status_byte(self, _session: int, /, *, message_available: bool) -> int:
        """Return the status byte for a serial poll."""
        with self._shared.lock:
            self._shared.catch_up()
            return self._service.poll(message_available=message_available)

    def clear(self, _session: int, /) -> None:
        """Forget what was sent, and what the model wanted to say."""
        self._lose_what_is_on_its_way()
        with self._shared.lock:
            self._shared.catch_up()
            self._shared.model.clear_device()

    def _carry(self, piece: list[bytes]) -> None:
        self._meet("to_unit", piece)
        if self.plugged:
            self._exchange()

    def trigger(self, message: ProgramMessage) -> None:
        """Trigger the model once everything that came before was handed over."""
        self._carry([b"", self._token(message)])

    def interrupted(self, _session: int, /) -> None:
        """Tell the model that a reply was not read."""
        with self._shared.lock:
            self._shared.model.query_error(-410)

    def remote_local(self, _session: int, request: RemoteLocal, /) -> None:
        """Note who is in command."""
        self.remote = request

    # --- pieces: [line, token of the message] -----------------------------------------------------------------------

    def _token(self, message: ProgramMessage) -> bytes:
        token = b"%d/%d/%d" % message[:3]
        self._asked[token] = message
        while len(self._asked) > 1024:
            del self._asked[next(iter(self._asked))]
        return token

    def _content(self, piece: list[bytes]) -> list[bytes]:
        return piece[:1]

    def _rebuilt(self, piece: list[bytes], content: list[bytes]) -> list[bytes]:
        return [content[0], piece[1]]

    def _may_give(self, _piece: list[bytes]) -> bool:
        return not self._shared.model.occupied

    def _may_mix(self) -> bool:
        return False

    def _give(self, model: DeviceModel, piece: list[bytes]) -> None:
        self._asker = self._asked.get(piece[1], self._asker)
        if piece[0]:
            model.receive("control", piece[0])
        else:
            model.trigger()

    def _take(self, model: DeviceModel) -> list[list[bytes]]:
        data = model.take("control")
        if not data:
            return []
        token = self._token(self._asker)
        return [[line, token] for line in data.splitlines(keepends=True)]

    def _emit(self, piece: list[bytes]) -> None:
        message = self._asked.get(piece[1])
        if message is not None:
            self.server.respond(message, piece[0], end=piece[0].endswith(ENDINGS))
