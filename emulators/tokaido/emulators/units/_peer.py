"""What a unit says to its peer on the classical channel: who is there, proof of the same key, and sessions.

This channel belongs to the two boxes alone. A message is one letter and a
body: `J` and a JSON object, or `D`, the 16 digits of a session's token, and a message of distillation.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar, Final, Protocol, assert_never

import msgspec

from tokaido.emulators.units._links import SERIAL_NUMBER
from tokaido.emulators.units._peer_messages import (
    MAX_SEGMENTS,
    AnyPeerMessage,
    HelloMessage,
    Open,
    Opened,
    PeerMessageError,
    Proof,
    Refusal,
    Status,
    read,
)
from tokaido.emulators.units._session import Session
from tokaido.emulators.units._states import POWERED, RUNNING_STATES, State
from tokaido.hal import AuthenticationError, KeyMaterialError
from tokaido.hal.authentication import OneTimeAuthenticator, PadLedgerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tokaido.emulators.units._blocks import Blocks
    from tokaido.emulators.units._faults import ModelFaults, UnitSide
    from tokaido.emulators.units._links import UnitLinks
    from tokaido.hal.authentication import AuthenticationPool

STATUS_NS: Final = 250_000_000
HELLO_NS: Final = 1_000_000_000
MOST_WAITING: Final = 256
"""Messages that wait to be taken by the channel. A unit that stands alone has none, and says no more then."""
SILENCE_NS: Final = 3_000_000_000
_DUE_STATES = (State.ALIGN, State.STANDBY, State.REALIGN, *RUNNING_STATES)


class SpeakingUnit(Protocol):
    """What the talk with the peer needs of the unit that speaks."""

    SIDE: ClassVar[UnitSide]
    serial_number: str
    aligned: bool
    settings: dict[str, float]
    faults: ModelFaults
    links: UnitLinks
    blocks: Blocks

    @property
    def now_ns(self) -> int:
        """Time in ns."""
        ...

    @property
    def state(self) -> State:
        """State of the unit."""
        ...

    @property
    def channels_on(self) -> tuple[int, ...]:
        """The sub-channels that are switched on, from 0."""
        ...

    def raise_alarm(self, code: str, detail: str = "") -> None:
        """Raise an alarm, and enter the state that it leads to."""
        ...


class Peer:
    """The other box, as this one knows it."""

    def __init__(self, unit: SpeakingUnit, secret: Callable[[int], bytes]) -> None:
        self._unit = unit
        self._secret = secret
        self._outbox: list[bytes] = []
        self._heard_ns: int | None = None
        self._due_since_ns: int | None = None
        self._next_ns = {"status": 0, "hello": 0, "open": 0}
        self._last_status: dict[str, object] = {}
        self._nonce = b""
        self._proofs: dict[tuple[str, bytes], bytes] = {}
        self._attempts: dict[tuple[str, bytes], int] = {}
        self._verified: set[bytes] = set()
        self._opening: Session | None = None
        self.status: dict[str, Any] = {}
        """What the peer last said of itself."""
        self.imagined = False
        """Whether a peer that agrees with everything is only supposed, so that a single unit can be tried."""
        self.proved = False
        """Whether the peer proved that it holds the same pre-shared key."""

    # --- what the unit asks -----------------------------------------------------------------------------------------

    @property
    def reachable(self) -> bool:
        """Whether the peer was heard within the last 3 s."""
        if "peer_silent" in self._unit.faults:
            return False
        heard = self._heard_ns
        return self.imagined or (heard is not None and self._unit.now_ns - heard < SILENCE_NS)

    @property
    def overdue(self) -> bool:
        """Whether an answer has been due for 3 s."""
        due = self._unit.state in _DUE_STATES or (self._unit.state is State.AUTH and self._unit.links.pool is not None)
        if not due or (self.imagined and "peer_silent" not in self._unit.faults):
            self._due_since_ns = None
            return False
        if self._due_since_ns is None:
            self._due_since_ns = self._unit.now_ns
        return self._unit.now_ns - max(self._due_since_ns, self._heard_ns or 0) >= SILENCE_NS

    @property
    def disagrees(self) -> bool:
        """Whether both boxes would exchange keys and the peer is set to blocks of another length."""
        if self._unit.state not in RUNNING_STATES:
            return False
        theirs = self.status.get("block_bits", self._unit.settings["block_bits"])
        return "peer_otherwise" in self._unit.faults or (self.running and theirs != self._unit.settings["block_bits"])

    @property
    def running(self) -> bool:
        """Whether the peer exchanges keys."""
        return self.imagined or (self.reachable and self.status.get("state") in RUNNING_STATES)

    @property
    def shares_channel(self) -> bool:
        """Whether a sub-channel is switched on at both ends."""
        ours = self._unit.channels_on
        return not set(ours).isdisjoint(self.status.get("channels", ours))

    @property
    def aligned_or_aligning(self) -> bool:
        """Whether the peer takes part in an alignment."""
        busy = (State.ALIGN, State.REALIGN, *RUNNING_STATES)
        state = self.status.get("state")
        return self.imagined or (self.reachable and (state in busy or bool(self.status.get("aligned"))))

    @property
    def store_full(self) -> bool:
        """Whether the peer begins no new block."""
        return bool(self.status.get("full"))

    def forget(self) -> None:
        """Know nothing of the peer: the unit was set to a link, and it may be another box."""
        self._heard_ns = None
        self._due_since_ns = None
        self._last_status = {}
        self._opening = None
        self.status = {}
        self.forget_proof()

    def forget_proof(self) -> None:
        """Ask for a new proof: the unit enters AUTH, or its key changed."""
        self.proved = False
        self._nonce = self._secret(16)
        self._proofs.clear()
        self._attempts.clear()
        self._verified.clear()
        self._next_ns["hello"] = 0

    @property
    def silent(self) -> bool:
        """Whether this unit says nothing to its peer of itself: it is off, the peer is imagined, or nobody takes it."""
        return self.imagined or self._unit.state not in POWERED or len(self._outbox) >= MOST_WAITING

    # --- what goes out ----------------------------------------------------------------------------------------------

    @property
    def speaks(self) -> bool:
        """Whether there are messages for the peer."""
        session = self._unit.blocks.session
        return bool(self._outbox or (session is not None and session.outbox))

    def take(self) -> list[bytes]:
        """Return, once, the messages for the peer."""
        messages, self._outbox = self._outbox, []
        if "peer_silent" in self._unit.faults:
            return []
        session = self._unit.blocks.session
        return messages + (_outgoing(session) if session is not None else [])

    def say_last_words(self, session: Session) -> None:
        """Send what a session that ends still has to say: why a block was given up."""
        self._outbox += _outgoing(session)

    def tick(self) -> None:
        """Say what is due."""
        unit = self._unit
        if self.silent:
            return
        status: dict[str, object] = {
            "state": str(unit.state),
            "aligned": unit.aligned,
            "full": unit.blocks.store_full,
            "session": unit.blocks.session.token if unit.blocks.session else None,
            "block_bits": int(unit.settings["block_bits"]),
            "channels": list(unit.channels_on),
        }
        if status != self._last_status or self._due("status", STATUS_NS):
            self._last_status = status
            self._say("status", **status)
        if unit.state is State.AUTH and unit.links.pool is not None and self._due("hello", HELLO_NS):
            self._say(
                "hello", nonce=self._nonce.hex(), segments=unit.links.pool.segments, **self._heard(unit.links.pool)
            )
        if unit.blocks.session is not None and self.status and self._session_over(unit.blocks.session):
            unit.blocks.end_session()
        if unit.SIDE == "transmitter" and unit.blocks.session is None and unit.state in RUNNING_STATES and self.running:
            settings = unit.blocks.session_settings()
            if (
                unit.blocks.can_authenticate
                and not unit.blocks.store_full
                and settings is not None
                and self.shares_channel
                and self._due("open", HELLO_NS)
            ):
                self._opening = Session(self._secret(8).hex(), unit.now_ns, *settings)
                self._say("open", token=self._opening.token, settings=settings)

    def _session_over(self, session: Session) -> bool:
        if self._unit.state not in RUNNING_STATES or (self.reachable and not self.running):
            return True
        theirs = self.status.get("session")
        return theirs != session.token and self._unit.now_ns - session.began_ns > SILENCE_NS and self.reachable

    def _due(self, what: str, every_ns: int) -> bool:
        if self._unit.now_ns < self._next_ns[what]:
            return False
        self._next_ns[what] = self._unit.now_ns + every_ns
        return True

    def _say(self, kind: str, **members: object) -> None:
        self._outbox.append(self._written(kind, **members))

    def _written(self, kind: str, **members: object) -> bytes:
        sender = {"from": self._unit.serial_number, "path": self._unit.links.in_force.path}
        return b"J" + json.dumps({"kind": kind, **sender, **members}).encode()

    # --- what comes in ----------------------------------------------------------------------------------------------

    def receive(self, message: bytes) -> None:
        """Take one message of the peer. One that no unit writes ends the session, and nothing else."""
        if self._unit.state not in POWERED or "peer_silent" in self._unit.faults:
            return
        if message[:1] == b"D":
            session = self._unit.blocks.session
            if session is not None and message[1:17] == session.token.encode():
                self._heard_ns = self._unit.now_ns
                session.inbox.append(message[17:])
            return
        try:
            body = read(message[1:])
        except PeerMessageError as error:
            self._unit.blocks.give_up_session(error.what)
            return
        if not self._meant_for_us(body):
            return
        match body:
            case Status():
                self.status = msgspec.to_builtins(body)
            case HelloMessage():
                self._hello(body)
            case Proof():
                self._proof(body)
            case Open():
                self._open(body)
            case Opened():
                self._opened(body)
            case Refusal():
                self._refusal(body)
            case _:
                assert_never(body)
        self._heard_ns = self._unit.now_ns

    def _meant_for_us(self, body: AnyPeerMessage) -> bool:
        """Whether a message is of the link in force: of its peer and its path; under no named link, of anybody."""
        link = self._unit.links.in_force
        if not SERIAL_NUMBER.fullmatch(body.sender):
            return False
        return not link.named or link == (body.sender, body.path)

    def _transcript(self, sender: str, theirs: bytes, side: str, segments: Iterable[int]) -> bytes:
        """Return what a proof is a tag of: whose it is, both boxes, the path, the segments of pads that its sender
        holds, and the transmitter's nonce first."""
        ours, other = (self._unit.serial_number, self._nonce), (sender, theirs)
        transmitter, receiver = (ours, other) if self._unit.SIDE == "transmitter" else (other, ours)
        held = ",".join(map(str, segments))
        names = "|".join((side, transmitter[0], receiver[0], self._unit.links.in_force.path, held))
        return b"tokaido unit proof|" + names.encode() + b"|" + transmitter[1] + receiver[1]

    # --- whether pads were spent that a ledger does not know of -------------------------------------------------------

    def _heard(self, pool: AuthenticationPool) -> dict[str, object]:
        """Return how many pads of the peer this unit knows to be spent, under a seal."""
        said = _heard(self._unit.serial_number, self._unit.links.in_force.path, self._nonce, pool.heard)
        return {"heard": pool.heard, "seal": pool.seal(said).hex()}

    def _pads_agree(self, body: HelloMessage | Proof, theirs: bytes) -> bool:
        """Whether the peer has the same key and saw no pad of this unit spent that this unit has yet to spend.

        It is looked at before any tag is made. If not, the peer is told so, which raises the alarm there.
        """
        pool, heard = self._unit.links.pool, body.heard
        if pool is None:
            return False
        said = _heard(body.sender, self._unit.links.in_force.path, theirs, heard)
        try:
            pool.check_seal(said, bytes.fromhex(body.seal))
            pool.hear(heard)
        except AuthenticationError:
            self._say("refusal", yours=theirs.hex(), seal="")
        except PadLedgerError as error:
            self._say("refusal", yours=theirs.hex(), seal=pool.seal(_refusal(theirs)).hex())
            self._unit.raise_alarm("AUTH_MISMATCH", error.what)
        else:
            return True
        return False

    def _refusal(self, body: Refusal) -> None:
        """Take the word of the peer that the keys differ or, under its seal, that its own ledger went back."""
        pool = self._unit.links.pool
        if pool is None or not self._nonce or bytes.fromhex(body.yours) != self._nonce:
            return
        detail = "the ledger of the peer's one-time pads went back"
        try:
            pool.check_seal(_refusal(self._nonce), bytes.fromhex(body.seal))
        except AuthenticationError:
            detail = ""
        self._unit.raise_alarm("AUTH_MISMATCH", detail)

    def _hello(self, body: HelloMessage) -> None:
        theirs = bytes.fromhex(body.nonce)
        if self._unit.links.pool is None or not self._pads_agree(body, theirs):
            return
        held = self._unit.state in (State.FAULT, State.SECURITY_HOLD)
        if held or self._unit.blocks.session is not None:  # whose tags come from the same pads
            return
        if not self._nonce:
            self._nonce = self._secret(16)
        self._prove(body.sender, theirs, body.segments[:MAX_SEGMENTS])

    def _prove(self, sender: str, theirs: bytes, held: tuple[int, ...]) -> None:
        """Send the proof for this pair of nonces; one pad is spent on it however often it is asked for.

        It is an attempt until the peer has proved itself too; when the hour allows no more attempts, none is made.
        """
        pool = self._unit.links.pool
        if pool is None:
            return
        asked = sender, theirs
        if asked not in self._proofs:
            attempts, now_ns = self._unit.blocks.attempts, self._unit.now_ns
            if theirs not in self._verified:
                if not attempts.left(now_ns):
                    return
                self._attempts[asked] = attempts.note(now_ns)
            ours = pool.segments
            try:
                index, tag = OneTimeAuthenticator(pool).prove(
                    self._transcript(sender, theirs, self._unit.SIDE, ours), held
                )
            except KeyMaterialError:
                return
            members = {"nonce": self._nonce.hex(), "yours": theirs.hex(), "segments": ours, **self._heard(pool)}
            self._proofs[asked] = self._written("proof", **members, index=index, tag=tag.hex())
        self._outbox.append(self._proofs[asked])

    def _proof(self, body: Proof) -> None:
        theirs, tag = bytes.fromhex(body.nonce), bytes.fromhex(body.tag)
        pool = self._unit.links.pool
        if pool is None or bytes.fromhex(body.yours) != self._nonce or theirs in self._verified:
            return
        other = "receiver" if self._unit.SIDE == "transmitter" else "transmitter"
        sender, held = body.sender, body.segments[:MAX_SEGMENTS]
        if not self._pads_agree(body, theirs):
            return
        if (sender, theirs) not in self._proofs:
            self._prove(sender, theirs, held)
        transcript = self._transcript(sender, theirs, other, held)
        try:
            OneTimeAuthenticator(pool).verify(body.index, transcript, tag)
        except AuthenticationError:
            self._unit.raise_alarm("AUTH_MISMATCH")
        else:
            self._verified.add(theirs)
            self.proved = True
            self._unit.blocks.attempts.forgive(self._attempts.pop((sender, theirs), 0))
            if (sender, theirs) not in self._proofs:
                self._prove(sender, theirs, held)
            pool.discard_unshared(held)
            pool.open_reserve()

    def _open(self, body: Open) -> None:
        unit = self._unit
        block_bits = body.settings[0]
        if (
            unit.SIDE != "receiver"
            or unit.state not in RUNNING_STATES
            or not unit.blocks.can_authenticate
            or unit.blocks.store_full
            or not self.shares_channel
        ):
            return
        if block_bits != unit.settings["block_bits"]:
            return
        unit.blocks.begin_session(Session(body.token, unit.now_ns, *body.settings))
        self._say("opened", token=body.token)

    def _opened(self, body: Opened) -> None:
        unit = self._unit
        opening = self._opening
        if (
            opening is not None
            and body.token == opening.token
            and unit.blocks.session is None
            and unit.state in RUNNING_STATES
        ):
            opening.begin(unit.now_ns)
            unit.blocks.begin_session(opening)


def _heard(sender: str, path: str, nonce: bytes, heard: int) -> bytes:
    return b"|".join([b"heard", sender.encode(), path.encode(), nonce, str(heard).encode()])


def _refusal(nonce: bytes) -> bytes:
    return b"refusal|" + nonce


def _outgoing(session: Session) -> list[bytes]:
    head = b"D" + session.token.encode()
    messages = [head + message for message in session.outbox]
    session.outbox.clear()
    return messages
