"""The scenarios `pair` and `chain`: sites that follow each other, spans between them, an application at each end."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Final

from tokaido.console._line.described import Described
from tokaido.console._line.plant import Fibre, Pair, Site, Span

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tokaido.emulators.demonstrations import Demonstration

PLACES: Final = {
    "pair": (("otemachi", "bank"), ("koganei", "hospital")),
    "chain": (("nagoya", "bank"), ("maibara", ""), ("kyoto", ""), ("osaka", ""), ("kobe", "hospital")),
}
"""Of each scenario its sites, in order, and their applications."""
TITLES: Final = {"pair": "a pair of nodes that serve keys", "chain": "a chain of nodes that relay keys from end to end"}
STOCK: Final = {"pair": 512, "chain": 64}
"""Keys that both ends keep ready for each other."""
WANTED: Final = {"pair": 64, "chain": 16}
"""Keys in stock with which the applications begin."""


def described_places(scenario: str, vendors: Sequence[str]) -> Described:
    """Return what a scenario runs; its spans take the families of units in turn.

    Raises:
        ConfigurationError: A family cannot be demonstrated.
    """
    from tokaido.emulators.demonstrations import demonstration  # noqa: PLC0415 - numpy, when first needed
    from tokaido.emulators.optics import link_rate  # noqa: PLC0415

    sites = tuple(Site(name, name.title(), application) for name, application in PLACES[scenario])
    spans: list[Span] = []
    shown: dict[str, Demonstration] = {}
    for number, (one, other) in enumerate(pairwise(sites)):
        vendor = vendors[number % len(vendors)]
        name = f"{one.name}-{other.name}"
        family = shown[name] = demonstration(vendor)
        fibre = family.fibres[0] if family.field_link is None else family.field_link.fibre
        fibres = (Fibre(name, fibre.length_km, fibre.total_loss_db),)
        spans.append(Span(name, (one.name, other.name), vendor, "short-block", fibres))
    losses = {span.name: span.fibres[0].loss_db for span in spans}
    return Described(
        scenario=scenario,
        title=TITLES[scenario],
        titles_ja={},
        wanted=WANTED[scenario],
        sites=sites,
        spans=tuple(spans),
        pairs=(Pair((sites[0].name, sites[-1].name), STOCK[scenario], confirmed=len(sites) > 2),),
        losses_db=losses,
        styles={name: one.style for name, one in shown.items()},
        protocols=" ".join(dict.fromkeys(one.protocols for one in shown.values())),
        sifted_bps={
            name: one.sub_channels * link_rate(one.parameters(losses[name])).sifted_bps for name, one in shown.items()
        },
    )
