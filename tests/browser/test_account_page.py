"""A customer's account in a real browser: it fits, reads aloud, and a secret can be copied."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect
from tests.browser.forms import DESK, PHONE, PLAIN, Form, in_every_form
from tests.browser.reader import Reader, window
from tests.browser.shown_console import KEY, Console

pytestmark = pytest.mark.browser


@pytest.fixture
def reader(request: pytest.FixtureRequest, chromium: Browser, console: Console) -> Iterator[Reader]:
    """A customer's user."""
    with window(chromium, console, getattr(request, "param", PLAIN)) as made:
        made.sign_in("customer", customer="acme")
        made.open("/account")
        yield made


@pytest.mark.parametrize("reader", [Form("de", "dark", PHONE)], indirect=True, ids=["phone"])
def test_it_fits_a_phone_in_the_dark_and_in_german(reader: Reader) -> None:
    reader.page.locator("details.account-act summary").first.click()
    reader.assert_accessible()
    reader.assert_fits()
    expect(reader.page.get_by_text("gedrosselt")).to_be_visible()


@pytest.mark.long
@in_every_form
def test_the_history_of_a_budget_fits_and_reads_aloud(reader: Reader) -> None:
    reader.open(f"/account/budgets/key/{KEY}")
    reader.assert_figures(2)
    reader.assert_fits()
    reader.assert_accessible()
    reader.assert_prints(3)


@pytest.mark.long
@pytest.mark.parametrize("reader", [Form("en", "light", DESK)], indirect=True, ids=["desk"])
def test_a_secret_is_shown_once_and_by_keyboard_alone(reader: Reader) -> None:
    page = reader.page
    page.get_by_role("button", name="Make the key").focus()
    page.keyboard.press("Enter")
    expect(page.locator(".secret")).to_have_text("qm-secret")
    reader.assert_accessible()
    reader.assert_fits()
    page.get_by_label("Change key_01").focus()
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Make its successor").first.press("Enter")
    expect(page.get_by_role("status")).to_contain_text(f"{KEY} works until")
    reader.open("/account")
    assert page.locator(".secret").count() == 0
