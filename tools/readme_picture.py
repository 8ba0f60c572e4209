"""Take the README's picture: the overview of the sample book, as the real console serves it.

    python -m tools.readme_picture                       needs Chromium and nothing running
    python -m tools.readme_picture --lang de --theme dark --out picture.png

Starts the console on a free loopback port over the sample book, a book in a scratch folder for
signing in, and no gateways; joins by a one-time link as a reader would; and writes
`docs/figures/overview.png`.
"""

import argparse
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from playwright.sync_api import Page, sync_playwright

from quartermaster.app.console import SampleOverview
from quartermaster.app.console_exposure import sample_exposure
from quartermaster.book.store import open_book
from quartermaster.commands.identity import Identity
from quartermaster.console import server
from quartermaster.console.ports import LiveFacts
from quartermaster.console.settings import ConsoleSettings
from quartermaster.kernel.clock import Instant, system_clock

OUT = Path(__file__).parent.parent / "docs/figures/overview.png"
WIDTH_PX, HEIGHT_PX = 1200, 1110
"""Wide enough for the desk layout, and down to the end of the share bar."""
PICTURE_BYTES_MAX = 200_000
"""A README must open at once."""
ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run")
NAME, PASSWORD = "ada", "only for this picture"


class NoGateways:
    """No gateway runs while the picture is taken."""

    def live(self, now: Instant) -> LiveFacts:
        """Nothing."""
        del now
        return LiveFacts()


@contextmanager
def sample_console(folder: Path) -> Iterator[tuple[str, str]]:
    """A running console's URL and the one-time link into it."""
    identity = Identity(open_book(f"sqlite:///{folder / 'book.sqlite'}"))
    settings = ConsoleSettings(port=0)
    app = server.build(settings, identity, SampleOverview(), NoGateways(), sample_exposure())
    running = uvicorn.Server(server.config(app, settings))
    thread = threading.Thread(target=running.run, daemon=True)
    thread.start()
    while not running.started:
        time.sleep(0.01)
    port = running.servers[0].sockets[0].getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    yield url, f"{url}/join/{identity.issue_link(('viewer',), system_clock())}"
    running.should_exit = True
    thread.join()


def photograph(page: Page, url: str, link: str, out: Path) -> None:
    """Join, and take the top of the overview."""
    page.goto(link)
    page.locator("#name").fill(NAME)
    page.locator("#password").fill(PASSWORD)
    page.locator("#again").fill(PASSWORD)
    page.locator("main button.primary").click()
    page.locator("figure").first.wait_for()
    page.goto(url)
    page.locator("figure").first.wait_for()
    out.parent.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=out)


def main(arguments: list[str]) -> int:
    """Write the picture and say where."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--lang", choices=["de", "en"], default="en")
    parser.add_argument("--theme", choices=["light", "dark"], default="light")
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args(arguments)
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        print("Chromium is not installed (Debian: apt-get install chromium)", file=sys.stderr)
        return 1
    with (
        tempfile.TemporaryDirectory() as folder,
        sample_console(Path(folder)) as (url, link),
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=chromium, args=list(ARGUMENTS))
        page = browser.new_page(
            viewport={"width": WIDTH_PX, "height": HEIGHT_PX},
            locale=options.lang,
            color_scheme="dark" if options.theme == "dark" else "light",
            reduced_motion="reduce",
        )
        photograph(page, url, link, options.out)
        browser.close()
    size = options.out.stat().st_size
    print(f"{options.out} ({size:,} bytes)")
    return 0 if size <= PICTURE_BYTES_MAX else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
