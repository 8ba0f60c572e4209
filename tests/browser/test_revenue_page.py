"""The revenue page in a real browser: it fits, reads aloud, and takes another currency."""

import pytest
from playwright.sync_api import expect
from tests.browser.forms import PHONE, Form
from tests.browser.reader import Reader

pytestmark = pytest.mark.browser


def test_totals_are_shown_in_another_currency(reader: Reader) -> None:
    reader.open("/revenue")
    reader.assert_accessible()
    reader.assert_fits()
    page = reader.page
    expect(page.locator(".finding").first).to_contain_text("$50.00")
    page.get_by_label("Totals in").select_option("EUR")
    page.get_by_role("button", name="Show").press("Enter")
    expect(page.locator(".finding").first).to_contain_text("€40.00")
    expect(page.get_by_role("columnheader", name="In EUR").first).to_be_visible()


@pytest.mark.long
@pytest.mark.parametrize("reader", [Form("de", "dark", PHONE)], indirect=True, ids=["phone"])
def test_it_fits_a_phone_in_the_dark_and_in_german(reader: Reader) -> None:
    reader.open("/revenue")
    reader.assert_accessible()
    reader.assert_fits()
    expect(reader.page.get_by_role("heading", name="Wechselkurse")).to_be_visible()
