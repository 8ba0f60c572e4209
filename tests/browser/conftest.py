"""A real console on a loopback port, and Debian's Chromium to look at it."""

import os
import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import uvicorn
from playwright.sync_api import Browser, sync_playwright
from tests.unit.console.case_fakes import FakeCases
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

from quartermaster.console import server
from quartermaster.console.settings import ConsoleSettings

START_S = 10
"""A loaded machine needs a second; ten mean that it does not start."""

ARGUMENTS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)


@dataclass
class Console:
    """A running console and the ports behind it."""

    url: str
    identity: FakeIdentity
    overview: FakeOverview
    live: FakeLive
    exposure: FakeExposure
    warning: FakeWarning


@pytest.fixture(scope="module")
def console() -> Iterator[Console]:
    identity = FakeIdentity()
    overview, live = FakeOverview(overview_facts()), FakeLive(live_facts())
    exposure = FakeExposure(exposure_facts())
    warning = FakeWarning(warning_facts(), reliability_facts())
    settings = ConsoleSettings(port=0)
    app = server.build(
        settings,
        identity,
        overview,
        live,
        exposure,
        lambda: NOW,
        warning=warning,
        cases=FakeCases(),
    )
    running = uvicorn.Server(server.config(app, settings))
    thread = threading.Thread(target=running.run, daemon=True)
    thread.start()
    until = time.monotonic() + START_S
    while not running.started:
        assert time.monotonic() < until, "the console does not start"
        time.sleep(0.01)
    port = running.servers[0].sockets[0].getsockname()[1]
    yield Console(f"http://127.0.0.1:{port}", identity, overview, live, exposure, warning)
    running.should_exit = True
    thread.join(START_S)


# Of the module, not of the session: while Playwright runs, this thread has a running event loop,
# and tests of other rooms could not start theirs.
@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("chrome")
    if path is None:
        reason = "Chromium is not installed (Debian: apt-get install chromium)"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        yield browser
        browser.close()
