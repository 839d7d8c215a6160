"""Key material that never shows itself, and the key blocks that a unit offers to its host."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn, Self, final

from tokaido.hal._errors import KeyMaterialError
from tokaido.hal._numbers import whole

if not TYPE_CHECKING:
    from tokaido.hal._records import dataclass, field

if TYPE_CHECKING:
    from collections.abc import Callable
    from dataclasses import dataclass, field
    from types import TracebackType


@final
class KeyMaterial:
    """Secret bytes: no `repr`, format, pickle, JSON or comparison ever shows one.

    The bytes live in one `bytearray` that `wipe` overwrites. CPython and the libraries below may keep copies of what
    passed through them (sockets, hash states, numpy temporaries), so wiping is best effort and said to be.
    """

    __slots__ = ("_buffer", "_wiped", "insecure")

    def __init__(self, data: bytes | bytearray | memoryview, *, insecure: bool = False) -> None:
        if not isinstance(data, (bytes, bytearray, memoryview)):  # a number would make a key of so many zeros
            raise KeyMaterialError(f"a key is made of bytes, not of {type(data).__name__}")
        self._buffer = bytearray(data)
        self._wiped = False
        self.insecure = insecure
        """Whether this key was made from seeded randomness and must never protect anything."""

    def __len__(self) -> int:
        return len(self._buffer)

    @property
    def bits(self) -> int:
        """Length in bits."""
        return 8 * len(self._buffer)

    @property
    def wiped(self) -> bool:
        """Whether the bytes were overwritten."""
        return self._wiped

    def reveal(self) -> memoryview:
        """Return a read-only view of the bytes; copy nothing that you need not copy.

        Raises:
            KeyMaterialError: The key was wiped.
        """
        if self._wiped:
            raise KeyMaterialError("this key was wiped", remedy="Draw a fresh one")
        return memoryview(self._buffer).toreadonly()

    def split(self, first: int) -> tuple[KeyMaterial, KeyMaterial]:
        """Return two keys, the first `first` bytes and the rest, and wipe this one.

        Raises:
            KeyMaterialError: The key was wiped, or is shorter than `first` bytes.
        """
        first = whole(first, "the length of a key")
        view = self.reveal()
        if not 0 <= first <= len(view):
            raise KeyMaterialError(f"a key of {len(view)} bytes has no first {first} bytes")
        parts = KeyMaterial(view[:first], insecure=self.insecure), KeyMaterial(view[first:], insecure=self.insecure)
        view.release()
        self.wipe()
        return parts

    def digest(self, nonce: bytes) -> str:
        """Return HMAC-SHA-256 of the key under a public `nonce` of at least 16 bytes, as hex.

        It lets two people compare keys without showing them. It is for keys that are thrown away afterwards.
        """
        if len(nonce) < 16:
            raise KeyMaterialError(f"a nonce of {len(nonce)} bytes is too short", remedy="Take 16 random bytes or more")
        import hashlib  # noqa: PLC0415 - loads OpenSSL, 5 ms
        import hmac  # noqa: PLC0415

        with self.reveal() as view:
            return hmac.new(nonce, view, hashlib.sha256).hexdigest()

    def wipe(self) -> None:
        """Overwrite the bytes with zeros. May be called again."""
        self._buffer[:] = bytes(len(self._buffer))
        self._wiped = True

    def __repr__(self) -> str:
        return f"<KeyMaterial {self.bits} bit{', insecure' if self.insecure else ''}{', wiped' if self._wiped else ''}>"

    def __format__(self, spec: str) -> str:
        return format(repr(self), spec)

    def __eq__(self, other: object) -> bool:
        raise KeyMaterialError("keys are not compared", remedy="Compare key.digest(nonce) under one nonce")

    def __hash__(self) -> int:
        raise KeyMaterialError("keys are not hashed")

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise KeyMaterialError("keys are not pickled or copied")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.wipe()


@dataclass(frozen=True, slots=True)
class KeyBlockFacts:
    """What distillation knows of one key block beside the key. It travels with the key, as it is, up to the host."""

    session: str
    """Identifier of the key session, the same at both ends of the QKD link; of a source that gives keys by their ids
    (`KeyBlockInfo.key_ids`), the first key's."""
    number: int
    """Number of the block within its session, from 0."""
    bits: int
    """Length of the key in bit."""
    method: str
    """Security analysis behind its length, for example "lim2014"; "unstated" if the source does not say."""
    bound: str
    """Statistical bound used by the analysis, for example "chernoff"; "unstated" if the source does not say."""
    eps: float
    """Total failure probability of the block (secrecy, correctness and authentication); 1 if the source claims none."""
    insecure: bool
    """Whether it was made with seeded secrets."""
    emulated: bool
    """Whether an emulator made it. Such keys agree at both ends and are not secret in the QKD sense."""


@dataclass(frozen=True, slots=True)
class KeyBlockInfo(KeyBlockFacts):
    """What is public about one key block of one source: enough to name it, judge it and store it once."""

    serial_number: str = field(kw_only=True)
    """Serial number of the unit that distilled it, or of the key manager that gave it."""
    peer: str = field(default="", kw_only=True)
    """Serial number of the unit at the other end of the QKD link that made it; empty if the unit does not say."""
    path: str = field(default="", kw_only=True)
    """Name of the path of that link; empty if the unit does not say."""
    key_ids: tuple[str, ...] = field(default=(), kw_only=True)
    """Ids of the keys that the block is put together of, in their order, by which the other end fetches it; empty for
    a unit, whose counterpart has the block already."""

    @classmethod
    def of(cls, facts: KeyBlockFacts, serial_number: str, *, peer: str = "", path: str = "") -> KeyBlockInfo:
        """Return the facts of a block as those of a unit's block."""
        values = (getattr(facts, name) for name in KeyBlockFacts.__match_args__)
        return cls(*values, serial_number=serial_number, peer=peer, path=path)

    @property
    def name(self) -> tuple[str, str, int]:
        """The triple that is unique for ever: serial number, session, block number."""
        return self.serial_number, self.session, self.number


class KeyBlock:
    """One drawn key block. As a context manager it commits on a clean exit; an exception leaves it offered.

    The unit keeps the block until it is committed, and offers it again to the next host that draws. A unit that pushes
    its blocks (`Capability.PUSHED_KEYS`) keeps nothing, and neither does a source with a master's and a slave's end
    (`KeySource.key_end`): store the block when it comes, committing it does nothing.
    """

    __slots__ = ("_commit", "committed", "info", "key", "lost")

    def __init__(self, info: KeyBlockInfo, key: KeyMaterial, commit: Callable[[], None], lost: int | None = 0) -> None:
        self.info = info
        self.key = key
        self.lost = lost
        """How many blocks were lost just before this one, None if nobody can know. Always 0 where the unit keeps what
        was not committed; a unit with `Capability.PUSHED_KEYS` sends a block once."""
        self._commit = commit
        self.committed = False

    def commit(self) -> None:
        """Tell the unit that the block is stored, so that it may erase it. May be called again.

        Raises:
            OutcomeUnknownError: The unit's answer was lost. Commit again: the unit takes it once.
            TokaidoError: Anything else that kept the unit from answering.
        """
        if not self.committed:
            self._commit()
            self.committed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.commit()

    def __repr__(self) -> str:
        return f"<KeyBlock {self.info.serial_number}/{self.info.session}/{self.info.number} {self.info.bits} bit>"
