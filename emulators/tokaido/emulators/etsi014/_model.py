"""A pair of key managers, one at each end of a QKD link, each an HTTPS server."""

from __future__ import annotations

import re
from collections import deque
from typing import TYPE_CHECKING, ClassVar, Final
from urllib.parse import quote

from tokaido.emulators._https_model import HttpsModel
from tokaido.emulators._secrets import secret_source
from tokaido.emulators.etsi014._http import BadRequestError, RequestReader
from tokaido.emulators.etsi014._manager import KeyManager, Manner, Place, RefusalError, Stock
from tokaido.hal import NS_PER_S, ConfigurationError, KeyMaterial

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tokaido.emulators._https_model import Said
    from tokaido.emulators._secrets import Secrets

SLIPS: Final = (
    "capital_keys",
    "slave_in_path",
    "chunked",
    "closes",
    "body_with_401",
    "bare_errors",
    "any_order",
    "upper_ids",
    "no_slave_status",
)
NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,39}")


class KeyManagersModel(HttpsModel):
    """Two key managers with one stock of keys: docs/protocols/etsi014.md, section 7, tells the options.

    Args:
        serial_number: KME id of the master's end.
        seed: Decides the keys and ids if secrets are "seeded".
        secrets: "os", or "seeded" for keys that are the same in every run and marked insecure.
        key_size: Size of a key for which none is asked, in bit.
        min_key_size: Smallest size, in bit.
        max_key_size: Largest size, in bit.
        max_key_per_request: Most keys at once.
        max_key_count: Most keys in stock.
        stored: Keys in stock at launch.
        rate_per_s: New keys a second.
        sae: SAE id of the master.
        peer_sae: SAE id of the slave.
        far_id: KME id of the slave's end.
        slow_s: Time that each answer takes, in s.
        slips: What this vendor does otherwise, joined by commas.

    Raises:
        ConfigurationError: An option does not fit.
    """

    SERIAL_NUMBER: ClassVar[str] = "KME0001"
    FAULTS = (
        "empty",
        "refuses",
        "wrong_size",
        "wrong_number",
        "repeats",
        "odd_base64",
        "odd_id",
        "not_json",
        "other_ids",
        "redirects",
        "distrusts",  # no client's certificate is taken
    )
    SERVERS = ("master", "slave")

    def __init__(
        self,
        serial_number: str | None = None,
        *,
        seed: int = 0,
        secrets: Secrets = "os",
        key_size: int = 256,
        min_key_size: int = 64,
        max_key_size: int = 1024,
        max_key_per_request: int = 128,
        max_key_count: int = 100_000,
        stored: int = 1000,
        rate_per_s: float = 0.0,
        sae: str = "sae-a",
        peer_sae: str = "sae-b",
        far_id: str = "KME0002",
        slow_s: float = 0.0,
        slips: str = "",
    ) -> None:
        self.serial_number = self.SERIAL_NUMBER if serial_number is None else serial_number
        given = frozenset(filter(None, slips.split(",")))
        sizes = 0 < min_key_size <= key_size <= max_key_size and key_size % 8 == 0
        names = NAME.fullmatch(self.serial_number) and NAME.fullmatch(far_id) and sae and peer_sae and sae != peer_sae
        _check(
            (
                given <= set(SLIPS),
                f"slips: there is no {', '.join(sorted(given - set(SLIPS)))}; take {', '.join(SLIPS)}",
            ),
            (sizes, "key_size: should be a multiple of 8, from min_key_size to max_key_size"),
            (
                max_key_per_request > 0 and max_key_count > 0 and stored >= 0,
                "stored: a number of keys is too low",
            ),
            (rate_per_s >= 0 and slow_s >= 0, "rate_per_s: a rate or a time is below 0"),
            (bool(names), "far_id: ids of KMEs are letters and digits; the two SAEs have two ids"),
        )
        self.provoked: set[str] = set()
        """Model faults that are present; see `FAULTS`."""
        self._now_ns = 0
        self._slow_ns = round(slow_s * NS_PER_S)
        self._key_size = key_size
        self._ends = "closes" in given
        self._insecure = secrets == "seeded"
        extension = {"tokaido_emulated": True} | ({"tokaido_insecure": True} if self._insecure else {})
        manner = Manner(key_size, min_key_size, max_key_size, max_key_per_request, given, extension, self.provoked)
        random = secret_source(secrets, "etsi014", seed, self.serial_number)
        self.stock = Stock(float(stored), max_key_count, rate_per_s, random)
        """The keys of the link that nobody has asked for."""
        self.managers = {
            "master": KeyManager(Place(self.serial_number, sae, peer_sae, far=False), self.stock, manner),
            "slave": KeyManager(Place(far_id, peer_sae, sae, far=True), self.stock, manner),
        }
        """The two key managers, by the end at which they stand."""
        self.managers["master"].other, self.managers["slave"].other = self.managers["slave"], self.managers["master"]
        self._readers: dict[tuple[str, bytes], RequestReader] = {}
        self._waiting: dict[str, deque[tuple[int, bytes, bytes]]] = {name: deque() for name in self.SERVERS}

    # --- what tests put in and look at --------------------------------------------------------------------------------

    @property
    def key_bits(self) -> int:
        """Size of a key for which none is asked, in bit."""
        return self._key_size

    def add_key(self, key_id: str, key: KeyMaterial) -> None:
        """Lay a key down behind those that were: it is delivered before any other of its size."""
        self.stock.laid_down.append((key_id, key))
        self.stock.count += 1

    def key_orders(self) -> Sequence[tuple[str, str]]:
        """Return what was delivered, by "enc_keys" or "dec_keys", and the key's id; those of the master's end first."""
        return [*self.managers["master"].delivered, *self.managers["slave"].delivered]

    # --- time ---------------------------------------------------------------------------------------------------------

    @property
    def now_ns(self) -> int:
        """Time in ns since the pair came up."""
        return self._now_ns

    def advance(self, to_ns: int) -> None:
        """Let time pass until `to_ns`; raises ValueError for the past."""
        if to_ns < self._now_ns:
            raise ValueError(f"{to_ns} ns lies in the past of {self._now_ns} ns")
        self.stock.grow((to_ns - self._now_ns) / NS_PER_S)
        self._now_ns = to_ns

    def due_ns(self) -> int | None:
        """Return when the next answer is due."""
        due = [waiting[0][0] for waiting in self._waiting.values() if waiting]
        return min(due, default=None)

    # --- servers ------------------------------------------------------------------------------------------------------

    @property
    def clients(self) -> Mapping[str, str]:
        """The SAE that each key manager serves."""
        return {name: manager.place.own_sae for name, manager in self.managers.items()}

    def query(self, server: str) -> str:
        """Return end and peer as the driver's resource has them."""
        return f"end={server}&peer={quote(self.managers[server].place.peer_sae, safe='')}"

    @property
    def distrusts(self) -> bool:
        """Whether no client's certificate is taken now."""
        return "distrusts" in self.provoked

    def hear(self, server: str, connection: bytes, client: str, data: bytes) -> None:
        """Answer the requests that are whole."""
        reader = self._readers.setdefault((server, connection), RequestReader())
        manager = self.managers[server]
        try:
            answers = [manager.answer(client, request) for request in reader.requests(data)]
        except BadRequestError as error:
            answers = [manager.refused(RefusalError(400, str(error)))]
        self._waiting[server] += ((self._now_ns + self._slow_ns, connection, answer) for answer in answers)

    def say(self, server: str) -> list[Said]:
        """Return the answers that are due."""
        found: list[Said] = []
        while self.has_said(server):
            _, connection, answer = self._waiting[server].popleft()
            found.append((connection, answer, self._ends))
        return found

    def has_said(self, server: str) -> bool:
        """Return whether an answer is due."""
        waiting = self._waiting[server]
        return bool(waiting) and waiting[0][0] <= self._now_ns

    def hung_up(self, server: str, connection: bytes) -> None:
        """Forget what came of a request that is not whole."""
        self._readers.pop((server, connection), None)

    def add_fault(self, fault: str) -> None:
        """Begin a model fault."""
        if fault not in self.FAULTS:
            raise ConfigurationError(f"no fault is called {fault!r}", remedy=f"Choose one of: {', '.join(self.FAULTS)}")
        self.provoked.add(fault)

    def forget_secrets(self) -> None:
        """Erase every key."""
        for manager in self.managers.values():
            manager.forget()
        while self.stock.laid_down:
            self.stock.laid_down.popleft()[1].wipe()
        for waiting in self._waiting.values():
            waiting.clear()


def _check(*conditions: tuple[bool, str]) -> None:
    mistakes = tuple(mistake for right, mistake in conditions if not right)
    if mistakes:
        raise ConfigurationError("a pair of key managers cannot be so", mistakes=mistakes)
