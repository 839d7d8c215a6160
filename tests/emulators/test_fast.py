"""Whether compiled kernels are used, and what says so."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tokaido.emulators import fast

PROBE = """
import sys
from tokaido.emulators import fast
before = "numba" in sys.modules
print(fast.enabled(10), before, "numba" in sys.modules, fast.describe())
"""


def told(**environment: str) -> str:
    """What a fresh process says."""
    clean = {name: value for name, value in os.environ.items() if name != "TOKAIDO_FAST"}
    command = [sys.executable, "-W", "error", "-c", PROBE]
    return subprocess.run(command, env=clean | environment, capture_output=True, text=True, check=True).stdout.strip()


def test_numba_is_not_imported_before_there_is_much_to_do_and_then_says_so() -> None:
    pytest.importorskip("numba", reason="the extra fast is not installed")
    assert told().startswith("False False False compiled by numba ")


def test_the_environment_turns_kernels_off() -> None:
    assert told(TOKAIDO_FAST="0") == "False False False numpy (compiled kernels are turned off)"


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("raise ModuleNotFoundError('No module named numba')", "numba is not installed; pip install 'tokaido[fast]'"),
        ("raise ImportError('Numba needs NumPy 2.1 or less')", "numba cannot be imported: Numba needs NumPy 2.1"),
        ("raise SystemError('initialization of _internal failed')", "numba cannot be imported: initialization"),
    ],
)
def test_a_numba_that_is_missing_or_broken_leaves_the_work_to_numpy(tmp_path: Path, source: str, said: str) -> None:
    (tmp_path / "numba.py").write_text(source, encoding="utf-8")
    answer = told(PYTHONPATH=str(tmp_path))
    assert answer.startswith(f"False False False numpy ({said}"), answer


def test_a_context_decides_for_as_long_as_it_lasts() -> None:
    pytest.importorskip("numba", reason="the extra fast is not installed")
    before = fast.enabled(1 << 20)
    with fast.using(kernels=True):
        assert fast.enabled(0)
        with fast.using(kernels=False):
            assert not fast.enabled(1 << 20)
            assert fast.describe() == "numpy (compiled kernels are turned off)"
        with fast.using(kernels=True, smallest=100):
            assert [fast.enabled(99), fast.enabled(100)] == [False, True]
        assert fast.enabled(0)
    assert fast.enabled(1 << 20) == before


def test_where_no_folder_can_be_written_to_a_kernel_is_compiled_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("numba", reason="the extra fast is not installed")
    from numba.core import caching

    monkeypatch.setattr(caching.CacheImpl, "_locator_classes", [])  # as if there were none
    module = ModuleType("nowhere")
    exec(compile("def double(x):\n    return 2 * x\n", "nowhere.py", "exec"), module.__dict__)
    double = fast.compiled("int64(int64)")(module.double)
    assert double(21) == 42
    assert double is not module.double


@pytest.mark.thorough
def test_kernels_are_not_kept_from_a_source_that_has_changed(tmp_path: Path) -> None:
    """An upgrade must not run the machine code of the version before."""
    pytest.importorskip("numba", reason="the extra fast is not installed")
    program = "from changing import f; print(f(1))"
    for addend in (1, 22):
        (tmp_path / "changing.py").write_text(
            "from tokaido.emulators.fast import compiled\n\n"
            f"@compiled('int64(int64)')\ndef f(x):\n    return x + {addend}\n",
            encoding="utf-8",
        )
        run = subprocess.run(
            [sys.executable, "-c", program],
            env=os.environ | {"PYTHONPATH": str(tmp_path)},
            capture_output=True,
            text=True,
            check=True,
        )
        assert run.stdout.strip() == str(1 + addend)
    assert list(tmp_path.rglob("*.nbi"))


def test_all_kernels_are_loaded_where_processes_are_forked() -> None:
    folder = Path(fast.__file__).parent
    kernels = {f"{path.parent.name}.{path.stem}" for path in folder.glob("*/_fast_*.py")}
    assert kernels == set(fast._KERNELS)
