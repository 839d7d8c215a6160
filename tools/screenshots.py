"""Takes the pictures of drills in docs/: runs the line, presses each button on its page, and waits for what it shows.

Usage: python tools/screenshots.py [DRILL...]. It needs chromium and playwright, and takes some ten minutes.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from playwright.sync_api import sync_playwright

import tokaido.hal as hal

if TYPE_CHECKING:
    from playwright.sync_api import Page

FOLDER: Final = Path(__file__).parents[1] / "docs" / "tutorials" / "pictures"
SIZE: Final = {"width": 1180, "height": 1130}
WITHIN_S: Final = 240.0
"""A drill must show what it is about within so long."""
ALARM: Final = "[...document.querySelectorAll('#alarms li')].some(one => /{}/.test(one.textContent))"
LEVEL: Final = "document.querySelector('#map .mark[data-site={}]').dataset.level === '{}'"
READY: Final = "/[^0-9]{} of 256/.test(document.querySelector('#pairs').textContent)"
ROUTE: Final = "document.querySelector('#pairs .route').textContent"
PASSED: Final = "document.querySelector('#drills [data-state=passed] [data-drill={}]') !== null"
SHOWS: Final = {
    "eve": ALARM.format("ABORT|SECURITY_HOLD"),
    "cut": ALARM.format("LOS"),
    "kill-maibara": f"{LEVEL.format('maibara', 'silent')} && /Kameyama/.test({ROUTE})",
    "kill-shizuoka": f"{LEVEL.format('shizuoka', 'silent')} && {READY.format(0)}",
    "power": f"!({LEVEL.format('nara', 'fine')})",
    "sees": PASSED.format("sees"),
    "restore": ALARM.format("STORE_ROLLBACK"),
}
"""When a picture tells most, of every drill."""


def main(drills: list[str]) -> None:
    """Take the pictures of some drills, of all where none is named."""
    tokaido = Path(sys.executable).with_name("tokaido")
    command = [os.fspath(tokaido), "demo", "--hold", "--json", "--seconds", "600"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as line, sync_playwright() as driver:  # noqa: S603
        try:
            browser = driver.chromium.launch(executable_path=shutil.which("chromium"))
            page = browser.new_page(viewport=SIZE, color_scheme="light")  # type: ignore[arg-type]
            page.goto(_address(line))
            for drill in drills or SHOWS:
                _take(page, drill)
            browser.close()
        finally:
            line.send_signal(signal.SIGINT)


def _address(line: subprocess.Popen[str]) -> str:
    assert line.stdout
    for told in line.stdout:
        if '"served"' in told:
            return str(json.loads(told)["url"])
    raise SystemExit("the line serves no page")


def _take(page: Page, drill: str) -> None:
    page.locator(f"[data-drill={drill}]").click()
    _wait(page, drill, SHOWS[drill])
    page.wait_for_timeout(1500)  # what moves comes to rest
    page.evaluate("scrollTo(0, 0)")
    taken = page.locator("#drills-card") if drill == "sees" else page  # what it saw is told there alone
    taken.screenshot(path=FOLDER / f"drill-{drill}.png")
    print(drill, page.locator("#verdict").text_content(), flush=True)
    _wait(page, drill, f"document.querySelector('#drills [data-state=running] [data-drill={drill}]') === null")


def _wait(page: Page, drill: str, condition: str) -> None:
    deadline = hal.Deadline(hal.SYSTEM_CLOCK, WITHIN_S)
    while not page.evaluate(condition):
        if deadline.passed:
            raise SystemExit(f"{drill}: {condition} did not come in {WITHIN_S:.0f} s")
        page.wait_for_timeout(300)


if __name__ == "__main__":
    main(sys.argv[1:])
