"""No two threads are the first to decode a type of message: msgspec crashes the process then."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("hal", "drivers", "lab", "node", "emulators", "console", "tests/packages")
PROGRAM = """
import faulthandler, importlib, sys, threading
faulthandler.enable()
sys.setswitchinterval(1e-6)
import msgspec
module, name = sys.argv[1:]
kind = getattr(importlib.import_module(module), name)
fields = dict.fromkeys(reversed(kind.__struct_encode_fields__))  # the last one is looked through last
begin = threading.Barrier(14)
def decode():
    begin.wait()
    for _ in range(3):
        try:
            msgspec.convert(fields, kind)
        except msgspec.ValidationError:
            pass
threads = [threading.Thread(target=decode) for _ in range(14)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("tokaido.hal.sharing._messages", "Reply"),
        ("tokaido.node.operation._status", "NodeStatus"),
        ("tokaido.console.page._state", "PageState"),
    ],
)
def test_many_threads_are_the_first_to_decode_a_message(module: str, name: str) -> None:
    for _ in range(3):
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, module, name], capture_output=True, text=True, timeout=50, check=False
        )
        assert done.returncode == 0, done.stderr[-2000:]


def _is_struct(node: ast.stmt) -> bool:
    return isinstance(node, ast.ClassDef) and any(ast.unparse(base).endswith("Struct") for base in node.bases)


def _is_learned(tree: ast.Module) -> bool:
    """Whether a module has a `Decoder` made or types learned when it is imported."""
    for statement in tree.body:
        if isinstance(statement, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        for node in ast.walk(statement):
            if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in {"learn", "Decoder"}:
                return True
    return False


def test_modules_with_messages_learn_them() -> None:
    seen, forgotten = 0, []
    for path in sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        if any(_is_struct(node) for node in tree.body):
            seen += 1
            if not _is_learned(tree):
                forgotten.append(str(path.relative_to(ROOT)))
    assert seen > 20
    assert forgotten == [], "call tokaido.hal.structs.learn at the end of these modules"
