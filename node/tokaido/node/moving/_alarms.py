"""The alarm of a move."""

from __future__ import annotations

from typing import Final

from tokaido.hal import Severity

MOVE_STUCK: Final = "MOVE_STUCK"
MOVE_STUCK_SEVERITY: Final = Severity.MAJOR
MOVE_STUCK_TO_DO: Final = (
    "Bring the node at the other end back, or remove what the text names: the move then ends by itself. If that node "
    "lost its store, see to both switches and say `tokaido node move NODE LINK --forget`"
)
"""What a person does about it."""
