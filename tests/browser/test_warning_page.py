"""The warning pages and the record in a real browser: every form of them, keys, links, print."""

import re
import time

import pytest
from msgspec.structs import replace
from playwright.sync_api import expect
from tests.browser.forms import DESK, PHONE, in_every_form
from tests.browser.reader import TIMEOUT_MS, Reader
from tests.unit.console.warning_fakes import warning_facts

from quartermaster.console.ports_warning import ReliabilityFacts, WarningFacts

pytestmark = pytest.mark.browser

PICTURES = {"/warning": 1, "/warning/grp_1": 2, "/reliability": 1}


@in_every_form
def test_the_pages_in_every_form(reader: Reader) -> None:
    for address, pictures in PICTURES.items():
        reader.open(address)
        expect(reader.page.locator("h1")).to_be_visible()
        reader.assert_figures(pictures)
        for summary in reader.page.locator(".definition summary").all():
            summary.click()
        reader.assert_accessible()
        reader.assert_fits()
        if reader.form.size == DESK:
            tables = "[...document.querySelectorAll('.told')]"
            assert reader.page.evaluate(
                f"{tables}.every(one => one.scrollWidth <= one.clientWidth)"
            )


def test_the_way_from_the_keys_to_a_customer_and_back(reader: Reader) -> None:
    page = reader.page
    reader.open("/help")
    page.keyboard.press("g")
    page.keyboard.press("w")
    expect(page.locator("h1")).to_have_text("Early warning")
    expect(page.locator(".places a[aria-current]")).to_have_text("Early warning")
    page.get_by_role("link", name="Fabrikam").focus()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"/warning/grp_1$"))
    expect(page.locator("h1")).to_have_text("Fabrikam")
    page.locator('.switch a[hreflang="de"]').click()
    expect(page.locator("#ledger-title")).to_have_text("Wie die Wahrscheinlichkeit zustande kommt")
    page.get_by_role("link", name="Alle Kunden").click()
    page.get_by_role("link", name="Wie gut waren solche Aussagen?").click()
    expect(page.locator("h1")).to_have_text("Verlässlichkeit")


def test_a_table_that_is_wider_than_a_phone_can_be_scrolled_by_key(reader: Reader) -> None:
    page = reader.page
    page.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
    reader.open("/warning/grp_1")
    region = page.locator('[aria-labelledby="ledger-caption"]')
    region.focus()
    page.keyboard.press("ArrowRight")
    # Asked again from here: the page's policy lets no script wait in it.
    until = time.monotonic() + TIMEOUT_MS / 1_000
    while not region.evaluate("found => found.scrollLeft"):
        assert time.monotonic() < until, "the table does not scroll"
        page.wait_for_timeout(50)


def test_a_sample_that_is_worked_out_asks_again(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("quartermaster.console.pages.warning.LOADING_S", 1)
    reader.console.warning.facts = WarningFacts(sample=True, look=None, missing="loading")
    reader.open("/warning")
    expect(reader.page.locator(".empty")).to_contain_text("being worked out")
    reader.console.warning.facts = warning_facts()
    expect(reader.page.locator("#stake-title")).to_be_visible()


def test_the_empty_pages(reader: Reader) -> None:
    reader.console.warning.facts = WarningFacts(sample=False, look=None, missing="not_yet")
    reader.console.warning.record = ReliabilityFacts(sample=False, missing=None)
    for address in ("/warning", "/reliability"):
        reader.open(address)
        expect(reader.page.locator(".empty h2")).to_have_text("No look yet")
        reader.assert_accessible()
        reader.assert_fits()


def test_they_print_on_few_pages(reader: Reader) -> None:
    facts = reader.console.warning.facts
    many = tuple(
        replace(one, look=replace(one.look, customer=f"c{at}"))
        for at, one in enumerate(facts.customers * 9)
    )
    reader.console.warning.facts = replace(facts, customers=(*facts.customers, *many))
    for address, most in (("/warning", 4), ("/warning/grp_1", 4), ("/reliability", 4)):
        reader.open(address)
        reader.assert_prints(most)
