"""One key manager: what it answers to an application, as docs/protocols/etsi014.md has it."""

from __future__ import annotations

import base64
import json
import uuid
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, unquote

from tokaido.emulators.etsi014._http import HttpRequest, written
from tokaido.hal import KeyMaterial

if TYPE_CHECKING:
    from collections.abc import Callable

LOGGED: Final = 10_000
NOT_FOUND: Final = "one or more keys specified are not found on KME"
SIZE_OF_8: Final = "size shall be a multiple of 8"
NO_EXTENSION: Final = "not all extension_mandatory parameters are supported"


class RefusalError(Exception):
    """An error that the key manager answers with."""

    def __init__(self, status: int, message: str = "", details: list[dict[str, str]] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.body: dict[str, Any] = {"message": message} | ({"details": details} if details else {})


@dataclass
class Stock:
    """The keys of the link that nobody has asked for: how many there are, and those that a test laid down."""

    count: float
    most: int
    rate_per_s: float
    random: Callable[[int], bytes]
    laid_down: deque[tuple[str, KeyMaterial]] = field(default_factory=deque, repr=False)

    def grow(self, seconds: float) -> None:
        """Let time pass."""
        self.count = min(self.count + self.rate_per_s * seconds, float(max(self.most, self.count)))

    @property
    def whole(self) -> int:
        """How many keys could be delivered now."""
        return int(self.count)

    def take(self, bits: int) -> tuple[str, KeyMaterial]:
        """Return the next id and key."""
        self.count -= 1
        if self.laid_down and self.laid_down[0][1].bits == bits:
            return self.laid_down.popleft()
        return self.made(bits)

    def made(self, bits: int) -> tuple[str, KeyMaterial]:
        """Return a fresh id and key, which were never in stock."""
        return str(uuid.UUID(bytes=self.random(16), version=4)), KeyMaterial(self.random(bits // 8))


@dataclass(frozen=True, slots=True)
class Manner:
    """What a pair of key managers is set to."""

    key_size: int
    min_key_size: int
    max_key_size: int
    max_key_per_request: int
    slips: frozenset[str]
    extension: dict[str, bool]
    provoked: set[str]
    """Model faults that are present."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a key manager stands."""

    kme: str
    own_sae: str
    """The application that it serves."""
    peer_sae: str
    """The application at the other end."""
    far: bool
    """Whether it is the slave's."""


class KeyManager:
    """The key manager at one end.

    Args:
        place: Where it stands.
        stock: The keys of the link, which both ends have.
        manner: What the pair is set to.
    """

    def __init__(self, place: Place, stock: Stock, manner: Manner) -> None:
        self.place, self._stock, self._manner = place, stock, manner
        self._provoked = manner.provoked
        self.other = self
        """The key manager at the other end."""
        self.held: dict[str, KeyMaterial] = {}
        """Keys that the other end delivered, for the application here to fetch, by their ids in small letters."""
        self.delivered: deque[tuple[str, str]] = deque(maxlen=LOGGED)
        """By which method what was delivered, oldest first: "enc_keys" or "dec_keys", and the id."""

    def answer(self, client: str, request: HttpRequest) -> bytes:
        """Return the response to a request of a client that proved to be `client`."""
        try:
            if client != self.place.own_sae or "refuses" in self._provoked:
                raise RefusalError(401)
            if "redirects" in self._provoked:
                return written(307, b"", to="https://127.0.0.1:1/")
            return self._written(200, self._found(request))
        except RefusalError as refusal:
            return self.refused(refusal)

    def forget(self) -> None:
        """Erase every key."""
        for key in self.held.values():
            key.wipe()
        self.held.clear()

    def refused(self, refusal: RefusalError) -> bytes:
        slips = self._manner.slips
        if refusal.status == 401 and "body_with_401" not in slips:
            return written(401, b"")
        if "bare_errors" in slips:
            return written(refusal.status, b"it did not work", kind="text/plain")
        return self._written(refusal.status, refusal.body)

    def _written(self, status: int, found: Any) -> bytes:
        body = json.dumps(found).encode()
        if "not_json" in self._provoked and status == 200:
            body = body[:-2]
        slips = self._manner.slips
        return written(status, body, chunked="chunked" in slips, sized="closes" not in slips)

    # --- methods ------------------------------------------------------------------------------------------------------

    def _found(self, request: HttpRequest) -> dict[str, Any]:
        path, _, query = request.target.partition("?")
        words = path.split("/")
        if words[:4] != ["", "api", "v1", "keys"] or len(words) != 6:
            raise RefusalError(400, "there is no such method")
        of, method = unquote(words[4]), words[5]
        own_in_path = method == "dec_keys" and "slave_in_path" in self._manner.slips
        if of != (self.place.own_sae if own_in_path else self.place.peer_sae):
            raise RefusalError(400, "there is no link to this SAE")
        given = self._given(request, dict(parse_qsl(query)))
        if method == "status" and request.method == "GET":
            return self._status()
        if method == "enc_keys":
            return self._enc_keys(given)
        if method == "dec_keys":
            return self._dec_keys(given)
        raise RefusalError(400, "there is no such method")

    @staticmethod
    def _given(request: HttpRequest, query: dict[str, str]) -> dict[str, Any]:
        if request.method == "GET":
            numbers = {name: int(query[name]) for name in ("number", "size") if query.get(name, "").isdigit()}
            return numbers | ({"key_IDs": [{"key_ID": query["key_ID"]}]} if "key_ID" in query else {})
        if request.method != "POST":
            raise RefusalError(400, "there is no such method")
        try:
            given = json.loads(request.body or b"{}")
        except (ValueError, RecursionError):
            raise RefusalError(400, "the body is not JSON") from None
        if not isinstance(given, dict):
            raise RefusalError(400, "the body is not an object")
        return given

    def _status(self) -> dict[str, Any]:
        if "no_slave_status" in self._manner.slips and self.place.far:
            raise RefusalError(400, "no keys are asked for here")
        manner = self._manner
        return {
            "source_KME_ID": self.place.kme,
            "target_KME_ID": self.other.place.kme,
            "master_SAE_ID": self.place.own_sae,
            "slave_SAE_ID": self.place.peer_sae,
            "key_size": manner.key_size,
            "stored_key_count": self._stock.whole,
            "max_key_count": self._stock.most,
            "max_key_per_request": manner.max_key_per_request,
            "max_key_size": manner.max_key_size,
            "min_key_size": manner.min_key_size,
            "max_SAE_ID_count": 0,
            "status_extension": manner.extension,
        }

    def _enc_keys(self, given: dict[str, Any]) -> dict[str, Any]:
        manner = self._manner
        number = _whole(given, "number", 1)
        size = _whole(given, "size", manner.key_size)
        if given.get("additional_slave_SAE_IDs"):
            raise RefusalError(400, "no additional slaves are served")
        if mandatory := given.get("extension_mandatory"):
            names = [name for one in mandatory if isinstance(one, dict) for name in one]
            raise RefusalError(400, NO_EXTENSION, [{"extension_mandatory_unsupported": name} for name in names])
        if size % 8:
            raise RefusalError(400, SIZE_OF_8)
        if not manner.min_key_size <= size <= manner.max_key_size:
            raise RefusalError(400, f"size shall be {manner.min_key_size} to {manner.max_key_size}")
        if not 1 <= number <= manner.max_key_per_request:
            raise RefusalError(400, f"number shall be 1 to {manner.max_key_per_request}")
        if "empty" in self._provoked or self._stock.whole < number:
            raise RefusalError(503, "not enough keys are stored")
        keys = [self._stock.take(size) for _ in range(number)]
        self.other.held |= {key_id.lower(): KeyMaterial(key.reveal(), insecure=key.insecure) for key_id, key in keys}
        while len(self.other.held) > self._stock.most:
            self.other.held.pop(next(iter(self.other.held))).wipe()
        return self._container("enc_keys", keys)

    def _dec_keys(self, given: dict[str, Any]) -> dict[str, Any]:
        listed = given.get("key_IDs")
        try:
            ids = [str(one["key_ID"]) for one in listed or ()]
        except (TypeError, LookupError):
            raise RefusalError(400, "key_IDs shall be a list of objects with a key_ID") from None
        lower = [one.lower() for one in ids]
        if not ids or len(ids) > self._manner.max_key_per_request:
            raise RefusalError(400, f"key_IDs shall be 1 to {self._manner.max_key_per_request} ids")
        if len(set(lower)) != len(lower) or any(one not in self.held for one in lower):
            raise RefusalError(400, NOT_FOUND)
        if "other_ids" in self._provoked:
            return self._container("dec_keys", [self._stock.made(self._manner.key_size) for _ in ids])
        keys = list(zip(ids, [self.held.pop(one) for one in lower], strict=True))
        if "any_order" in self._manner.slips:
            keys.reverse()
        return self._container("dec_keys", keys)

    def _container(self, method: str, keys: list[tuple[str, KeyMaterial]]) -> dict[str, Any]:
        """Return a container of keys as the vendor writes it, with what is wrong with it, and erase the keys."""
        provoked, slips = self._provoked, self._manner.slips
        upper = "upper_ids" in slips and method == "enc_keys"
        rows: list[dict[str, str]] = []
        for key_id, key in keys:
            self.delivered.append((method, key_id))
            with key, key.reveal() as view:
                text = base64.b64encode(view[:-1] if "wrong_size" in provoked else view).decode()
            text = f"{text[:4]}\n{text[4:]}" if "odd_base64" in provoked else text
            rows.append({"key_ID": key_id.upper() if upper else key_id, "key": text})
        if "odd_id" in provoked:
            rows[0]["key_ID"] = rows[0]["key_ID"][:-1]
        if "wrong_number" in provoked:
            rows.pop()
        if "repeats" in provoked:
            rows[-1] = rows[0]
        name = "Keys" if "capital_keys" in slips else "keys"
        return {name: rows, "key_container_extension": self._manner.extension}


def _whole(given: dict[str, Any], name: str, default: int) -> int:
    value = given.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int):
        raise RefusalError(400, f"{name} shall be an integer")
    return value
