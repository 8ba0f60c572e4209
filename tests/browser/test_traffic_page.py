"""The live-traffic page in a real browser: it renews itself, pauses, fits, and reads aloud."""

import pytest
from playwright.sync_api import expect
from tests.browser.forms import PHONE, Form
from tests.browser.reader import Reader
from tests.unit.console.traffic_fakes import traffic_facts

from quartermaster.console.traffic_view import TRAFFIC_POLL_S

pytestmark = pytest.mark.browser

POLL_MS = TRAFFIC_POLL_S * 1_000


def test_it_renews_itself_until_it_is_paused(reader: Reader) -> None:
    page, traffic = reader.page, reader.console.traffic
    page.clock.install()
    reader.open("/traffic")
    reader.assert_accessible()
    reader.assert_fits()
    expect(page.locator(".finding")).to_contain_text("31.7 requests")
    looks = traffic.looks
    traffic.facts = traffic_facts(requests_per_s=47.25)
    page.clock.fast_forward(POLL_MS)
    expect(page.locator(".finding")).to_contain_text("47.2 requests")
    assert traffic.looks > looks
    page.keyboard.press(".")
    expect(page.get_by_role("button", name="Resume")).to_be_visible()
    looks = traffic.looks
    for _ in range(3):
        page.clock.fast_forward(POLL_MS)
    page.wait_for_load_state("networkidle")
    assert traffic.looks <= looks + 1, "one may have been on its way"


@pytest.mark.parametrize("reader", [Form("de", "dark", PHONE)], indirect=True, ids=["phone"])
def test_it_fits_a_phone_in_the_dark_and_in_german(reader: Reader) -> None:
    reader.open("/traffic")
    reader.assert_accessible()
    reader.assert_fits()
    expect(reader.page.get_by_role("heading", name="Live-Verkehr")).to_be_visible()
