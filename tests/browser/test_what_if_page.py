"""The what-if and the capacity page in a real browser: every form, keys, and an address that holds.

The address is the state: a part that is swapped in pushes it, the back button returns to it, and
another reader who opens it sees the same.
"""

import re

import pytest
from playwright.sync_api import expect
from tests.browser.forms import in_every_form
from tests.browser.reader import Reader
from tests.browser.shown_console import Console
from tests.unit.console.console_fakes import NOW

from quartermaster.console.ports_capacity import CapacityQuestion

pytestmark = pytest.mark.browser

PAGES = {
    "/what-if?suspend=1": {"de": "Was wäre wenn", "en": "What if"},
    "/capacity": {"de": "Kapazität", "en": "Capacity"},
}


@pytest.fixture(scope="module", autouse=True)
def measured(console: Console) -> None:
    """Seconds on a busy machine, before anybody waits."""
    console.capacity.capacity(CapacityQuestion(), NOW)


@pytest.mark.parametrize("path", PAGES)
@in_every_form
def test_the_page_in_every_form(reader: Reader, path: str) -> None:
    reader.open(path)
    expect(reader.page.locator("h1")).to_have_text(PAGES[path][reader.form.lang])
    reader.assert_figures()
    reader.assert_fits()
    for summary in reader.page.locator(".definition summary").all():
        summary.click()
    reader.assert_accessible()
    reader.assert_fits()


def test_the_address_is_the_state_and_back_goes_back(reader: Reader) -> None:
    page, book = reader.page, reader.console.what_if
    reader.open("/help")
    page.keyboard.press("g")
    page.keyboard.press("i")
    expect(page.locator("h1")).to_have_text("What if")
    page.evaluate("document.body.dataset.same = 'yes'")
    page.locator(".tabs a", has_text="It cuts usage").click()
    expect(page.locator(".finding").first).to_contain_text("cuts its usage by 50% from month 0")
    expect(page).to_have_url(re.compile(r"/what-if\?lever=cut&customer=grp_0&hazard=0\.35&"))
    page.locator("#customer").select_option(label="Fabrikam")
    page.locator("#size").fill("0.25")
    page.locator("#hazard").fill("0.2")
    page.locator("#ask button.primary").click()
    expect(page.locator(".finding").first).to_have_text(
        "Fabrikam cuts its usage by 25% from month 0."
    )
    # Only a part was swapped, and its address pushed.
    assert page.evaluate("document.body.dataset.same") == "yes"
    expect(page).to_have_url(re.compile(r"customer=grp_1&size=0\.25&month=0&hazard=0\.2"))
    address = page.url
    german = page.locator('.switch a[hreflang="de"]')
    expect(german).to_have_attribute("href", re.compile(r"customer=grp_1&size=0\.25.*&lang=de$"))
    expect(page.locator('.switch input[name="next"]')).to_have_value(re.compile("grp_1"))
    page.go_back()
    expect(page.locator(".finding").first).to_contain_text("ByteDance cuts its usage by 50%")
    page.go_forward()
    expect(page.locator(".finding").first).to_contain_text("Fabrikam cuts its usage by 25%")
    assert page.url == address
    asked = book.asked[-1]
    reader.open(address.removeprefix(reader.console.url))
    assert book.asked[-1] == asked
    expect(page.locator("#customer")).to_have_value("grp_1")
    expect(page.locator("#size")).to_have_value("0.25")


def test_by_keyboard_alone(reader: Reader) -> None:
    page, book = reader.page, reader.console.what_if
    reader.open("/what-if")
    page.locator("#month").focus()
    page.keyboard.press("Control+a")
    page.keyboard.type("6")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    page.keyboard.press("Enter")
    expect(page.locator(".finding").first).to_have_text("ByteDance is suspended in month 6.")
    expect(page.locator('[role="status"]')).to_contain_text("A suspension is also a departure")
    assert book.asked[-1].suspend
    page.locator("#cost_notice").fill("225000")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"cost_notice=225000"))
    expect(page.locator("#tornado-caption ~ tbody")).to_contain_text("1.00")
    reader.assert_accessible()


def test_a_wrong_number_is_not_sent(reader: Reader) -> None:
    page, book = reader.page, reader.console.what_if
    reader.open("/what-if")
    asked = len(book.asked)
    page.locator("#hazard").fill("9")
    page.locator("#ask button.primary").click()
    assert not page.locator("#hazard").evaluate("field => field.checkValidity()")
    page.wait_for_timeout(200)
    assert len(book.asked) == asked


def test_the_capacity_form_writes_the_address(reader: Reader) -> None:
    page = reader.page
    reader.open("/help")
    page.keyboard.press("g")
    page.keyboard.press("c")
    expect(page.locator("h1")).to_have_text("Capacity")
    page.locator("#backfill").fill("50")
    page.locator(".ask button").click()
    expect(page).to_have_url(
        re.compile(r"/capacity\?customer=ByteDance&month=2024-03&backfill=50&contribution=$")
    )
    expect(page.locator(".finding").nth(1)).to_contain_text("with 50% of its use taken by others")


@pytest.mark.parametrize("path", PAGES)
def test_it_prints_on_few_pages(reader: Reader, path: str) -> None:
    reader.open(path)
    reader.assert_prints(6)
