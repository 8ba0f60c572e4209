"""A customer's account in a real browser: it fits, reads aloud, and a secret can be copied."""

import threading
import time
from collections.abc import Iterator
from decimal import Decimal
from typing import Literal

import msgspec
import pytest
import uvicorn
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect
from tests.browser.conftest import START_S
from tests.unit.console.console_fakes import (
    NOW,
    FakeAccounts,
    FakeIdentity,
    FakeLive,
    FakeOverview,
    FakeSignedIn,
    live_facts,
    overview_facts,
)
from tests.unit.console.exposure_fakes import FakeExposure, exposure_facts

from quartermaster.console import server
from quartermaster.console.ports_account import (
    AccountDraft,
    AccountFacts,
    AccountKey,
    AccountProject,
    DraftLine,
    UsageRow,
)
from quartermaster.console.settings import ConsoleSettings
from quartermaster.kernel.clock import Instant
from quartermaster.kernel.limit import Limits

pytestmark = pytest.mark.browser

DESK, PHONE = (1280, 900), (390, 844)
KEY = "key_01M851J7VAJVJB4BFR21WCNS2P"
HELD = {"models": ("gpt-4o",), "networks": ("203.0.113.0/24", "2001:db8::/32")}


def a_key(key_id: str, **fields: object) -> AccountKey:
    said: dict[str, object] = {
        "id": key_id, "project": "chat", "contract": "c", "models": ("*",), "endpoints": (),
        "networks": (), "issued_at": NOW, "ends_at": None, "successor": "", "live": True,
        "limits": Limits(requests_per_minute=60),
    }  # fmt: skip
    return msgspec.convert({**said, **fields}, AccountKey)


class RichAccounts(FakeAccounts):
    """One account with something in every table."""

    def facts(self, customer: str, month: str, now: Instant) -> AccountFacts:
        line = DraftLine(
            model="gpt-4o", service_class="standard", meter="input", quantity=4_200_000,
            price="2.50", unit="1M_tokens", amount=Decimal("10.5"), minor=1050,
        )  # fmt: skip
        row = UsageRow(
            project="chat", key_id=KEY, model="gpt-4o", service_class="standard", requests=4_100,
            input_tokens=4_200_000, cached_tokens=900_000, output_tokens=310_000,
        )  # fmt: skip
        return msgspec.structs.replace(
            super().facts(customer, month, now),
            standing="throttled",
            projects=(AccountProject("default", "default", 0), AccountProject("chat", "Chat", 2)),
            keys=(a_key(KEY, **HELD), a_key("key_2", ends_at=NOW), a_key("key_3", live=False)),
            usage=(row,),
            drafts=(
                AccountDraft(
                    contract="c", total_minor=1050, currency="USD", unpriced=7, lines=(line,)
                ),
            ),
        )


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    identity = FakeIdentity()
    identity.sessions["s"] = FakeSignedIn("usr_ann", "ann", ("customer",), "csrf", "acme")
    settings = ConsoleSettings(port=0)
    app = server.build(
        settings, identity, FakeOverview(overview_facts()), FakeLive(live_facts()),
        FakeExposure(exposure_facts()), lambda: NOW, accounts=RichAccounts(),
    )  # fmt: skip
    running = uvicorn.Server(server.config(app, settings))
    thread = threading.Thread(target=running.run, daemon=True)
    thread.start()
    until = time.monotonic() + START_S
    while not running.started:
        assert time.monotonic() < until, "the console does not start"
        time.sleep(0.01)
    port = running.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}"
    running.should_exit = True
    thread.join(START_S)


def opened(
    chromium: Browser, url: str, size: tuple[int, int], scheme: Literal["light", "dark"], lang: str
) -> Page:
    context = chromium.new_context(
        viewport={"width": size[0], "height": size[1]}, color_scheme=scheme
    )
    context.add_cookies([{"name": "quartermaster_session", "value": "s", "url": url}])
    page = context.new_page()
    page.goto(f"{url}/account?lang={lang}")
    return page


def assert_readable(page: Page) -> None:
    """No sideways scrolling, no violation of any axe rule."""
    inner, scroll = page.evaluate(
        "[document.documentElement.clientWidth, document.documentElement.scrollWidth]"
    )
    assert scroll <= inner
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


def test_it_fits_a_phone_in_the_dark_and_in_german(chromium: Browser, url: str) -> None:
    page = opened(chromium, url, PHONE, "dark", "de")
    page.locator("details.account-act summary").first.click()
    assert_readable(page)
    expect(page.get_by_text("gedrosselt")).to_be_visible()
    page.context.close()


@pytest.mark.long
def test_a_secret_is_shown_once_and_by_keyboard_alone(chromium: Browser, url: str) -> None:
    page = opened(chromium, url, DESK, "light", "en")
    page.get_by_role("button", name="Make the key").focus()
    page.keyboard.press("Enter")
    expect(page.locator(".secret")).to_have_text("qm-secret")
    assert_readable(page)
    page.get_by_label("Change key_01").focus()
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Make its successor").first.press("Enter")
    expect(page.get_by_role("status")).to_contain_text(f"{KEY} works until")
    page.goto(f"{url}/account")
    assert page.locator(".secret").count() == 0
    page.context.close()
