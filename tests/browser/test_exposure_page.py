"""The exposure page in a real browser: every form of it, its form, and a simulation that loads."""

import re
from collections.abc import Iterator

import pytest
from msgspec.structs import replace
from playwright.sync_api import Browser, expect
from tests.browser.conftest import Console
from tests.browser.forms import every_form
from tests.browser.test_overview import DESK, PHONE, TIMEOUT_MS, Reader, join, reader_in
from tests.unit.console.exposure_fakes import exposure_facts

pytestmark = pytest.mark.browser


@pytest.fixture
def reader(chromium: Browser, console: Console) -> Iterator[Reader]:
    """An administrator who has just joined, on a desk, in English."""
    context = chromium.new_context(
        viewport={"width": DESK[0], "height": DESK[1]}, locale="en-GB", reduced_motion="reduce"
    )
    reader = reader_in(context, console)
    join(reader, f"eve {len(console.identity.users)}")
    yield reader
    console.exposure.facts = exposure_facts()
    reader.assert_content()
    context.close()


@pytest.mark.parametrize(("lang", "theme", "size"), every_form(DESK, PHONE))
def test_the_page_in_every_form(
    chromium: Browser, console: Console, lang: str, theme: str, size: tuple[int, int]
) -> None:
    context = chromium.new_context(
        viewport={"width": size[0], "height": size[1]},
        locale=lang,
        color_scheme="dark" if theme == "dark" else "light",
        reduced_motion="reduce",
    )
    reader = reader_in(context, console)
    join(reader, f"exposure {lang} {theme} {size[0]}")
    reader.open("/exposure")
    heading = {"de": "Klumpenrisiko", "en": "Exposure"}[lang]
    expect(reader.page.locator("h1")).to_have_text(heading)
    shown, hidden = (".for-desk", ".for-phone") if size == DESK else (".for-phone", ".for-desk")
    expect(reader.page.locator(f"{shown} svg")).to_have_count(4)
    for figure in reader.page.locator(f"{shown} svg").all():
        expect(figure).to_be_visible()
    expect(reader.page.locator(hidden).first).to_be_hidden()
    reader.assert_accessible()
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
    reader.assert_content()
    context.close()


def test_the_form_writes_the_address(reader: Reader) -> None:
    page = reader.page
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
    expect(page.locator(".conditions")).to_contain_text("Fabrikam leaves at 20% a year")
    expect(page.locator("#customer")).to_have_value("grp_1")
    page.locator('.switch a[hreflang="de"]').click()
    expect(page.locator(".conditions")).to_contain_text("Horizont 36 Monate")
    page.locator("#hazard").fill("9")
    page.locator(".ask button").click()
    assert not page.locator("#hazard").evaluate("field => field.checkValidity()")


def test_a_page_whose_simulation_loads_asks_again(reader: Reader) -> None:
    reader.console.exposure.facts = replace(exposure_facts(), loss=None, loss_missing="loading")
    reader.open("/exposure")
    expect(reader.page.locator(".warning")).to_contain_text("being loaded")
    reader.assert_accessible()
    reader.console.exposure.facts = exposure_facts()
    expect(reader.page.locator("#loss-caption")).to_be_visible(timeout=TIMEOUT_MS)


def test_the_empty_page(reader: Reader) -> None:
    reader.console.exposure.facts = None
    reader.open("/exposure")
    expect(reader.page.locator(".empty h2")).to_have_text("No revenue yet")
    reader.assert_accessible()
    reader.assert_fits()


def test_it_prints_on_few_pages(reader: Reader) -> None:
    reader.open("/exposure")
    printed = reader.page.pdf(format="A4", prefer_css_page_size=True)
    assert 1 <= len(re.findall(rb"/Type\s*/Page\b", printed)) <= 6
