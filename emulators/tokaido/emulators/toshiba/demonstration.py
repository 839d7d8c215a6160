"""What `tokaido demo` shows of Toshiba-style units: city fibres, and a field link of the Tokyo QKD network."""

from __future__ import annotations

from typing import Final

from tokaido.emulators.demonstrations import INVENTED, Demonstration, FieldLink, Published
from tokaido.emulators.optics import FIELD_FIBRE, Fibre, preset

__all__ = ["DEMONSTRATION"]


DEMONSTRATION: Final = Demonstration(
    style="Toshiba-style",
    protocols=INVENTED,
    fibres=(Fibre(length_km=25.0, loss_db=7.5), Fibre(length_km=31.0, loss_db=9.3)),  # metropolitan, 0.3 dB/km
    parameters=lambda loss_db: preset("t12", settings="megabit-block", channel_loss_db=loss_db),
    published=Published(
        parameters=lambda loss_db: preset("t12", settings="published", channel_loss_db=loss_db),
        remark="The published T12 probabilities are made for 20-minute blocks",
        measured_bps=304_000,  # mean over the Toshiba link: Sasaki et al., Opt. Express 19, 10387 (2011)
    ),
    field_link=FieldLink(
        name="tokyo-field",
        title="the Tokyo field link",
        fibre=FIELD_FIBRE,
        block_bits=10_000_000,
        parameters=lambda loss_db: preset("t12", settings="short-block", channel_loss_db=loss_db),
    ),
)
"""The entry `toshiba` of the group `tokaido.demonstrations`."""
