"""The board report in a real browser: every form, print, and its name in the line of places."""

import pytest
from playwright.sync_api import expect
from tests.browser.forms import DESK, PHONE, Form, in_every_form
from tests.browser.reader import Reader

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


@in_every_form
def test_the_report_in_every_form(reader: Reader) -> None:
    reader.open("/report")
    expect(reader.page.locator("h1")).to_have_text(TITLES[reader.form.lang])
    shown, hidden = (
        (".board-desk", ".board-phone")
        if reader.form.size == DESK
        else (".board-phone", ".board-desk")
    )
    for figure in reader.page.locator(f"{shown} svg").all():
        expect(figure).to_be_visible()
    expect(reader.page.locator(hidden).first).to_be_hidden()
    expect(reader.page.locator("#missing code").first).to_be_visible()
    assert reader.page.evaluate(IN_VIEW), "the page's own name is out of sight"
    reader.assert_accessible()
    reader.assert_fits()


def test_it_prints_on_few_pages_without_the_console_around_it(reader: Reader) -> None:
    reader.open("/report")
    reader.assert_prints(PRINTED_PAGES_MAX)
    reader.page.emulate_media(media="print")
    expect(reader.page.locator(".places")).to_be_hidden()
    expect(reader.page.locator(".board-tools")).to_be_hidden()


@pytest.mark.parametrize("reader", [Form("de", "light", PHONE)], indirect=True, ids=["phone"])
def test_on_a_phone_the_open_pages_name_is_in_sight(reader: Reader) -> None:
    for path in ("/reliability", "/cases", "/help"):
        reader.open(path)
        assert reader.page.evaluate(IN_VIEW), path
        reader.assert_fits()
