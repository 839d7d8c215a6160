"""A time tagger behind a device server: lines come through, and words do not."""

from __future__ import annotations

import pytest

import tokaido.hal as hal
from tokaido.emulators import launch
from tokaido_testing.served import through_a_server


def test_a_tagger_behind_a_server_says_that_tags_do_not_come() -> None:
    with (
        launch("sfifteen.tagger") as emulator,
        through_a_server("sfifteen.tagger")({"control": emulator.resources["control"]}) as way,
        hal.TimeTagger.open("sfifteen.tagger", timeout=5, control=way["control"]) as tagger,
    ):
        with pytest.raises(hal.UnsupportedError, match="a device server carries lines alone"):
            tagger.tags(0.05)
        assert tagger.threshold == 1.0
