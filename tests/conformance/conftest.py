"""Which tests of our drivers belong to `make thorough`."""

from __future__ import annotations

import pytest


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave the key channel on broken wires to one unit; the suite has the others with faults in the process."""
    for item in items:
        if "::test_keys_under_a_fault_on_the_wire[" in item.nodeid and "::TestTransmitter::" not in item.nodeid:
            item.add_marker(pytest.mark.thorough)
