"""One console and one of Debian's Chromium for all tests of a worker that look at pages."""

import os
import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import TypeVar

import pytest
from playwright.sync_api import Browser, sync_playwright
from tests.browser.forms import PLAIN
from tests.browser.reader import Reader, window
from tests.browser.shown_console import Console, shown_console

ARGUMENTS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)

CONSOLE = pytest.StashKey[Console]()
CHROMIUM = pytest.StashKey[Browser]()

T = TypeVar("T")


def of_folder(
    request: pytest.FixtureRequest, key: pytest.StashKey[T], made: AbstractContextManager[T]
) -> T:
    """What the modules of this folder share; it ends when the worker goes on to another folder.

    Not of the session: while Playwright runs, its thread has a running event loop, and tests of
    other rooms could not start theirs.
    """
    folder = request.node.parent
    if key not in folder.stash:
        stack = ExitStack()
        folder.stash[key] = stack.enter_context(made)

        def end() -> None:
            del folder.stash[key]
            stack.close()

        folder.addfinalizer(end)
    found: T = folder.stash[key]
    return found


@contextmanager
def launched() -> Iterator[Browser]:
    """Chromium, driven by Playwright."""
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


@pytest.fixture(scope="module")
def chromium(request: pytest.FixtureRequest) -> Browser:
    return of_folder(request, CHROMIUM, launched())


@pytest.fixture(scope="module")
def console(request: pytest.FixtureRequest) -> Console:
    return of_folder(request, CONSOLE, shown_console())


@pytest.fixture
def reader(request: pytest.FixtureRequest, chromium: Browser, console: Console) -> Iterator[Reader]:
    """An administrator at a window: on a desk, by day and in English, or in the form asked for."""
    with window(chromium, console, getattr(request, "param", PLAIN)) as made:
        made.sign_in("admin")
        try:
            yield made
        finally:
            console.as_before()
