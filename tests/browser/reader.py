"""A browser window and everything it did that a reader would not want."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Request, expect
from tests.browser.forms import PLAIN, Form
from tests.browser.shown_console import Console
from tests.unit.console.console_fakes import FakeSignedIn

TIMEOUT_MS = 15_000
SESSION = "quartermaster_session"


@dataclass
class Reader:
    """A window on the console, as one reader has it."""

    page: Page
    console: Console
    form: Form
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def open(self, path: str) -> None:
        self.page.goto(self.console.url + path)

    def sign_in(self, *roles: str, customer: str = "") -> None:
        """A session without the way through the door, which has its own tests."""
        sessions = self.console.identity.sessions
        token = f"opened-{id(self.page)}"
        sessions[token] = FakeSignedIn("usr_reader", "reader", roles, "csrf", customer)
        cookie = {"name": SESSION, "value": token, "url": self.console.url}
        self.page.context.add_cookies([cookie])  # type: ignore[list-item]

    def assert_content(self) -> None:
        """Nothing went wrong, and nothing left the host."""
        assert self.complaints == []
        ours = urlsplit(self.console.url).netloc
        assert {urlsplit(url).netloc for url in self.requests} == {ours}

    def assert_accessible(self) -> None:
        """No violation of any axe rule."""
        found = Axe().run(self.page)
        assert found.violations_count == 0, found.generate_report()

    def assert_fits(self) -> None:
        """No sideways scrolling."""
        inner, scroll = self.page.evaluate(
            "[document.documentElement.clientWidth, document.documentElement.scrollWidth]"
        )
        assert scroll <= inner

    def assert_figures(self, count: int | None = None) -> None:
        """The figures of this width are seen, those of the other are not."""
        shown = self.page.locator(f".{self.form.shown} svg")
        if count is not None:
            expect(shown).to_have_count(count)
        for figure in shown.all():
            expect(figure).to_be_visible()
        expect(self.page.locator(f".{self.form.hidden}").first).to_be_hidden()

    def assert_prints(self, pages_max: int) -> None:
        """The open page prints on some pages, and not on many."""
        printed = self.page.pdf(format="A4", prefer_css_page_size=True)
        assert printed.startswith(b"%PDF")
        assert 1 <= len(re.findall(rb"/Type\s*/Page\b", printed)) <= pages_max, self.page.url


@contextmanager
def window(chromium: Browser, console: Console, form: Form = PLAIN) -> Iterator[Reader]:
    """A window that nobody has signed in at; what it did wrong fails the test at its end."""
    width, height = form.size
    context = chromium.new_context(
        viewport={"width": width, "height": height},
        locale={"de": "de-DE", "en": "en-GB"}[form.lang],
        color_scheme=form.theme,
        reduced_motion="reduce",
    )
    page = context.new_page()
    page.set_default_timeout(TIMEOUT_MS)
    reader = Reader(page, console, form)

    def asked(request: Request) -> None:
        reader.requests.append(request.url)

    def failed(request: Request) -> None:
        # Going on to the next page cuts off the live panel's question; that is no fault.
        if request.failure != "net::ERR_ABORTED":
            reader.complaints.append(f"failed {request.url}: {request.failure}")

    page.on("request", asked)
    page.on("requestfailed", failed)
    page.on("console", lambda message: reader.complaints.append(message.text))
    page.on("pageerror", lambda error: reader.complaints.append(str(error)))
    try:
        yield reader
        reader.assert_content()
    finally:
        context.close()
