"""Two applications at either end of a network: one encrypts a picture with a key, the other opens it."""

from __future__ import annotations

import asyncio
import math
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tokaido.console.page._state import PageExchange
from tokaido.hal import RefusedError, TokaidoError

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from tokaido.node.client import KeyClient

WIDTH: Final = 144
HEIGHT: Final = 96
TAG: Final = 16
"""Bytes by which AES-GCM makes a text longer."""
NONCE: Final = 12
Pixel = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class _Sent:
    """What crosses the network between the applications: no key."""

    key_id: UUID
    nonce: bytes
    ciphertext: bytes


class PictureExchange:
    """An exchange of a picture by AES-256-GCM, each time with a new key of the two applications' key managers.

    Keys are wiped as soon as the cipher has them.

    Args:
        sender: Asks the key manager of the sender.
        receiver: Asks that of the receiver.
        sender_sae: SAE id of the sender.
        receiver_sae: SAE id of the receiver.
        route: Returns the route that keys go now; default: none is told.
    """

    def __init__(
        self,
        sender: KeyClient,
        receiver: KeyClient,
        *,
        sender_sae: str,
        receiver_sae: str,
        route: Callable[[], tuple[str, ...]] = tuple,
    ) -> None:
        self._sender, self._receiver = sender, receiver
        self._sender_sae, self._receiver_sae = sender_sae, receiver_sae
        self._route = route
        self._picture = painting(WIDTH, HEIGHT)
        self._sent: _Sent | None = None
        self._opened: bytes | None = None
        self._now = PageExchange(width=WIDTH, height=HEIGHT)
        self._lock = asyncio.Lock()

    @property
    def now(self) -> PageExchange:
        """How it stands."""
        return self._now

    async def encrypt(self) -> None:
        """Have the sender fetch a key and encrypt its picture.

        Raises:
            TokaidoError: It got no key.
        """
        async with self._lock:
            number = self._now.number + 1
            self._sent = self._opened = None
            try:
                self._sent = await asyncio.to_thread(self._encrypted, number)
            except TokaidoError as error:
                self._tell(number, "failed", f"{self._sender_sae} got no key: {error}")
                raise
            self._tell(number, "encrypted", f"{self._sender_sae} encrypted {len(self._picture)} bytes with a new key")

    async def decrypt(self) -> None:
        """Have the receiver fetch the same key and open what came.

        Raises:
            RefusedError: Nothing was encrypted, or it was opened before: a key is given once.
            TokaidoError: It got no key, or what came does not open.
        """
        async with self._lock:
            number, sent = self._now.number, self._sent
            if sent is None or self._opened is not None:
                raise RefusedError("there is no picture to open", remedy="Encrypt one first")
            try:
                self._opened = await asyncio.to_thread(self._decrypted, sent, number)
            except TokaidoError as error:
                self._sent = None
                self._tell(number, "failed", f"{self._receiver_sae} could not open it: {error}")
                raise
            self._tell(number, "opened", f"{self._receiver_sae} opened it with the same key, which is wiped now")

    def pixels(self, which: str) -> bytes | None:
        """Return pixels of `picture`, `ciphertext` or `opened`; None: there are none now."""
        match which:
            case "picture":
                return self._picture
            case "ciphertext":
                return None if self._sent is None else self._sent.ciphertext[:-TAG]
            case _:
                return self._opened

    def _tell(self, number: int, state: str, seen: str) -> None:
        self._now = PageExchange(
            number=number,
            state=state,  # type: ignore[arg-type]
            width=WIDTH,
            height=HEIGHT,
            route=self._route(),
            seen=seen,
        )

    def _encrypted(self, number: int) -> _Sent:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 - when first needed

        given = self._sender.enc_keys(self._receiver_sae, number=1, size=256)[0]
        nonce = secrets.token_bytes(NONCE)
        with given as key, key.reveal() as view:
            return _Sent(given.key_id, nonce, AESGCM(view).encrypt(nonce, self._picture, self._names(number)))

    def _decrypted(self, sent: _Sent, number: int) -> bytes:
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415 - when first needed
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 - when first needed

        try:
            with self._receiver.dec_keys(self._sender_sae, [sent.key_id])[0] as key, key.reveal() as view:
                return AESGCM(view).decrypt(sent.nonce, sent.ciphertext, self._names(number))
        except InvalidTag:
            raise TokaidoError("the key does not open what came", remedy="Send it again") from None

    def _names(self, number: int) -> bytes:
        """Return what is authenticated with the picture."""
        return f"{self._sender_sae}\0{self._receiver_sae}\0{number}".encode()


def painting(width: int, height: int) -> bytes:
    """Return a mountain at dawn: red, green, blue of each pixel, row by row."""
    pixels = bytearray()
    for y in range(height):
        for x in range(width):
            pixels += bytes(
                round(255 * part) for part in _colour((x + 0.5) / height, (y + 0.5) / height, width / height)
            )
    return bytes(pixels)


def _colour(x: float, y: float, width: float) -> Pixel:
    """Return the colour at a place; the picture is 1 high."""
    shore, peak, foot = 0.80, 0.24, 0.46 * width
    if y > shore:
        deep = (y - shore) / (1 - shore)
        wave = 0.05 * math.sin(90 * y + 9 * math.sin(5 * x)) * (1 - deep)
        return _mixed((0.36 + wave, 0.50 + wave, 0.62 + wave), (0.10, 0.20, 0.36), deep)
    slope = abs(x - 0.56 * width) / foot
    ridge = peak + (shore - peak) * min(1.0, 1.15 * slope) ** 0.62
    crater = peak + 0.035
    if y > max(ridge, crater):
        snow = crater + 0.17 + 0.035 * math.sin(34 * x) + 0.02 * math.sin(81 * x + 1)
        light = 0.06 if x < 0.56 * width else 0.0
        if y < snow:
            return 0.90 + light, 0.91 + light, 0.92 + light
        return _mixed((0.25 + light, 0.29 + light, 0.42 + light), (0.40, 0.45, 0.55), (y - snow) / (shore - snow))
    if math.hypot(x - 0.23 * width, y - 0.40) < 0.115:
        return 0.80, 0.20, 0.16
    return _mixed((0.55, 0.68, 0.80), (0.98, 0.84, 0.68), y / shore)


def _mixed(one: Pixel, other: Pixel, part: float) -> Pixel:
    part = min(max(part, 0.0), 1.0)
    red, green, blue = (a + (b - a) * part for a, b in zip(one, other, strict=True))
    return red, green, blue
