"""Cases and the tour in a real browser: accessible, fitting a phone, and reached by keys."""

import pytest
from playwright.sync_api import expect
from tests.browser.forms import DESK, PHONE, Form
from tests.browser.reader import Reader

pytestmark = pytest.mark.browser


@pytest.mark.parametrize(
    "reader",
    [
        pytest.param(Form("de", "dark", PHONE), id="phone"),
        pytest.param(Form("en", "light", DESK), id="desk", marks=pytest.mark.long),
    ],
    indirect=True,
)
def test_cases_are_readable_and_reached_by_keys(reader: Reader) -> None:
    reader.open("/help")
    reader.page.keyboard.press("g")
    reader.page.keyboard.press("k")
    expect(reader.page).to_have_url(f"{reader.console.url}/cases")
    shown = ".board-desk" if reader.form.size == DESK else ".board-phone"
    for address, figures in (("/cases", 0), ("/cases/sample", 4), ("/tour", 0)):
        reader.open(address)
        expect(reader.page.locator("h1")).to_be_visible()
        expect(reader.page.locator(f"{shown} svg")).to_have_count(figures)
        reader.assert_accessible()
        reader.assert_fits()
