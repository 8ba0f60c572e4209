"""The what-if and the capacity page in a real browser: every form, keys, and an address that holds.

The address is the state: a part that is swapped in pushes it, the back button returns to it, and
another reader who opens it sees the same.
"""

import re
import threading
import time
from collections.abc import Iterator

import pytest
import uvicorn
from playwright.sync_api import Browser, expect
from tests.browser.conftest import START_S, Console
from tests.browser.forms import every_form
from tests.browser.test_overview import DESK, PHONE, Reader, join, reader_in
from tests.unit.console.console_fakes import (
    NOW,
    FakeIdentity,
    FakeLive,
    FakeOverview,
    live_facts,
    overview_facts,
)
from tests.unit.console.exposure_fakes import FakeExposure, exposure_facts
from tests.unit.console.warning_fakes import FakeWarning, reliability_facts, warning_facts
from tests.unit.console.what_if_fakes import FakeWhatIf, what_if_facts

from quartermaster.app.console_capacity import ShownCapacity, sample_window
from quartermaster.console import server
from quartermaster.console.ports_capacity import CapacityQuestion
from quartermaster.console.settings import ConsoleSettings

pytestmark = pytest.mark.browser

PAGES = {
    "/what-if?suspend=1": {"de": "Was wäre wenn", "en": "What if"},
    "/capacity": {"de": "Kapazität", "en": "Capacity"},
}


@pytest.fixture(scope="module")
def book() -> FakeWhatIf:
    return FakeWhatIf(what_if_facts())


@pytest.fixture(scope="module")
def console(book: FakeWhatIf) -> Iterator[Console]:
    """A console whose what-if answers at once, and the sample fleet."""
    identity, exposure = FakeIdentity(), FakeExposure(exposure_facts())
    overview, live = FakeOverview(overview_facts()), FakeLive(live_facts())
    settings = ConsoleSettings(port=0)
    capacity = ShownCapacity(sample_window)
    capacity.capacity(CapacityQuestion(), NOW)  # seconds on a busy machine, before anybody waits
    app = server.build(
        settings,
        identity,
        overview,
        live,
        exposure,
        lambda: NOW,
        what_if=book,
        capacity=capacity,
    )
    running = uvicorn.Server(server.config(app, settings))
    thread = threading.Thread(target=running.run, daemon=True)
    thread.start()
    until = time.monotonic() + START_S
    while not running.started:
        assert time.monotonic() < until, "the console does not start"
        time.sleep(0.01)
    port = running.servers[0].sockets[0].getsockname()[1]
    warning = FakeWarning(warning_facts(), reliability_facts())
    yield Console(f"http://127.0.0.1:{port}", identity, overview, live, exposure, warning)
    running.should_exit = True
    thread.join(START_S)


@pytest.fixture
def reader(chromium: Browser, console: Console) -> Iterator[Reader]:
    """An administrator who has just joined, on a desk, in English."""
    context = chromium.new_context(
        viewport={"width": DESK[0], "height": DESK[1]}, locale="en-GB", reduced_motion="reduce"
    )
    reader = reader_in(context, console)
    join(reader, f"eve {len(console.identity.users)}")
    yield reader
    reader.assert_content()
    context.close()


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize(("lang", "theme", "size"), every_form(DESK, PHONE))
def test_the_page_in_every_form(
    chromium: Browser, console: Console, path: str, lang: str, theme: str, size: tuple[int, int]
) -> None:
    context = chromium.new_context(
        viewport={"width": size[0], "height": size[1]},
        locale=lang,
        color_scheme="dark" if theme == "dark" else "light",
        reduced_motion="reduce",
    )
    reader = reader_in(context, console)
    join(reader, f"{path} {lang} {theme} {size[0]}")
    reader.open(path)
    expect(reader.page.locator("h1")).to_have_text(PAGES[path][lang])
    shown, hidden = (".for-desk", ".for-phone") if size == DESK else (".for-phone", ".for-desk")
    for figure in reader.page.locator(f"{shown} svg").all():
        expect(figure).to_be_visible()
    expect(reader.page.locator(hidden).first).to_be_hidden()
    reader.assert_accessible()
    reader.assert_fits()
    for summary in reader.page.locator(".definition summary").all():
        summary.click()
    reader.assert_accessible()
    reader.assert_fits()
    reader.assert_content()
    context.close()


def test_the_address_is_the_state_and_back_goes_back(reader: Reader, book: FakeWhatIf) -> None:
    page = reader.page
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


def test_by_keyboard_alone(reader: Reader, book: FakeWhatIf) -> None:
    page = reader.page
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


def test_a_wrong_number_is_not_sent(reader: Reader, book: FakeWhatIf) -> None:
    page = reader.page
    reader.open("/what-if")
    asked = len(book.asked)
    page.locator("#hazard").fill("9")
    page.locator("#ask button.primary").click()
    assert not page.locator("#hazard").evaluate("field => field.checkValidity()")
    page.wait_for_timeout(200)
    assert len(book.asked) == asked


def test_the_capacity_form_writes_the_address(reader: Reader) -> None:
    page = reader.page
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
    printed = reader.page.pdf(format="A4", prefer_css_page_size=True)
    assert 1 <= len(re.findall(rb"/Type\s*/Page\b", printed)) <= 6
