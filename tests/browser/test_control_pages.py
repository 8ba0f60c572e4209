"""Budgets, limits and standing in a real browser: they fit, read aloud, and obey the keyboard."""

import pytest
from playwright.sync_api import expect
from tests.browser.forms import PHONE, Form, in_every_form
from tests.browser.reader import Reader

pytestmark = pytest.mark.browser

PATHS = ("/budgets", "/budgets/group/acme", "/standing", "/standing/acme", "/webhooks")
SMALL = Form("de", "dark", PHONE)


def look_at(reader: Reader, path: str) -> None:
    """Open a page and its first form, and hold it to what every page is held to."""
    reader.open(path)
    if path.count("/") > 1:
        reader.page.locator("details summary").first.click()
    reader.assert_fits()
    reader.assert_accessible()


@pytest.mark.parametrize("reader", [SMALL], indirect=True, ids=["phone"])
def test_they_fit_a_phone_in_the_dark_and_in_german(reader: Reader) -> None:
    look_at(reader, "/budgets")
    reader.assert_figures(1)
    look_at(reader, "/standing/acme")
    reader.open("/webhooks")
    reader.page.get_by_role("link", name="https://ops.example.com/hook…").click()
    reader.page.locator("details summary").first.click()
    reader.assert_fits()
    reader.assert_accessible()


@pytest.mark.long
@in_every_form
def test_every_page_fits_and_reads_aloud(reader: Reader) -> None:
    for path in PATHS:
        look_at(reader, path)


def test_a_budget_is_changed_by_keyboard_alone(reader: Reader) -> None:
    page = reader.page
    reader.open("/")
    page.keyboard.press("g")
    page.keyboard.press("b")
    page.get_by_role("link", name="GLOBEX").first.press("Enter")
    page.get_by_text("Pause", exact=True).first.press("Enter")
    page.get_by_label("Yes: GLOBEX spends nothing from now on.").press("Space")
    page.get_by_role("button", name="Pause").press("Enter")
    expect(page.get_by_role("status")).to_contain_text("gateway-1: does not obey it yet")
    expect(page.locator(".panel-head .said")).to_have_text("paused")
    reader.assert_prints(3)


def test_an_address_is_tried_and_paused_by_keyboard_alone(reader: Reader) -> None:
    page = reader.page
    reader.open("/webhooks")
    page.get_by_role("link", name="https://ops.example.com/hook…").press("Enter")
    page.get_by_role("button", name="Send a test").press("Enter")
    expect(page.get_by_role("status")).to_have_text("The test was taken.")
    page.get_by_text("Pause", exact=True).first.press("Enter")
    page.get_by_label("Yes: nobody there is told of alerts that come up now.").press("Space")
    page.get_by_role("button", name="Pause").press("Enter")
    expect(page.get_by_text("when it is resumed")).to_be_visible()
    page.get_by_role("button", name="Send again: ACME").press("Enter")
    expect(page.get_by_role("status")).to_contain_text("It is on its way")
    reader.assert_prints(2)
