"""The libraries that `tokaido.lab` bridges to are extras: nothing else imports them, and their lack is told."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest


def test_no_library_is_imported_unless_its_bridge_is() -> None:
    program = (
        "import sys, tokaido.hal, tokaido.lab, tokaido.lab.sharing, tokaido.lab.bluesky, tokaido.console; "
        "print(*({'qcodes', 'bluesky', 'event_model', 'p4p', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=50)
    assert done.stdout.strip() == ""


@pytest.mark.parametrize(
    ("bridge", "library", "extra"),
    [("tokaido.lab.qcodes", "qcodes", "qcodes"), ("tokaido.lab.epics", "p4p.nt", "epics")],
)
def test_a_bridge_without_its_library_says_what_to_install(
    bridge: str, library: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith(bridge)]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ImportError, match=rf"pip install 'tokaido\[{extra}\]'"):
        importlib.import_module(bridge)
