"""What a person sees of a line in a terminal, as the terminal would show it in the end."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from tokaido.console._line.view import SpanRow, open_line_view

ROW = SpanRow("tokyo-odawara", 83.9, 17.8, "NEC-style", "makes key", True, 0.01, 2.28e5, 510_000, 0.05)
ORDERS = re.compile(r"\x1b\[(\d*)([A-Za-z])|\x1b\[\?\d+[hl]|(\r)|(\n)|([^\x1b\r\n]+)")


def _shown(written: str) -> list[str]:
    """Carry out what moves the cursor and what erases a line, as a terminal does."""
    lines, row, column = [""], 0, 0
    for number, order, back, down, text in ORDERS.findall(written):
        if order == "A":
            row -= int(number or 1)
            assert row >= 0
        elif order == "K":
            lines[row] = ""
        elif back:
            column = 0
        elif down:
            row, column = row + 1, 0
            lines += [""] * (row + 1 - len(lines))
        elif text:
            lines[row] = lines[row][:column].ljust(column) + text + lines[row][column + len(text) :]
            column += len(text)
    return [line.rstrip() for line in lines]


def test_what_is_printed_while_the_table_is_still_stays_on_the_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    screen = Console(file=out, force_terminal=True, width=120, height=40, color_system=None)
    monkeypatch.setattr("tokaido.console._line.view.on_terminal", lambda: True)
    monkeypatch.setattr("tokaido.console._line.view.terminal", lambda: screen)
    with open_line_view(silent=False) as view:
        view.say("It begins.")
        view.show([ROW], "0 keys are ready")
        view.show([ROW, ROW], "1 key is ready")
        with view.still():
            view.show([ROW], "never drawn")
            screen.print("\n".join(f"conclusion {number}" for number in range(4)))
        view.show([ROW, ROW, ROW], "2 keys are ready")
        view.say("A drill begins.")
        view.show([ROW], "3 keys are ready")
    lines = _shown(out.getvalue())
    told = [line.strip() for line in lines if line and not line.startswith((" span", " ──"))]
    row = " ".join(ROW.fields)
    assert [re.sub(" +", " ", line) for line in told] == [
        "It begins.",
        *[row] * 2,
        "1 key is ready",
        *[f"conclusion {number}" for number in range(4)],
        "A drill begins.",
        row,
        "3 keys are ready",
    ]
