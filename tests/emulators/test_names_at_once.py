"""Emulators that start at the same moment get names of their own."""

from __future__ import annotations

import pytest

import tokaido.hal as hal
from tokaido.emulators import ends, launch


@pytest.mark.parametrize(("name", "wire_end"), [("dicon.selector", "emu"), ("polatis.matrix", "visa")])
def test_a_name_that_was_free_a_moment_ago_is_not_fought_for(
    monkeypatch: pytest.MonkeyPatch, name: str, wire_end: str
) -> None:
    find, looks = ends.find_in_process, []

    def find_a_moment_too_early(asked: str) -> object:
        looks.append(asked)
        return None if len(looks) == 1 else find(asked)

    with launch(name, wire_end=wire_end) as first:
        monkeypatch.setattr(ends, "find_in_process", find_a_moment_too_early)
        with launch(name, wire_end=wire_end) as second:
            assert second.resources["control"] != first.resources["control"]
            assert len(looks) > 1
        with pytest.raises(hal.ConfigurationError, match="another emulated device"):
            launch(name, resources={"control": first.resources["control"]})
