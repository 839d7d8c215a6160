"""A simulator of nodes: real cores and stores, and a world that delays, loses, repeats and kills.

Everything comes from one seed. An observer outside of the nodes sees every message and every key, and raises
`BrokenRuleError` as soon as a rule of key custody is broken.
"""

from __future__ import annotations

from tokaido.node.simulation._campaign import Tally, campaign, restore_one
from tokaido.node.simulation._observer import BrokenRuleError, Observer
from tokaido.node.simulation._scenario import CALM, Chances, Scenario, network, settings_of
from tokaido.node.simulation._world import World

__all__ = [
    "CALM",
    "BrokenRuleError",
    "Chances",
    "Observer",
    "Scenario",
    "Tally",
    "World",
    "campaign",
    "network",
    "restore_one",
    "settings_of",
]
