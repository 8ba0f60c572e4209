"""The exposure page in a real browser: every form of it, its form, and a simulation that loads."""

import re

import pytest
from msgspec.structs import replace
from playwright.sync_api import expect
from tests.browser.forms import in_every_form
from tests.browser.reader import Reader
from tests.unit.console.exposure_fakes import exposure_facts

pytestmark = pytest.mark.browser


@in_every_form
def test_the_page_in_every_form(reader: Reader) -> None:
    reader.open("/exposure")
    heading = {"de": "Klumpenrisiko", "en": "Exposure"}[reader.form.lang]
    expect(reader.page.locator("h1")).to_have_text(heading)
    reader.assert_figures(6)
    reader.assert_fits()
    for summary in reader.page.locator(".definition summary").all():
        summary.click()
    reader.assert_accessible()
    reader.assert_fits()
    reader.open("/exposure?hazard=35")
    reader.assert_fits()
    # The browser notes the 400 that was asked for; that is the one thing it may say.
    assert all("400" in complaint for complaint in reader.complaints)
    reader.complaints.clear()


def test_the_form_writes_the_address(reader: Reader) -> None:
    page = reader.page
    reader.open("/help")
    page.keyboard.press("g")
    page.keyboard.press("e")
    expect(page.locator("h1")).to_have_text("Exposure")
    page.locator("#customer").select_option(label="Fabrikam")
    page.locator("#hazard").fill("0.2")
    page.locator("#horizon").fill("36")
    page.locator(".ask button").click()
    expect(page).to_have_url(
        re.compile(r"/exposure\?customer=grp_1&hazard=0\.2&others=0\.1&horizon=36&quantile=0\.95$")
    )
    expect(page.locator(".conditions").first).to_contain_text("Fabrikam leaves at 20% a year")
    expect(page.locator("#customer")).to_have_value("grp_1")
    page.locator('.switch a[hreflang="de"]').click()
    expect(page.locator(".conditions").first).to_contain_text("Horizont 36 Monate")
    page.locator("#hazard").fill("9")
    page.locator(".ask button").click()
    assert not page.locator("#hazard").evaluate("field => field.checkValidity()")


def test_a_page_whose_simulation_loads_asks_again(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("quartermaster.console.pages.exposure.LOADING_S", 1)
    reader.console.exposure.facts = replace(exposure_facts(), loss=None, loss_missing="loading")
    reader.open("/exposure")
    expect(reader.page.locator(".warning")).to_contain_text("being loaded")
    reader.console.exposure.facts = exposure_facts()
    expect(reader.page.locator("#loss-caption")).to_be_visible()


def test_the_empty_page(reader: Reader) -> None:
    reader.console.exposure.facts = None
    reader.open("/exposure")
    expect(reader.page.locator(".empty h2")).to_have_text("No revenue yet")
    reader.assert_accessible()
    reader.assert_fits()


def test_it_prints_on_few_pages(reader: Reader) -> None:
    reader.open("/exposure")
    reader.assert_prints(6)
