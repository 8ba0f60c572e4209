"""A reader's way through the console in a real browser: join, read, switch, watch, print.

In both languages, both themes, on a desk and on a phone: no accessibility violation (axe), nothing
on the browser's console, no request to another host, no sideways scrolling on a phone.
"""

import pytest
from playwright.sync_api import Browser, expect
from tests.browser.forms import DESK, Form, Theme, every_form
from tests.browser.reader import Reader, window
from tests.browser.shown_console import Console

from quartermaster.console.live_view import LIVE_POLL_S

pytestmark = pytest.mark.browser

PASSWORD = "correct horse battery"
POLL_MS = LIVE_POLL_S * 1_000


def join(reader: Reader, name: str) -> None:
    link = reader.console.identity.issue_link(("admin",))
    reader.open(f"/join/{link}")
    reader.page.locator("#name").fill(name)
    reader.page.locator("#password").fill(PASSWORD)
    reader.page.locator("#again").fill(PASSWORD)
    reader.page.locator("main button.primary").click()
    expect(reader.page.locator("h1")).to_be_visible()


@pytest.mark.parametrize("form", every_form())
def test_the_overview_in_every_form(chromium: Browser, console: Console, form: Form) -> None:
    with window(chromium, console, form) as reader:
        reader.open("/")
        expect(reader.page.locator("form.stack")).to_be_visible()
        reader.assert_fits()
        join(reader, f"{form.lang} {form.theme} {form.size[0]}")
        heading = {"de": "Übersicht", "en": "Overview"}[form.lang]
        expect(reader.page.locator("h1")).to_have_text(heading)
        expect(reader.page.locator(f".{form.shown}").first).to_be_visible()
        expect(reader.page.locator(f".{form.hidden}").first).to_be_hidden()
        background = reader.page.evaluate("getComputedStyle(document.body).backgroundColor")
        lightness = float(background.removeprefix("oklch(").split()[0])
        assert (lightness < 0.5) == (form.theme == "dark")
        reader.assert_accessible()
        reader.assert_fits()
        reader.open("/help")
        reader.assert_fits()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_other_pages_are_accessible(chromium: Browser, console: Console, theme: Theme) -> None:
    with window(chromium, console, Form("de", theme, DESK)) as reader:
        reader.open("/sign-in")
        reader.assert_accessible()
        reader.open(f"/join/{console.identity.issue_link(('admin',))}")
        reader.assert_accessible()
        reader.sign_in("admin")
        reader.open("/help")
        reader.assert_accessible()
        console.overview.facts = None
        reader.open("/")
        expect(reader.page.locator(".empty h2")).to_have_text("Noch kein Umsatz")
        reader.assert_accessible()
        console.as_before()


def test_a_violation_and_a_foreign_request_would_be_found(reader: Reader) -> None:
    reader.open("/")
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
    page, live = reader.page, reader.console.live
    page.clock.install()
    reader.open("/")
    total = page.locator(".live-total")
    before = total.inner_text()
    page.clock.fast_forward(POLL_MS)
    expect(total).not_to_have_text(before)
    page.locator("[data-pause]").click()
    expect(page.locator("[data-pause]")).to_have_text("Resume")
    page.wait_for_load_state("networkidle")  # a question that was on its way
    looks = live.looks
    for _ in range(3):
        page.clock.fast_forward(POLL_MS)
    page.wait_for_load_state("networkidle")
    assert live.looks == looks
    page.keyboard.press(".")
    expect(page.locator("[data-pause]")).to_have_text("Pause")
    paused = total.inner_text()
    page.clock.fast_forward(POLL_MS)
    expect(total).not_to_have_text(paused)
    expect(page.locator("[data-announce]")).to_contain_text("requests a second")


def test_keys_and_switches(reader: Reader) -> None:
    page = reader.page
    reader.open("/")
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
    reader.page.clock.install()
    reader.open("/")
    reader.console.identity.sessions.clear()
    reader.page.clock.fast_forward(POLL_MS)
    expect(reader.page.locator("h1")).to_have_text("Sign in")
    # The browser notes the 401 that led here; that is the one thing it may say.
    assert all("401" in complaint for complaint in reader.complaints)
    reader.complaints.clear()


def test_the_overview_prints_on_few_pages(reader: Reader) -> None:
    reader.open("/")
    reader.assert_prints(3)
