"""One fibre: its length and what it costs the light."""

from __future__ import annotations

import math
from dataclasses import dataclass

GROUP_INDEX = 1.468
"""Of standard single-mode fibre at 1550 nm (ITU-T G.652 type, manufacturers' value)."""
_SPEED_OF_LIGHT_KM_PER_S = 299_792.458


@dataclass(frozen=True, slots=True, kw_only=True)
class Fibre:
    """A fibre of `length_km`, with its loss given either in all (`loss_db`) or per kilometre (`loss_db_per_km`).

    `extra_loss_db` is what connectors, splices, a tap or a bend add.
    """

    length_km: float
    loss_db: float | None = None
    loss_db_per_km: float | None = None
    extra_loss_db: float = 0.0

    def __post_init__(self) -> None:
        if (self.loss_db is None) == (self.loss_db_per_km is None):
            raise ValueError("a fibre needs its loss once: give either loss_db or loss_db_per_km")
        for name in ("length_km", "loss_db", "loss_db_per_km", "extra_loss_db"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < math.inf:
                raise ValueError(f"fibre {name} = {value!r} is not possible: give a finite value >= 0")

    @property
    def total_loss_db(self) -> float:
        """Loss from end to end in dB, extra loss included."""
        own = self.loss_db if self.loss_db is not None else self.length_km * (self.loss_db_per_km or 0.0)
        return own + self.extra_loss_db

    @property
    def delay_s(self) -> float:
        """One-way group delay in s, about 4.9 us/km."""
        return self.length_km * GROUP_INDEX / _SPEED_OF_LIGHT_KM_PER_S


FIELD_FIBRE = Fibre(length_km=45.0, loss_db=14.5)
"""The 45 km, 14.5 dB field fibre in Tokyo of Sasaki et al. 2011 and Dixon et al. 2015."""
