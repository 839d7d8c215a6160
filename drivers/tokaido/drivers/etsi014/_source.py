"""One end of a QKD link whose key manager delivers by ETSI GS QKD 014: docs/protocols/etsi014.md."""

from __future__ import annotations

import itertools
from os import urandom
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar
from urllib.parse import quote

import msgspec

import tokaido.hal as hal
from tokaido.drivers.etsi014._options import Options
from tokaido.drivers.etsi014._texts import Delivery, Status, read_container, read_status, uuid
from tokaido.hal.driver import Answer, Request, measured, open_transport, real, weakly, whole
from tokaido.hal.transports import HttpMessage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from tokaido.hal.transports import Transport

T = TypeVar("T")

DEFAULT_NUMBER: Final = 64
POLL_S: Final = 0.5
"""How long a key manager that has no key is left alone, in s."""
REMEMBERED: Final = 250_000
"""At least so many ids are remembered, so that no key is handed out twice."""
UNKNOWN: Final = hal.Identity("ETSI GS QKD 014", "key manager", "", "")


class Source(hal.KeySource):
    """The master's or the slave's end of a pair of key managers. Its safe state is any: it gives keys only when asked.

    Its resource says which end it is: `https://kme.example:8443?end=master&peer=sae-b&cert_file=...`.
    """

    resource_kinds: ClassVar[Mapping[str, frozenset[str]]] = {"control": frozenset({"https"})}
    protocol: ClassVar[str] = "ETSI GS QKD 014"

    stored_key_count = measured(int, "stored_key_count", unit="")
    """Measure how many keys the key manager could deliver now."""
    max_key_count = measured(int, "max_key_count", unit="")
    """Measure how many keys it stores at most."""
    key_size = measured(int, "key_size", unit="bit")
    """Measure the size of a key for which none is asked."""
    min_key_size = measured(int, "min_key_size", unit="bit")
    """Measure the smallest size of a key that may be asked for."""
    max_key_size = measured(int, "max_key_size", unit="bit")
    """Measure the largest size of a key that may be asked for."""
    max_key_per_request = measured(int, "max_key_per_request", unit="")
    """Measure how many keys it delivers at once at most."""
    max_sae_id_count = measured(int, "max_SAE_ID_count", unit="")
    """Measure how many further slaves a request may name; 0: none."""

    def __init__(
        self,
        resources: Mapping[str, hal.Resource],
        *,
        name: str = "",
        serial_number: str = "",
        timeout_s: float = 1.0,
        clock: hal.Clock = hal.SYSTEM_CLOCK,
        nonces: Callable[[int], bytes] = urandom,
    ) -> None:
        super().__init__(
            resources, name=name, serial_number=serial_number, timeout_s=timeout_s, clock=clock, nonces=nonces
        )
        self._options = Options.of(resources["control"])
        self._control: Transport[Any] = open_transport(resources["control"], clock=clock, timeout_s=self._timeout_s)
        self._control.device = self.name
        self._control.on_open(weakly(self._greet, "the device of this transport"))
        self._paths = f"/api/v1/keys/{quote(self._options.peer, safe='')}"
        self._told: Status | None = None  # by the key manager, when it was opened last
        self._seen: tuple[str, str] | None = None
        self._draws_lost = 0
        self._lost: int | None = 0  # since the last block; None if nobody can know
        self._ids: tuple[set[int], set[int]] = set(), set()  # that came lately, and that came before

    @classmethod
    def complaints(cls, resources: Mapping[str, hal.Resource]) -> list[str]:
        """Return what is wrong with the options that the resource has for this driver."""
        control = resources.get("control")
        return [] if control is None else [f"control: {mistake}" for mistake in Options.mistakes(control)]

    # --- connecting ---------------------------------------------------------------------------------------------------

    @property
    def transport(self) -> Transport[Any]:
        """The transport, of messages of HTTP."""
        return self._control

    def close(self) -> None:
        """Disconnect."""
        self._control.close()

    def _connect(self, timeout: float | None = None) -> None:
        self._control.open(timeout)

    def _greet(self) -> None:
        status = self._status_if_told()
        if status is None:
            if self._expected_serial_number:
                raise self._wrong("a key manager that does not tell its name")
        else:
            seen = self._seen or (status.source_KME_ID, status.target_KME_ID)
            expected = self._expected_serial_number or seen[0]
            if (status.source_KME_ID, status.target_KME_ID) != (expected, seen[1]):
                raise self._wrong(f"{status.source_KME_ID}, linked to {status.target_KME_ID}")
            self._seen = seen
        self._told = status

    def _wrong(self, found: str) -> hal.WrongDeviceError:
        source, target = self._seen or (self._expected_serial_number, "")
        linked = f", linked to {target}" if target else ""
        return hal.WrongDeviceError(
            f"expected the key manager {source}{linked}, and found {found}",
            device=self.name,
            transport=self._control.name,
            remedy="Check the resource, and which key manager serves this link",
        )

    def _status_if_told(self) -> Status | None:
        """Return the status; None at a slave's end whose key manager refuses to tell it."""
        try:
            return self.status()
        except hal.DeviceError:
            if self.key_end is hal.KeyEnd.MASTER:
                raise
            return None

    # --- what it tells ------------------------------------------------------------------------------------------------

    @classmethod
    def key_end_of(cls, resources: Mapping[str, hal.Resource]) -> hal.KeyEnd:
        """Return which end this is: `KeyEnd.MASTER` or `KeyEnd.SLAVE`, as the resource says."""
        return Options.of(resources["control"]).end

    @property
    def draws_lost(self) -> int:
        """How often keys were asked for and lost: the response did not come, or was not the keys."""
        return self._draws_lost

    def status(self) -> Status:
        """Ask the key manager for its status: who it is, and what it can deliver."""

        def accept(reply: HttpMessage) -> Status:
            status = read_status(reply)
            if status.slave_SAE_ID != self._options.peer:
                raise hal.ProtocolError(f"the status is that for {status.slave_SAE_ID[:60]!r}")
            return status

        start = f"GET {self._paths}/status"
        return self._control.exchange(Request(start, HttpMessage(start), accept))

    def identity(self) -> hal.Identity:
        """Ask who the key manager is: its serial number is its KME id; vendor and model are the standard's names."""
        status = self._status_if_told()
        if status is None:
            return UNKNOWN
        return hal.Identity(UNKNOWN.vendor, UNKNOWN.model, status.source_KME_ID, UNKNOWN.firmware)

    def _ask(self, command: str) -> Answer:
        return Answer(str(getattr(self.status(), command)))

    def _order(self, command: str, text: str) -> Answer:
        raise hal.UnsupportedError(f"nothing can be set: {command} {text}", device=self.name)

    def _ask_all(self) -> Mapping[str, Answer | hal.TokaidoError]:
        commands = [value.command for value in self._declared().values() if value.command]
        try:
            status = self.status()
        except hal.DeviceError as error:
            return dict.fromkeys(commands, error)
        return {command: Answer(str(getattr(status, command))) for command in commands}

    def apply_safe_state(self) -> None:
        """Do nothing: it gives keys only when asked."""

    # --- keys ---------------------------------------------------------------------------------------------------------

    def key_blocks(self, timeout: float, *, limit: int | None = None) -> Iterator[hal.KeyBlock]:
        """Draw blocks, each of as many keys as there are, until there is none for `timeout` s or `limit` were drawn."""
        most = None if limit is None else whole(limit, "limit")
        timeout = real(timeout, "timeout")
        self._check_end(hal.KeyEnd.MASTER, "Fetch its blocks by fetch_block")
        return self._drawn(timeout, most)

    def _drawn(self, timeout: float, limit: int | None) -> Iterator[hal.KeyBlock]:
        for _ in range(limit) if limit is not None else itertools.count():
            block = self._next_block(hal.Deadline(self._clock, timeout))
            if block is None:
                return
            yield block
            del block  # the caller's alone

    def _next_block(self, deadline: hal.Deadline) -> hal.KeyBlock | None:
        while True:
            try:
                status = self.status()
                own = min(self._options.number or DEFAULT_NUMBER, status.max_key_per_request or DEFAULT_NUMBER)
                number = min(own, max(status.stored_key_count, 1))  # some say 0 whatever they have
                return self._drawn_block(number, self._options.key_size or status.key_size)
            except hal.NoDataError:
                pass  # it has none now, and gave none
            if deadline.passed:
                return None
            self._clock.wait(min(POLL_S, deadline.remaining_s))

    def _drawn_block(self, number: int, size: int) -> hal.KeyBlock:
        wanted = {"number": number, "size": size}
        delivery = self._take("enc_keys", wanted, lambda found: _check_drawn(found, number, size))
        return self._block(delivery, tuple(delivery.spelled.values()))

    def fetch_block(self, key_ids: Sequence[str], *, bits: int | None = None) -> hal.KeyBlock:
        """Fetch the block of these keys, which the master's end drew, by one request.

        Raises:
            KeyMaterialError: One of them is not the id of a key, or is there twice; nothing was sent.
        """
        self._check_end(hal.KeyEnd.SLAVE, "Draw by key_blocks")
        asked = tuple(key_ids)
        wanted = _ids(asked, self.name)
        length = None if bits is None else whole(bits, "bits")
        size = self._options.key_size
        delivery = self._take(
            "dec_keys",
            {"key_IDs": [{"key_ID": one} for one in asked]},
            lambda found: _check_fetched(found, wanted, size, length),
        )
        return self._block(delivery, asked)

    def _check_end(self, end: hal.KeyEnd, remedy: str) -> None:
        if self.key_end is not end:
            raise hal.UnsupportedError(f"this is the end {self.key_end.name}", device=self.name, remedy=remedy)

    def _take(self, method: str, body: Mapping[str, Any], check: Callable[[Delivery], None]) -> Delivery:
        """Ask for keys, which the key manager forgets as it gives them."""
        start = f"POST {self._paths}/{method}"
        message = HttpMessage(start, msgspec.json.encode(body), "application/json")

        def accept(reply: HttpMessage) -> Delivery | hal.ProtocolError:
            try:
                found = read_container(reply)
            except hal.ProtocolError as error:
                return error  # the reply came, and so the outcome is known: these keys are gone
            try:
                check(found)
                self._remember(found)
            except hal.ProtocolError as error:
                found.wipe()
                return error
            return found

        request: Request[HttpMessage, Delivery | hal.ProtocolError]
        request = Request(start, message, accept, repeatable=False, confidential=True)
        try:
            taken = self._control.exchange(request)
        except BaseException as error:
            if isinstance(error, hal.OutcomeUnknownError) or not isinstance(error, hal.TokaidoError):  # or Ctrl-C
                self._draws_lost += 1
                self._lost = None
            raise
        if isinstance(taken, Delivery):
            return taken
        self._draws_lost += 1
        self._lost = None if self._lost is None else self._lost + 1
        taken.device, taken.transport, taken.command = self.name, self._control.name, start
        taken.remedy = taken.remedy or "Nothing of it was used; the key manager may have forgotten these keys"
        raise taken

    def _remember(self, delivery: Delivery) -> None:
        lately, before = self._ids
        ids = {hash(one) for one in delivery.keys}  # a fifth of the memory of the ids themselves
        if not ids.isdisjoint(lately) or not ids.isdisjoint(before):
            raise hal.ProtocolError("an id came a second time")
        lately |= ids
        if len(lately) >= REMEMBERED:
            self._ids = set(), lately

    def _block(self, delivery: Delivery, key_ids: tuple[str, ...]) -> hal.KeyBlock:
        said = {**(self._told.status_extension or {} if self._told else {}), **delivery.extension}
        insecure, emulated = (said.get(f"tokaido_{word}") is True for word in ("insecure", "emulated"))
        key = delivery.joined(key_ids, insecure=insecure)
        info = hal.KeyBlockInfo(
            session=key_ids[0],
            number=0,
            bits=key.bits,
            method="unstated",
            bound="unstated",
            eps=1.0,
            insecure=insecure,
            emulated=emulated,
            serial_number=self._told.source_KME_ID if self._told else "",
            peer=self._told.target_KME_ID if self._told else "",
            key_ids=key_ids,
        )
        lost, self._lost = self._lost, 0
        return hal.KeyBlock(info, key, _nothing, lost)


def _ids(key_ids: tuple[str, ...], device: str) -> tuple[str, ...]:
    try:
        wanted = tuple(map(uuid, key_ids))
    except (TypeError, hal.ProtocolError) as error:
        raise hal.KeyMaterialError(f"these are not ids of keys: {error}", device=device) from error
    if not wanted or len(set(wanted)) != len(wanted):
        raise hal.KeyMaterialError("no id is given, or one of them twice", device=device, remedy="Give info.key_ids")
    return wanted


def _check_drawn(found: Delivery, number: int, size: int) -> None:
    if len(found.keys) != number:
        raise hal.ProtocolError(f"{number} keys were asked for and {len(found.keys)} came")
    if any(8 * len(key) != size for key in found.keys.values()):
        raise hal.ProtocolError(f"keys of {size} bit were asked for, and others came")


def _check_fetched(found: Delivery, wanted: tuple[str, ...], size: int | None, bits: int | None) -> None:
    if found.keys.keys() != set(wanted):
        raise hal.ProtocolError("other keys than those that were asked for came")
    sizes = {8 * len(key) for key in found.keys.values()}
    if len(sizes) != 1 or (size is not None and sizes != {size}):
        raise hal.ProtocolError("the keys are not all of the size that they should have")
    if bits is not None and len(wanted) * sizes.pop() != bits:
        raise hal.ProtocolError(f"the block has not the {bits} bit that it should have")


def _nothing() -> None:
    """Commit a block: the key manager has forgotten it already."""
