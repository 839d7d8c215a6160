"""Ctrl-C at any line of an opening: nothing stays open, and the port can be opened again at once."""

from __future__ import annotations

import gc
import inspect
import os
import random
import subprocess
import sys
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest

from tokaido_testing.patience import patient

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType, FrameType

    from tokaido_testing.rigs import Rig

every_kind = pytest.mark.parametrize("kind", ["line", "asrl", "socket", "hislip"])

EVERY = 5
"""Which lines are struck: one in so many, each time others, so that the test takes a second and not five."""


class Strike:
    """A Ctrl-C at the n-th line that the main thread runs in a transport, or in what opens ports."""

    def __init__(self, line: int) -> None:
        self._left = line
        self.struck = ""

    def __call__(self, frame: FrameType, event: str, _arg: object) -> Any:
        if "/hal/transports/" not in frame.f_code.co_filename or lets_go(frame):
            return None
        if event == "line" and not gives_lock_back(frame):
            self._left -= 1
            if self._left == 0:
                self.struck = f"{frame.f_code.co_filename}:{frame.f_lineno}"
                raise KeyboardInterrupt
        return self


def lets_go(frame: FrameType | None) -> bool:
    """Whether a frame is part of a `__del__`, where Python tells an interrupt and goes on."""
    while frame is not None and frame.f_code.co_name != "__del__":
        frame = frame.f_back
    return frame is not None


def gives_lock_back(frame: FrameType) -> bool:
    """Whether a line stands between the end of a turn and the lock's release, where CPython looks for no signal.

    It looks after calls, jumps and at the beginning of functions, and the first call there is the release.
    """
    if not (frame.f_code.co_name == "run" and frame.f_code.co_filename.endswith("_turns.py")):
        return False
    return frame.f_lineno >= line_of_finally(frame.f_code)


@cache
def line_of_finally(code: CodeType) -> int:
    lines, first = inspect.getsourcelines(code)
    return first + next(i for i, line in enumerate(lines) if line.strip() == "finally:")


def struck_at(line: int, call: Callable[[], object]) -> str:
    """Return where the call was struck, or nothing if it ended before."""
    strike = Strike(line)
    before = sys.gettrace()
    sys.settrace(strike)
    try:
        call()
    except KeyboardInterrupt:
        pass
    finally:
        sys.settrace(before)
    return strike.struck


@every_kind
@pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
def test_one_interrupt_while_it_opens_leaves_the_port_free(make_rig: Callable[..., Rig], kind: str) -> None:
    rig = make_rig(kind)
    rig.transport.open(patient(5))
    rig.transport.close()
    line = random.randrange(EVERY)
    while True:
        line += EVERY
        struck = make_transport(rig)
        where = struck_at(line, lambda struck=struck: struck.open(patient(5)))  # type: ignore[misc]
        if not where:
            struck.close()
            break
        if random.random() < 0.5:
            struck.close()
            struck = make_transport(rig)
        struck.open(patient(2))
        assert struck.exchange(rig.request("V1?"), patient(2)) == "1 BOX1", where
        struck.close()
    assert line > 20
    gc.collect()  # a socket that was left open is told here, and not in another test


def make_transport(rig: Rig) -> Any:
    """Return another transport to the same box."""
    made: Any = type(rig.transport)
    transport = made(rig.transport.resource, rig.codec, timeout_s=patient(0.5))

    def check() -> None:
        assert transport.exchange(rig.request("IDN?")) == "BOX1"

    transport.on_open(check)
    return transport


NO_IMPORTS = """
import sys, threading, pathlib, tempfile
from tokaido_testing.rigs import Rig
with tempfile.TemporaryDirectory() as folder:
    rig = Rig(sys.argv[1], pathlib.Path(folder))
    imports = []
    class Watch:
        def find_spec(self, name, path=None, target=None):
            if threading.current_thread() is threading.main_thread():
                imports.append(name)
    sys.meta_path.insert(0, Watch())
    rig.ask(1, 20.0)
    rig.peer.fault("drop")
    for number, repeatable in ((2, False), (3, True)):
        try:
            rig.ask(number, 1.0, repeatable=repeatable)
        except TimeoutError:
            pass
    sys.meta_path.pop(0)
    rig.close()
sys.exit(f"imported within an exchange: {imports}" if imports else 0)
"""


@every_kind
def test_nothing_is_imported_in_the_thread_that_ctrl_c_strikes(kind: str) -> None:
    """An import that is interrupted leaves half a module behind, and every later exchange fails."""
    done = subprocess.run(
        [sys.executable, "-c", NO_IMPORTS, kind],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
