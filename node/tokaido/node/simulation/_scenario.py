"""What a simulated world is made of, and how bad it is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tokaido.hal import KeyMaterial
from tokaido.node.core import ApplicationSettings, CoreSettings, LinkSettings, NeighbourSettings, Quota

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Chances:
    """How often what happens, each as a probability."""

    lost: float = 0.02
    """A question, or its answer, never arrives."""
    late: float = 0.02
    """A message takes up to 6 s, and a neighbour waits for 2 s."""
    repeated: float = 0.03
    """A question arrives a second time."""
    kill: float = 0.0
    """A node dies at a step that has a name."""
    one_sided: float = 0.02
    """A block is offered at one end alone."""
    different: float = 0.01
    """A block has another key, or another size, at one end."""
    offered_again: float = 0.05
    """A source offers what was not committed again."""
    left: float = 0.03
    """An application leaves before it is answered."""
    undelivered: float = 0.03
    """Keys do not reach their application."""
    intruder: float = 0.1
    """An application asks for keys of others, or for its own again."""


CALM = Chances(0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
"""Nothing goes wrong."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """Two nodes and their link, applications included.

    The short times make what takes hours happen within minutes of simulated time.
    """

    nodes: tuple[str, str] = ("kobe", "osaka")
    link: str = "kobe-osaka"
    confirms: bool = True
    """Whether the pair has an end-to-end key."""
    stock: int = 24
    batch: int = 8
    in_flight: int = 3
    lease: int = 512
    supply_age_s: float = 20.0
    batch_age_s: float = 60.0
    block_every_s: float = 1.5
    block_sizes: tuple[int, int] = (150, 3000)
    request_every_s: float = 0.08
    quotas: Mapping[str, Quota] = field(default_factory=dict)


def settings_of(scenario: Scenario) -> dict[str, CoreSettings]:
    """Return what each node's file says."""
    applications = {
        name: ApplicationSettings(name, node, scenario.quotas.get(name, Quota()))
        for node in scenario.nodes
        for name in (f"{node}-1", f"{node}-2")
    }
    settings: dict[str, CoreSettings] = {}
    for node, other in (scenario.nodes, scenario.nodes[::-1]):
        neighbour = NeighbourSettings(
            other,
            (LinkSettings(scenario.link),),
            KeyMaterial(b"between both ends" + bytes(15)) if scenario.confirms else None,
            stock=scenario.stock,
            batch=scenario.batch,
            in_flight=scenario.in_flight,
        )
        settings[node] = CoreSettings(
            node,
            {other: neighbour},
            applications,
            lease=scenario.lease,
            supply_age_s=scenario.supply_age_s,
            batch_age_s=scenario.batch_age_s,
        )
    return settings
