"""The live-traffic page in a real browser: it renews itself, pauses, fits, and reads aloud."""

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import pytest
import uvicorn
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect
from tests.browser.conftest import START_S
from tests.unit.console.console_fakes import (
    NOW,
    FakeIdentity,
    FakeLive,
    FakeOverview,
    FakeSignedIn,
    live_facts,
    overview_facts,
)
from tests.unit.console.exposure_fakes import FakeExposure, exposure_facts
from tests.unit.console.traffic_fakes import FakeTraffic, traffic_facts

from quartermaster.console import server
from quartermaster.console.settings import ConsoleSettings
from quartermaster.console.traffic_view import TRAFFIC_POLL_S

pytestmark = pytest.mark.browser

DESK, PHONE = (1280, 900), (390, 844)
TIMEOUT_MS = 15_000


@dataclass
class Live:
    """A running console and what its live page is told."""

    url: str
    traffic: FakeTraffic


@pytest.fixture(scope="module")
def live() -> Iterator[Live]:
    identity, traffic = FakeIdentity(), FakeTraffic(traffic_facts())
    identity.sessions["s"] = FakeSignedIn("usr_ada", "ada", ("viewer",), "csrf")
    settings = ConsoleSettings(port=0)
    overview, requests = FakeOverview(overview_facts()), FakeLive(live_facts())
    exposure = FakeExposure(exposure_facts())
    app = server.build(
        settings, identity, overview, requests, exposure, lambda: NOW, traffic=traffic
    )
    running = uvicorn.Server(server.config(app, settings))
    thread = threading.Thread(target=running.run, daemon=True)
    thread.start()
    until = time.monotonic() + START_S
    while not running.started:
        assert time.monotonic() < until, "the console does not start"
        time.sleep(0.01)
    port = running.servers[0].sockets[0].getsockname()[1]
    yield Live(f"http://127.0.0.1:{port}", traffic)
    running.should_exit = True
    thread.join(START_S)


def opened(
    chromium: Browser,
    live: Live,
    size: tuple[int, int],
    scheme: Literal["light", "dark"],
    lang: str,
) -> Page:
    width, height = size
    context = chromium.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
    context.add_cookies([{"name": "quartermaster_session", "value": "s", "url": live.url}])
    page = context.new_page()
    page.set_default_timeout(TIMEOUT_MS)
    page.goto(f"{live.url}/traffic?lang={lang}")
    return page


def assert_readable(page: Page) -> None:
    """No sideways scrolling, no violation of any axe rule."""
    inner, scroll = page.evaluate(
        "[document.documentElement.clientWidth, document.documentElement.scrollWidth]"
    )
    assert scroll <= inner
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


@pytest.mark.long
def test_it_renews_itself_until_it_is_paused(chromium: Browser, live: Live) -> None:
    page = opened(chromium, live, DESK, "light", "en")
    assert_readable(page)
    looks = live.traffic.looks
    expect(page.locator(".finding")).to_contain_text("31.7 requests")
    live.traffic.facts = traffic_facts(requests_per_s=47.25)
    expect(page.locator(".finding")).to_contain_text("47.2 requests")
    assert live.traffic.looks > looks
    page.keyboard.press(".")
    expect(page.get_by_role("button", name="Resume")).to_be_visible()
    looks = live.traffic.looks
    page.wait_for_timeout(TRAFFIC_POLL_S * 1_000 + 500)
    assert live.traffic.looks <= looks + 1, "one may have been on its way"
    page.context.close()


def test_it_fits_a_phone_in_the_dark_and_in_german(chromium: Browser, live: Live) -> None:
    page = opened(chromium, live, PHONE, "dark", "de")
    assert_readable(page)
    expect(page.get_by_role("heading", name="Live-Verkehr")).to_be_visible()
    page.context.close()
