"""The failure probabilities that stand beside every key, and how they follow it when keys are cut and joined."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tokaido.hal import KeyMaterial

if TYPE_CHECKING:
    from collections.abc import Iterable

ERROR_TERMS: Final = 21
"""Equal parts that eps_sec is cut into for two decoy states (Lim et al., Phys. Rev. A 89, 022307, Eq. 1)."""
STATISTICAL_TERMS: Final = 14
"""Those of them that belong to parameter estimation.

eps_sec = 2 (a1 + 2 a2 + a3) + nu (Lim et al. 2014, appendix B). The statistical a3 holds seven parts and counts
twice; the smoothing a1 and a2 and the hash nu make the other seven.
"""
RATIO_TERMS: Final = 4
"""More of them where detectors are charged for a ratio below 1: a bound in each basis, counted twice as the others."""


@dataclass(frozen=True, slots=True)
class EpsilonLedger:
    """Failure probabilities of a key. A key cut from it inherits all of them; keys joined together add theirs."""

    estimation: float = 0.0
    """That a statistical bound of parameter estimation does not hold."""
    amplification: float = 0.0
    """That the key is not uniform although they hold: smoothing and the leftover hash."""
    correctness: float = 0.0
    """That a verification tag missed an error: tags times 8 ceil(bytes / 16) / 2^106."""
    authentication: float = 0.0
    """That a forged transcript passed one of the tags of the block."""

    @classmethod
    def of_block(
        cls, eps_sec: float, *, correctness: float, authentication: float, detector_ratio: float = 1.0
    ) -> EpsilonLedger:
        """Return the ledger of a block that was made with the secrecy parameter `eps_sec` and two decoy states."""
        more = 0 if detector_ratio == 1 else RATIO_TERMS
        estimation = eps_sec * (STATISTICAL_TERMS + more) / (ERROR_TERMS + more)
        return cls(estimation, eps_sec - estimation, correctness, authentication)

    @property
    def secrecy(self) -> float:
        """Parameter estimation and privacy amplification (eps_sec of Lim et al. 2014)."""
        return self.estimation + self.amplification

    @property
    def total(self) -> float:
        """Sum of all four."""
        return self.secrecy + self.correctness + self.authentication

    def __add__(self, other: EpsilonLedger) -> EpsilonLedger:
        """Return the ledger of two keys joined together (the union bound)."""
        return EpsilonLedger(
            self.estimation + other.estimation,
            self.amplification + other.amplification,
            self.correctness + other.correctness,
            self.authentication + other.authentication,
        )


@dataclass(frozen=True, slots=True)
class LedgeredKey:
    """A key and what is claimed of it."""

    key: KeyMaterial
    eps: EpsilonLedger

    def cut(self, first: int) -> tuple[LedgeredKey, LedgeredKey]:
        """Return the first `first` bytes and the rest, each with the whole ledger, and wipe this key.

        Raises:
            KeyMaterialError: The key was wiped, or is shorter than `first` bytes.
        """
        head, rest = self.key.split(first)
        return LedgeredKey(head, self.eps), LedgeredKey(rest, self.eps)

    @staticmethod
    def joined(keys: Iterable[LedgeredKey]) -> LedgeredKey:
        """Return the keys one after the other, with the sum of their ledgers, and wipe them.

        Raises:
            KeyMaterialError: One of them was wiped.
        """
        joined, eps, insecure = bytearray(), EpsilonLedger(), False
        for part in keys:
            with part.key, part.key.reveal() as view:
                joined += view
            eps += part.eps
            insecure = insecure or part.key.insecure
        whole = KeyMaterial(joined, insecure=insecure)
        joined[:] = bytes(len(joined))
        return LedgeredKey(whole, eps)
