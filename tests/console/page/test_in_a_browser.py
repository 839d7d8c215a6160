"""The page in a real browser: what people see, hear and reach by keyboard."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tokaido.console.page import PageAlarm, PageRelay
from tokaido_testing.page_browser import Pages, Visit, a_browser
from tokaido_testing.page_keys import PageKeys
from tokaido_testing.page_line import DRILLS, LINE, PLACES, SECOND, SPANS, LineSource
from tokaido_testing.patience import in_time

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser, Page

    from tokaido.console.page import PageServer

ALARM = PageAlarm(code="QBER_HIGH", of="nagoya-maibara", severity="MAJOR", text="QBER of 13.4 % is above 11 %")
PHONE = {"viewport": {"width": 360, "height": 740}}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with a_browser() as one:
        yield one


@pytest.fixture(scope="module")
def pages() -> Iterator[Pages]:
    served = Pages()
    yield served
    served.close()


@pytest.fixture
def line() -> LineSource:
    return LineSource()


@pytest.fixture
def server(browser: Browser, pages: Pages, line: LineSource) -> PageServer:
    return pages.serve(line, drills=line, exchange=PageKeys().exchange(LINE))


@pytest.fixture(autouse=True)
def ending(pages: Pages) -> Iterator[None]:
    yield
    pages.end_servers()


@pytest.fixture
def visit(browser: Browser, server: PageServer) -> Callable[..., Visit]:
    return lambda **settings: Visit(browser, server.url, **settings)


def wait(page: Page, condition: str) -> None:
    """Wait for a condition; the page's own policy forbids that the page itself looks at a text of code."""
    begun_s = time.monotonic()
    while not page.evaluate(condition):
        assert in_time(begun_s, 8), condition
        page.wait_for_timeout(20)


def test_the_map_shows_the_coast_all_sites_and_all_spans(visit: Callable[..., Visit]) -> None:
    with visit() as page:
        assert page.title() == "The Tokaido line · Tokaido"
        assert page.locator("#map .land").count() >= 3
        assert page.locator("#map .mark").count() == len(PLACES)
        assert page.locator("#map .span").count() == len(SPANS)
        assert page.locator("#map text.site").all_text_contents() == [title for title, *_ in PLACES.values()]
        box = {name: page.locator(f"#map .mark[data-site='{name}']").bounding_box() for name in LINE}
        across = [found["x"] for found in box.values() if found]
        assert across == sorted(across, reverse=True)  # west is on the left
        assert "token" not in page.url


def test_colours_and_figures_follow_the_error_rate(visit: Callable[..., Visit], line: LineSource) -> None:
    with visit() as page:
        name = "nagoya-maibara"
        path = f"#map path[data-span='{name}']"
        row = page.locator(f"#spans tr[data-span='{name}']")
        seen = set()
        for qber, kind in ((0.02, "0"), (0.04, "1"), (0.07, "2"), (0.1, "3"), (0.134, "4")):
            line.qber[name] = qber
            page.wait_for_selector(f"{path}[data-qber='{kind}']")
            assert f"{100 * qber:.1f}\u00a0%" in row.inner_text()
            seen.add(page.eval_on_selector(path, "node => getComputedStyle(node).getPropertyValue('--colour')"))
        assert len(seen) == 5
        line.still.add(name)
        page.wait_for_selector(f"#map path[data-span='{name}'][data-running='false']")
        assert "no key" in row.inner_text()
        line.still.remove(name)
        line.silent.add("maibara")
        del line.qber[name]
        page.wait_for_selector(f"#map path[data-span='{name}'][data-qber='none']")
        page.wait_for_selector("#map .mark[data-site='maibara'][data-level='silent']")
        assert "not known" in row.inner_text()


def test_a_key_goes_from_hop_to_hop(visit: Callable[..., Visit], line: LineSource, pages: Pages) -> None:
    with visit() as page:
        pages.loop.call_soon_threadsafe(line.relays.put_nowait, PageRelay(route=SECOND, keys=64, utc_s=0.0))
        page.wait_for_selector("#map circle.key", state="attached")
        places = page.evaluate(
            """hops => {
              const dot = document.querySelector("#map circle.key"), [motion] = dot.getAnimations();
              motion.pause();
              return hops.map((hop, i) => {
                motion.currentTime = motion.effect.getTiming().duration * i / (hops.length - 1) - (i ? 0.01 : 0);
                const [here, mark] = [dot, document.querySelector(`#map .mark[data-site="${hop}"]`)].map((node) => {
                  const { x, y, width, height } = node.getBoundingClientRect();
                  return [x + width / 2, y + height / 2];
                });
                return Math.hypot(here[0] - mark[0], here[1] - mark[1]);
              });
            }""",
            list(SECOND),
        )
        assert max(places) < 2.5
        page.evaluate("document.querySelector('#map circle.key').getAnimations()[0].play()")
        page.wait_for_selector("#map circle.key", state="detached")


def test_nothing_moves_for_who_wants_no_motion(visit: Callable[..., Visit], line: LineSource, pages: Pages) -> None:
    with visit(reduced_motion="reduce") as page:
        pages.loop.call_soon_threadsafe(line.relays.put_nowait, PageRelay(route=LINE, keys=64, utc_s=0.0))
        page.wait_for_selector("#map path.taken", state="attached")
        assert page.locator("#map circle.key").count() == 0
        assert page.evaluate("document.getAnimations().length") == 0


def test_an_alarm_is_said_once_and_shown_in_words(visit: Callable[..., Visit], line: LineSource) -> None:
    with visit() as page:
        page.evaluate(
            """() => {
              const region = document.getElementById("said");
              window.said = [];
              new MutationObserver(() => said.push(region.textContent))
                .observe(region, { childList: true, characterData: true, subtree: true });
            }"""
        )
        line.alarms["nagoya"] = (ALARM,)
        wait(page, "said.length > 0")
        step = line.step
        assert page.inner_text("#alarms .what") == "Major: QBER_HIGH of nagoya-maibara, Nagoya"
        assert page.get_attribute("#said", "aria-live") == "polite"
        while line.step < step + 5:
            page.wait_for_timeout(50)
        assert page.evaluate("said") == ["New alarm at Nagoya: Major, QBER_HIGH."]
        assert "1 alarm stands" in page.inner_text("#verdict")
        line.alarms["nagoya"] = (ALARM, PageAlarm(code="LINK_DOWN", severity="MINOR", text="no key"))
        wait(page, "said.length > 1")
        assert page.evaluate("said.at(-1)") == "New alarm at Nagoya: Minor, LINK_DOWN."
        line.alarms["nagoya"] = (ALARM,)
        wait(page, "said.at(-1) === 'Cleared at Nagoya: LINK_DOWN.'")
        line.alarms.clear()
        wait(page, "said.at(-1) === 'Cleared at Nagoya: QBER_HIGH.'")
        wait(page, "document.getElementById('alarms').innerText === 'None.'")


def test_the_keyboard_reaches_every_drill_and_begins_it(visit: Callable[..., Visit], line: LineSource) -> None:
    with visit() as page:
        reached: list[str] = []
        for _ in range(40):
            page.keyboard.press("Tab")
            name = page.evaluate("document.activeElement.dataset.drill ?? ''")
            if name:
                reached.append(name)
                assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
            if name == "eavesdropper" and reached.count(name) == 1:
                page.keyboard.press("Enter")
        assert list(dict.fromkeys(reached)) == list(DRILLS)
        page.wait_for_selector("#drills li[data-state='running'] button[data-drill='eavesdropper']")
        assert line.started == ["eavesdropper"]


def test_all_words_change_with_the_language(visit: Callable[..., Visit], line: LineSource) -> None:
    line.alarms["nagoya"] = (ALARM,)
    with visit() as page:
        words = page.evaluate("() => [...document.querySelectorAll('[data-word]')].map((node) => node.textContent)")
        assert all(words)
        page.get_by_role("button", name="日本語").click()
        assert page.get_attribute("html", "lang") == "ja"
        after = page.evaluate("() => [...document.querySelectorAll('[data-word]')].map((node) => node.textContent)")
        assert [one for one, other in zip(words, after, strict=True) if one == other] == ["QBER"]
        assert page.locator("#map text.site").all_text_contents() == [title for _, title, *_ in PLACES.values()]
        assert page.inner_text("#alarms .what") == "重大: QBER_HIGH（nagoya-maibara）, 名古屋"  # noqa: RUF001
        assert page.locator("#alarms [lang=en]").inner_text() == ALARM.text
        assert "機能低下" in page.inner_text("#sites [data-site=nagoya]")
        page.reload()
        page.wait_for_selector("body.ready")
        assert page.get_attribute("html", "lang") == "ja"
    with visit(locale="ja-JP") as page:
        assert page.inner_text("#drills button >> nth=0") == DRILLS["fibre-cut"][1]


CONTRAST = """() => {
  const light = (colour) => colour.match(/[\\d.]+/g).slice(0, 3).map((part) => part / 255)
    .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4))
    .reduce((sum, part, i) => sum + part * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (node) => {
    const colour = getComputedStyle(node).backgroundColor;
    return /, 0\\)$/.test(colour) ? behind(node.parentElement) : colour;
  };
  const says = (node) => [...node.childNodes].some((one) => one.nodeType === 3 && one.data.trim());
  return [...document.querySelectorAll("body *:not(script, noscript, svg *)")]
    .filter((node) => says(node) && node.checkVisibility() && !node.disabled)
    .map((node) => {
      const [high, low] = [getComputedStyle(node).color, behind(node)].map(light).sort((a, b) => b - a);
      return { ratio: (high + 0.05) / (low + 0.05), text: node.textContent.slice(0, 40) };
    }).sort((one, other) => one.ratio - other.ratio)[0];
}"""
"""Returns the text of the least contrast, as WCAG 2.2 counts it."""


def test_text_can_be_read_in_light_and_dark(visit: Callable[..., Visit], line: LineSource) -> None:
    line.alarms["nagoya"] = (ALARM,)
    line.still.add("nara-osaka")
    grounds = set()
    for scheme in ("light", "dark"):
        with visit(color_scheme=scheme) as page:
            grounds.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
            worst = page.evaluate(CONTRAST)
            assert worst["ratio"] >= 4.5, (scheme, worst)
    assert len(grounds) == 2


OVERLAPS = """() => {
  const box = (node) => {
    const { left, right, top, bottom } = node.getBoundingClientRect();
    return { text: node.textContent, left, right, top: top + 2, bottom: bottom - 2 };
  };
  const [texts, marks] = ["text", ".mark"].map((kind) => [...document.querySelectorAll(`#map ${kind}`)].map(box));
  const map = document.getElementById("map").getBoundingClientRect();
  const meet = ([a, b]) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
  const outside = (one) => one.left < map.left || one.right > map.right || one.top < map.top || one.bottom > map.bottom;
  const pairs = texts.flatMap((one, i) => [...texts.slice(i + 1), ...marks].map((other) => [one, other]));
  return [...pairs.filter(meet).map(([a, b]) => `${a.text} over ${b.text}`), ...texts.filter(outside)];
}"""
"""Returns the texts of the map that cover another or a mark, or that are cut off."""


def test_it_fits_every_width_and_no_label_covers_another(visit: Callable[..., Visit], line: LineSource) -> None:
    line.alarms["nagoya"] = (ALARM,)
    line.still.add("nara-osaka")
    with visit(**PHONE) as page:
        for name in ("English", "日本語"):
            page.get_by_role("button", name=name).click()
            for width in (320, 360, 800, 1440):
                page.set_viewport_size({"width": width, "height": 800})
                wait(page, "Number(document.getElementById('map').getAttribute('width')) <= innerWidth - 30")
                wait(page, "Number(document.getElementById('map').getAttribute('width')) >= innerWidth - 80")
                assert page.evaluate("document.documentElement.scrollWidth") <= width
                assert page.locator("#map text.site").count() == len(PLACES), (name, width)
                assert page.evaluate(OVERLAPS) == [], (name, width)


def test_old_values_are_never_shown_as_live(visit: Callable[..., Visit], line: LineSource) -> None:
    with visit() as page:
        line.failure = ValueError("no")
        page.wait_for_selector("body.stale")
        assert page.inner_text("#live-text") == "No live values: the source failed: ValueError"
        assert page.inner_text("#said") == "Values on this page are old now."
        wait(page, "getComputedStyle(document.querySelector('#spans .value')).opacity === '0.4'")
        assert page.locator("#drills button:enabled").count() == 0
        assert page.locator("#encrypt:enabled").count() == 0
        line.failure = None
        page.wait_for_selector("body:not(.stale)")
        assert page.inner_text("#live-text").startswith("Live, ")
        assert page.locator("#drills button:enabled").count() == len(DRILLS)


@pytest.mark.thorough
def test_a_server_that_is_gone_or_began_again_is_said(browser: Browser, pages: Pages) -> None:
    server = pages.serve(LineSource())
    visit = Visit(browser, server.url)
    with visit as page:
        port = int(server.url.split(":")[2].partition("/")[0])
        pages.call(server.close())
        page.wait_for_selector("body.stale")
        assert page.inner_text("#live-text").startswith("No connection. Values are of ")
        pages.serve(LineSource(), port=port)
        wait(page, "document.getElementById('live-text').textContent.startsWith('The server was started again')")
        visit.errors.clear()  # the browser's own words of the connection


@pytest.mark.thorough
def test_a_connection_that_breaks_is_made_again(browser: Browser, pages: Pages, line: LineSource) -> None:
    server = pages.serve(line)
    visit = Visit(browser, server.url)
    with visit as page:
        for transport in list(server._listeners._queues.values()):
            assert transport is not None
            pages.loop.call_soon_threadsafe(transport.abort)
        page.wait_for_selector("body.stale")
        page.wait_for_selector("body:not(.stale)")
        visit.errors.clear()


def test_curves_are_there_after_the_page_is_loaded_again(
    browser: Browser, pages: Pages, line: LineSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tokaido.console.page._history.PERIOD_S", 0.0)
    server = pages.serve(line, period_s=0.02)
    with Visit(browser, server.url) as page:
        while line.step < 40:
            page.wait_for_timeout(50)
        page.reload()
        wait(page, "(document.querySelector('#spans .spark path')?.getAttribute('d') ?? '').split('L').length > 30")


def test_a_picture_is_encrypted_at_one_end_and_opened_at_the_other(visit: Callable[..., Visit]) -> None:
    with visit() as page:
        assert page.inner_text("#sender-title") == "Bank, Tokyo"
        page.wait_for_selector("#picture[data-painted=true]")
        assert page.locator("#decrypt:enabled").count() == 0
        page.get_by_role("button", name="Encrypt").click()
        page.wait_for_selector("#ciphertext[data-painted=true]")
        assert page.get_attribute("#opened", "data-painted") == "false"
        page.locator("#decrypt:enabled").click()
        page.wait_for_selector("#opened[data-painted=true]")
        drawn = page.evaluate(
            "() => ['picture', 'ciphertext', 'opened'].map((id) => document.getElementById(id).toDataURL())"
        )
        assert drawn[0] == drawn[2] != drawn[1]
        assert len(drawn[1]) > 2 * len(drawn[0])  # noise does not compress
        assert "Tokyo \u203a Odawara" in page.inner_text("#exchange-seen")


def test_a_screen_reader_finds_all_that_the_map_shows(visit: Callable[..., Visit], line: LineSource) -> None:
    with visit() as page:
        assert page.get_by_role("img", name="Map of the network").count() == 1
        table = page.get_by_role("table", name="All spans")
        assert table.get_by_role("row").count() == len(SPANS) + 1
        row = table.get_by_role("row", name="Nagoya \u2013 Maibara")
        assert row.get_by_role("rowheader").count() == 1
        assert all(part in row.inner_text() for part in ("%", "bit/s", "bit", "reserve"))
        assert page.get_by_role("timer").count() == 1
        assert page.get_by_role("heading", level=1).count() == 1
        unnamed = """() => [...document.querySelectorAll("button, summary, canvas, svg[role=img]")]
          .filter((node) => !node.ariaLabel && !node.textContent.trim() && !node.hasAttribute("aria-labelledby"))
          .length"""
        assert page.evaluate(unnamed) == 0
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.hash") == "#spans-title"
        page.locator("#map .mark[data-site='kobe']").click()
        assert page.evaluate("document.activeElement.closest('details').dataset.site") == "kobe"
        assert "bob-osaka" in page.inner_text("#sites [data-site=kobe]")


def test_a_real_network_has_no_drills(browser: Browser, pages: Pages, line: LineSource) -> None:
    line.with_drills = False
    with Visit(browser, pages.serve(line).url) as page:
        assert page.locator("#drills-card:visible, #applications-card:visible").count() == 0
