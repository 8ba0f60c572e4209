"""A reader's way through the console in a real browser: join, read, switch, watch, print.

In both languages, both themes, on a desk and on a phone: no accessibility violation (axe), nothing
on the browser's console, no request to another host, no sideways scrolling on a phone.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, Request, expect
from tests.browser.conftest import Console
from tests.browser.forms import every_form
from tests.unit.console.console_fakes import overview_facts

from quartermaster.console.live_view import LIVE_POLL_S

pytestmark = pytest.mark.browser

DESK, PHONE = (1280, 900), (390, 844)
PASSWORD = "correct horse battery"
TIMEOUT_MS = 15_000


@dataclass
class Reader:
    """A browser window and everything it did that a reader would not want."""

    page: Page
    console: Console
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def open(self, path: str) -> None:
        self.page.goto(self.console.url + path)

    def assert_content(self) -> None:
        """Nothing went wrong, and nothing left the host."""
        assert self.complaints == []
        ours = urlsplit(self.console.url).netloc
        assert {urlsplit(url).netloc for url in self.requests} == {ours}

    def assert_accessible(self) -> None:
        """No violation of any axe rule."""
        found = Axe().run(self.page)
        assert found.violations_count == 0, found.generate_report()

    def assert_fits(self) -> None:
        """No sideways scrolling."""
        inner, scroll = self.page.evaluate(
            "[document.documentElement.clientWidth, document.documentElement.scrollWidth]"
        )
        assert scroll <= inner


def reader_in(context: BrowserContext, console: Console) -> Reader:
    page = context.new_page()
    page.set_default_timeout(TIMEOUT_MS)
    reader = Reader(page, console)

    def asked(request: Request) -> None:
        reader.requests.append(request.url)

    def failed(request: Request) -> None:
        # Going on to the next page cuts off the live panel's question; that is no fault.
        if request.failure != "net::ERR_ABORTED":
            reader.complaints.append(f"failed {request.url}: {request.failure}")

    page.on("request", asked)
    page.on("requestfailed", failed)
    page.on("console", lambda message: reader.complaints.append(message.text))
    page.on("pageerror", lambda error: reader.complaints.append(str(error)))
    return reader


def join(reader: Reader, name: str) -> None:
    link = reader.console.identity.issue_link(("admin",))
    reader.open(f"/join/{link}")
    reader.page.locator("#name").fill(name)
    reader.page.locator("#password").fill(PASSWORD)
    reader.page.locator("#again").fill(PASSWORD)
    reader.page.locator("main button.primary").click()
    expect(reader.page.locator("h1")).to_be_visible()


@pytest.fixture
def reader(chromium: Browser, console: Console) -> Iterator[Reader]:
    """An administrator who has just joined, on a desk, in English."""
    context = chromium.new_context(
        viewport={"width": DESK[0], "height": DESK[1]}, locale="en-GB", reduced_motion="reduce"
    )
    reader = reader_in(context, console)
    join(reader, f"ada {len(console.identity.users)}")
    yield reader
    reader.assert_content()
    context.close()


@pytest.mark.parametrize(("lang", "theme", "size"), every_form(DESK, PHONE))
def test_the_overview_in_every_form(
    chromium: Browser, console: Console, lang: str, theme: str, size: tuple[int, int]
) -> None:
    context = chromium.new_context(
        viewport={"width": size[0], "height": size[1]},
        locale=lang,
        color_scheme="dark" if theme == "dark" else "light",
        reduced_motion="reduce",
    )
    reader = reader_in(context, console)
    reader.open("/")
    expect(reader.page.locator("form.stack")).to_be_visible()
    reader.assert_fits()
    join(reader, f"{lang} {theme} {size[0]}")
    heading = {"de": "Übersicht", "en": "Overview"}[lang]
    expect(reader.page.locator("h1")).to_have_text(heading)
    shown, hidden = (".for-desk", ".for-phone") if size == DESK else (".for-phone", ".for-desk")
    expect(reader.page.locator(shown).first).to_be_visible()
    expect(reader.page.locator(hidden).first).to_be_hidden()
    background = reader.page.evaluate("getComputedStyle(document.body).backgroundColor")
    lightness = float(background.removeprefix("oklch(").split()[0])
    assert (lightness < 0.5) == (theme == "dark")
    reader.assert_accessible()
    reader.assert_fits()
    reader.open("/help")
    reader.assert_fits()
    reader.assert_content()
    context.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_other_pages_are_accessible(chromium: Browser, console: Console, theme: str) -> None:
    context = chromium.new_context(
        locale="de", color_scheme="dark" if theme == "dark" else "light", reduced_motion="reduce"
    )
    reader = reader_in(context, console)
    reader.open("/sign-in")
    reader.assert_accessible()
    reader.open(f"/join/{console.identity.issue_link(('admin',))}")
    reader.assert_accessible()
    join(reader, f"grace {theme}")
    reader.open("/help")
    reader.assert_accessible()
    console.overview.facts = None
    reader.open("/")
    expect(reader.page.locator(".empty h2")).to_have_text("Noch kein Umsatz")
    reader.assert_accessible()
    console.overview.facts = overview_facts()
    reader.assert_content()
    context.close()


def test_a_violation_and_a_foreign_request_would_be_found(reader: Reader) -> None:
    reader.page.evaluate("document.querySelector('h1').insertAdjacentHTML('beforebegin', '<img>')")
    with pytest.raises(AssertionError, match="image-alt"):
        reader.assert_accessible()
    script = "fetch('http://127.0.0.2:9/').catch(() => null)"
    reader.page.evaluate(script)
    with pytest.raises(AssertionError):
        reader.assert_content()
    assert any("Content Security Policy" in complaint for complaint in reader.complaints)
    reader.complaints.clear()


def test_the_live_panel_updates_and_pauses(reader: Reader) -> None:
    total = reader.page.locator(".live-total")
    before = total.inner_text()
    expect(total).not_to_have_text(before, timeout=TIMEOUT_MS)
    reader.page.locator("[data-pause]").click()
    expect(reader.page.locator("[data-pause]")).to_have_text("Resume")
    reader.page.wait_for_timeout(LIVE_POLL_S * 1_000)  # a question that was on its way
    looks = reader.console.live.looks
    reader.page.wait_for_timeout(LIVE_POLL_S * 1_000 + 500)
    assert reader.console.live.looks == looks
    reader.page.keyboard.press(".")
    expect(reader.page.locator("[data-pause]")).to_have_text("Pause")
    paused = total.inner_text()
    expect(total).not_to_have_text(paused, timeout=TIMEOUT_MS)
    expect(reader.page.locator("[data-announce]")).to_contain_text("requests a second")


def test_keys_and_switches(reader: Reader) -> None:
    page = reader.page
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.keyboard.press("?")
    expect(page.locator("dialog#keys")).to_be_visible()
    reader.assert_accessible()
    page.keyboard.press("Escape")
    expect(page.locator("dialog#keys")).to_be_hidden()
    page.keyboard.press("g")
    page.keyboard.press("h")
    expect(page.locator("h1")).to_have_text("Definitions")
    page.keyboard.press("g")
    page.keyboard.press("o")
    expect(page.locator("h1")).to_have_text("Overview")
    page.locator('button[name="theme"][value="dark"]').click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.locator('.switch a[hreflang="de"]').click()
    expect(page.locator("h1")).to_have_text("Übersicht")
    page.locator(".definition summary").first.click()
    expect(page.locator(".definition p").first).to_be_visible()
    page.locator("[data-open]").click()
    page.locator('dialog button[name="keys"]').click()
    expect(page.locator("h1")).to_have_text("Übersicht")
    page.keyboard.press("?")
    expect(page.locator("dialog#keys")).to_be_hidden()
    page.get_by_role("button", name="Abmelden").click()
    expect(page.locator("h1")).to_have_text("Anmelden")


def test_a_session_that_ends_leads_to_the_door(reader: Reader) -> None:
    reader.console.identity.sessions.clear()
    expect(reader.page.locator("h1")).to_have_text("Sign in", timeout=TIMEOUT_MS)
    # The browser notes the 401 that led here; that is the one thing it may say.
    assert all("401" in complaint for complaint in reader.complaints)
    reader.complaints.clear()


def test_the_overview_prints_on_few_pages(reader: Reader) -> None:
    printed = reader.page.pdf(format="A4", prefer_css_page_size=True)
    pages = len(re.findall(rb"/Type\s*/Page\b", printed))
    assert printed.startswith(b"%PDF")
    assert 1 <= pages <= 3
