"""Cases and the tour in a real browser: accessible, fitting a phone, and reached by keys."""

import pytest
from playwright.sync_api import Browser, expect
from tests.browser.conftest import Console
from tests.browser.test_overview import DESK, PHONE, join, reader_in

pytestmark = pytest.mark.browser


@pytest.mark.parametrize(
    ("lang", "theme", "size"),
    [
        ("de-DE", "dark", PHONE),
        pytest.param("en-GB", "light", DESK, marks=pytest.mark.long),
    ],
    ids=["phone", "desk"],
)
def test_cases_are_readable_and_reached_by_keys(
    chromium: Browser, console: Console, lang: str, theme: str, size: tuple[int, int]
) -> None:
    context = chromium.new_context(
        viewport={"width": size[0], "height": size[1]},
        locale=lang,
        color_scheme="dark" if theme == "dark" else "light",
        reduced_motion="reduce",
    )
    reader = reader_in(context, console)
    join(reader, f"case {theme}")
    reader.page.keyboard.press("g")
    reader.page.keyboard.press("k")
    expect(reader.page).to_have_url(f"{console.url}/cases")
    for address, figures in (("/cases", 0), ("/cases/sample", 4), ("/tour", 0)):
        reader.open(address)
        expect(reader.page.locator("h1")).to_be_visible()
        shown = ".board-desk" if size == DESK else ".board-phone"
        expect(reader.page.locator(f"{shown} svg")).to_have_count(figures)
        reader.assert_accessible()
        reader.assert_fits()
    reader.assert_content()
    context.close()
