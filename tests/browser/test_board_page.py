"""The board report in a real browser: every form, print, and its name in the line of places."""

import re
import threading
import time
from collections.abc import Iterator
from datetime import date

import pytest
import uvicorn
from playwright.sync_api import Browser, expect
from tests.browser.conftest import START_S, Console
from tests.browser.forms import every_form
from tests.browser.test_overview import DESK, PHONE, join, reader_in
from tests.unit.console.console_fakes import (
    NOW,
    FakeIdentity,
    FakeLive,
    FakeOverview,
    live_facts,
    overview_facts,
)
from tests.unit.console.exposure_fakes import FakeExposure, exposure_facts
from tests.unit.console.warning_fakes import FakeWarning, reliability_facts, warning_facts

from quartermaster.app.board import assumed_of, facts_of, shown_revenue
from quartermaster.app.console_book import sample_shown
from quartermaster.console import server
from quartermaster.console.board_facts import BoardFacts
from quartermaster.console.settings import ConsoleSettings
from quartermaster.exposure.risk_assumptions import Assumptions
from quartermaster.kernel.clock import as_datetime

pytestmark = pytest.mark.browser

TITLES = {
    "de": "Kundenkonzentration: Bericht für Vorstand und Aufsichtsrat",
    "en": "Customer concentration: report to the board",
}
PRINTED_PAGES_MAX = 4
"""What a board reads."""
IN_VIEW = """() => {
  const line = document.querySelector(".places").getBoundingClientRect();
  const here = document.querySelector(".places [aria-current]").getBoundingClientRect();
  // A pixel: positions are fractions of one.
  return here.left >= line.left - 1 && here.right <= Math.min(line.right, innerWidth) + 1;
}"""


class Kept:
    """The sample's report, made once."""

    def __init__(self) -> None:
        assumed = assumed_of(Assumptions(), chosen=False, sample=True)
        revenue = shown_revenue(sample_shown())
        # Without the simulation: loading it takes longer than all of these tests.
        self._facts = facts_of(revenue, assumed, made_on=as_datetime(NOW).date(), threads=None)

    def board(self, made_on: date, *, wait: bool = False) -> BoardFacts | None:
        del made_on, wait
        return self._facts

    def printed(self, page: str) -> bytes:
        return page.encode()


@pytest.fixture(scope="module")
def console() -> Iterator[Console]:
    identity, exposure = FakeIdentity(), FakeExposure(exposure_facts())
    overview, live = FakeOverview(overview_facts()), FakeLive(live_facts())
    warning = FakeWarning(warning_facts(), reliability_facts())
    settings = ConsoleSettings(port=0)
    app = server.build(
        settings, identity, overview, live, exposure, lambda: NOW, warning=warning, board=Kept()
    )
    running = uvicorn.Server(server.config(app, settings))
    thread = threading.Thread(target=running.run, daemon=True)
    thread.start()
    until = time.monotonic() + START_S
    while not running.started:
        assert time.monotonic() < until, "the console does not start"
        time.sleep(0.01)
    port = running.servers[0].sockets[0].getsockname()[1]
    yield Console(f"http://127.0.0.1:{port}", identity, overview, live, exposure, warning)
    running.should_exit = True
    thread.join(START_S)


@pytest.mark.parametrize(("lang", "theme", "size"), every_form(DESK, PHONE))
def test_the_report_in_every_form(
    chromium: Browser, console: Console, lang: str, theme: str, size: tuple[int, int]
) -> None:
    context = chromium.new_context(
        viewport={"width": size[0], "height": size[1]},
        locale=lang,
        color_scheme="dark" if theme == "dark" else "light",
        reduced_motion="reduce",
    )
    reader = reader_in(context, console)
    join(reader, f"board {lang} {theme} {size[0]}")
    reader.open("/report")
    expect(reader.page.locator("h1")).to_have_text(TITLES[lang])
    shown, hidden = (
        (".board-desk", ".board-phone") if size == DESK else (".board-phone", ".board-desk")
    )
    for figure in reader.page.locator(f"{shown} svg").all():
        expect(figure).to_be_visible()
    expect(reader.page.locator(hidden).first).to_be_hidden()
    expect(reader.page.locator("#missing code").first).to_be_visible()
    assert reader.page.evaluate(IN_VIEW), "the page's own name is out of sight"
    reader.assert_accessible()
    reader.assert_fits()
    reader.assert_content()
    context.close()


def test_it_prints_on_few_pages_without_the_console_around_it(
    chromium: Browser, console: Console
) -> None:
    context = chromium.new_context(viewport={"width": DESK[0], "height": DESK[1]}, locale="en-GB")
    reader = reader_in(context, console)
    join(reader, "board in print")
    reader.open("/report")
    printed = reader.page.pdf(format="A4", prefer_css_page_size=True)
    assert 1 <= len(re.findall(rb"/Type\s*/Page\b", printed)) <= PRINTED_PAGES_MAX
    reader.page.emulate_media(media="print")
    expect(reader.page.locator(".places")).to_be_hidden()
    expect(reader.page.locator(".board-tools")).to_be_hidden()
    reader.assert_content()
    context.close()


@pytest.mark.parametrize("path", ["/reliability", "/cases", "/help"])
def test_on_a_phone_the_open_pages_name_is_in_sight(
    chromium: Browser, console: Console, path: str
) -> None:
    context = chromium.new_context(
        viewport={"width": PHONE[0], "height": PHONE[1]}, locale="de", reduced_motion="reduce"
    )
    reader = reader_in(context, console)
    join(reader, f"phone {path}")
    reader.open(path)
    assert reader.page.evaluate(IN_VIEW)
    reader.assert_fits()
    context.close()
